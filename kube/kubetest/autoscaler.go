package kubetest

import (
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
// change within a tolerance of a tenth. It looks again every 15 s.
func (c *Cluster) syncAutoscaler(e *entry) {
	h := e.typed().(*autoscalingv2.HorizontalPodAutoscaler)
	if c.opts.HPA == nil || h.DeletionTimestamp != nil {
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
	used := c.opts.HPA(e.key.ns, e.key.name)
	desired := desiredReplicas(h, current, used)
	if desired != current {
		u := target.u.DeepCopy()
		_ = unstructured.SetNestedField(u.Object, int64(desired), res.scale.spec...)
		if _, err := c.update(res, target.key, u, write{manager: controllerManager, sub: "scale"}); err != nil {
			return
		}
		c.event(e, "horizontal-pod-autoscaler", corev1.EventTypeNormal, "SuccessfulRescale",
			"New size: %d; reason: cpu resource utilization (percentage of request) is %d", desired, used)
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
	return min(max(desired, *h.Spec.MinReplicas), h.Spec.MaxReplicas)
}

func (c *Cluster) autoscalerStatus(h *autoscalingv2.HorizontalPodAutoscaler, current, desired, used int32) {
	s := *h.Status.DeepCopy()
	generation := h.Generation
	s.ObservedGeneration, s.CurrentReplicas, s.DesiredReplicas = &generation, current, desired
	at := metav1.NewTime(now())
	if current != desired {
		s.LastScaleTime = &at
	}
	s.CurrentMetrics = []autoscalingv2.MetricStatus{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricStatus{
		Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: &used},
	}}}
	if len(s.Conditions) == 0 {
		s.Conditions = []autoscalingv2.HorizontalPodAutoscalerCondition{{
			Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue, Reason: "ValidMetricFound",
			Message: "the HPA was able to successfully calculate a replica count", LastTransitionTime: at,
		}}
	}
	if apiequality.Semantic.DeepEqual(h.Status, s) {
		return
	}
	h = h.DeepCopy()
	h.Status = s
	_ = c.save(autoscalers, h, "status", controllerManager)
}
