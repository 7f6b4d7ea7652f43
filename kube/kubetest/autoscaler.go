package kubetest

import (
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	hpaEvery     = 15 * time.Second
	hpaTolerance = 0.1
	hpaTarget    = 80 // percent, where the HPA names none
)

// syncAutoscaler is the HorizontalPodAutoscaler with the utilization that
// Options.HPA tells: desired = ceil(current * utilization / target), and no
// change within a tolerance of a tenth. Without it there are no metrics, and only
// the minimum and the maximum count. It looks again every 15 s.
func (c *Cluster) syncAutoscaler(e *entry) {
	h := e.typed().(*autoscalingv2.HorizontalPodAutoscaler)
	if h.DeletionTimestamp != nil {
		return
	}
	if c.hpaNext[h.UID].After(now()) {
		return // its tick is planned; changes in between do not count
	}
	c.hpaNext[h.UID] = now().Add(hpaEvery)
	k := e.key
	c.work.at(now().Add(hpaEvery), "hpa-tick/"+string(h.UID), func() { c.work.reconcile(autoscalers, k) })
	ref := h.Spec.ScaleTargetRef
	res := c.registry.kind(ref.APIVersion, ref.Kind)
	if res == nil || res.scale == nil {
		return
	}
	target := c.store.get(res.gr(), key{e.key.ns, ref.Name})
	if target == nil {
		return
	}
	current := int32(number(target.u, res.scale.spec...))
	used, reason := int32(0), "cpu resource utilization (percentage of request) is above or below target"
	desired := current
	if c.opts.HPA != nil {
		used = c.opts.HPA(e.key.ns, e.key.name)
		desired, reason = desiredReplicas(h, current, used), fmt.Sprintf("cpu resource utilization (percentage of request) is %d", used)
	}
	if current > 0 {
		desired = min(max(desired, *h.Spec.MinReplicas), h.Spec.MaxReplicas)
	}
	if desired != current {
		u := target.u.DeepCopy()
		_ = unstructured.SetNestedField(u.Object, int64(desired), res.scale.spec...)
		if _, err := c.update(res, target.key, u, write{manager: controllerManager, sub: "scale"}); err != nil {
			return
		}
		c.event(e, "horizontal-pod-autoscaler", corev1.EventTypeNormal, "SuccessfulRescale",
			"New size: %d; reason: %s", desired, reason)
	}
	c.autoscalerStatus(h, current, desired, used)
}

// desiredReplicas is the HPA's arithmetic. Zero replicas switch it off.
func desiredReplicas(h *autoscalingv2.HorizontalPodAutoscaler, current, used int32) int32 {
	if current == 0 {
		return 0
	}
	target := int32(hpaTarget)
	for _, m := range h.Spec.Metrics {
		if m.Resource != nil && m.Resource.Target.AverageUtilization != nil {
			target = *m.Resource.Target.AverageUtilization
		}
	}
	desired := current
	if ratio := float64(used) / float64(target); math.Abs(ratio-1) > hpaTolerance {
		desired = int32(math.Ceil(ratio * float64(current)))
	}
	return desired
}

// active says whether the autoscaler can scale.
func (c *Cluster) active(current int32) autoscalingv2.HorizontalPodAutoscalerCondition {
	cond := autoscalingv2.HorizontalPodAutoscalerCondition{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue,
		Reason: "ValidMetricFound", Message: "the HPA was able to successfully calculate a replica count"}
	switch {
	case current == 0:
		cond.Status, cond.Reason, cond.Message = corev1.ConditionFalse, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero"
	case c.opts.HPA == nil:
		cond.Status, cond.Reason, cond.Message = corev1.ConditionFalse, "FailedGetResourceMetric", "the HPA was unable to compute the replica count: there are no metrics"
	}
	return cond
}

func (c *Cluster) autoscalerStatus(h *autoscalingv2.HorizontalPodAutoscaler, current, desired, used int32) {
	s := *h.Status.DeepCopy()
	generation := h.Generation
	s.ObservedGeneration, s.CurrentReplicas, s.DesiredReplicas = &generation, current, desired
	at := metav1.NewTime(now())
	if current != desired {
		s.LastScaleTime = &at
	}
	if c.opts.HPA != nil {
		s.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
			Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: &used},
		}}}
	}
	cond := c.active(current)
	cond.LastTransitionTime = at
	if len(s.Conditions) == 0 || s.Conditions[0].Reason != cond.Reason {
		s.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{cond}
	}
	if apiequality.Semantic.DeepEqual(h.Status, s) {
		return
	}
	h = h.DeepCopy()
	h.Status = s
	_ = c.save(autoscalers, h, "status", controllerManager)
}
