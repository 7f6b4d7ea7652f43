package kubetest

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// autoscalerBounds: an autoscaler keeps a workload between its minimum and its
// maximum, also where there are no metrics, through the scale subresource; one
// that somebody has scaled to zero it leaves alone.
func autoscalerBounds(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	used := int32(50)
	_, err := s.client.AutoscalingV2().HorizontalPodAutoscalers(s.ns).Create(s.ctx, &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "app"},
			MinReplicas:    pointer[int32](2), MaxReplicas: 3,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &used},
			}}},
		},
	}, metav1.CreateOptions{})
	s.ok(err)
	replicas := func(what string, want int32) {
		s.t.Helper()
		s.eventually(what, func() (bool, string) {
			got := *s.get("app").Spec.Replicas
			return got == want, fmt.Sprint(got, " replicas")
		})
	}
	scale := func(n int) {
		s.t.Helper()
		_, err := s.client.AppsV1().Deployments(s.ns).Patch(s.ctx, "app", types.MergePatchType, fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n), metav1.PatchOptions{FieldManager: "person"})
		s.ok(err)
	}
	replicas("the minimum", 2)
	owned := false
	for _, f := range s.get("app").ManagedFields {
		owned = owned || f.Subresource == "scale" && strings.Contains(f.FieldsV1.GetRawString(), "f:replicas")
	}
	s.check(owned, "the replicas were not written through the scale subresource: %+v", s.get("app").ManagedFields)
	s.hasEvent("HorizontalPodAutoscaler", "SuccessfulRescale", "New size: 2")
	scale(5)
	replicas("the maximum", 3)
	scale(0)
	s.eventually("scaling is disabled", func() (bool, string) {
		h, err := s.client.AutoscalingV2().HorizontalPodAutoscalers(s.ns).Get(s.ctx, "app", metav1.GetOptions{})
		s.ok(err)
		for _, c := range h.Status.Conditions {
			if c.Type == autoscalingv2.ScalingActive && c.Status == corev1.ConditionFalse && c.Reason == "ScalingDisabled" {
				return true, ""
			}
		}
		return false, fmt.Sprintf("%+v", h.Status.Conditions)
	})
	s.equal("replicas", int32(0), *s.get("app").Spec.Replicas)
}
