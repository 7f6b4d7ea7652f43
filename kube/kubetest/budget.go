package kubetest

import (
	policyv1 "k8s.io/api/policy/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
)

func budgetOf(e *entry) *policyv1.PodDisruptionBudget {
	return e.typed().(*policyv1.PodDisruptionBudget)
}

func selects(s *metav1.LabelSelector, e *entry) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(labels.Set(e.u.GetLabels()))
}

func fromMap(m map[string]any, into any) error {
	return runtime.DefaultUnstructuredConverter.FromUnstructured(m, into)
}

// syncBudget computes how many pods of a PodDisruptionBudget may be evicted.
func (c *Cluster) syncBudget(e *entry) {
	b := budgetOf(e)
	var expected, healthy int32
	for _, o := range c.store.list(pods, e.key.ns) {
		p := podOf(o)
		if !selects(b.Spec.Selector, o) || p.DeletionTimestamp != nil {
			continue
		}
		expected++
		if podReady(p) != nil {
			healthy++
		}
	}
	s := *b.Status.DeepCopy()
	s.ObservedGeneration, s.ExpectedPods, s.CurrentHealthy = b.Generation, expected, healthy
	switch {
	case b.Spec.MinAvailable != nil:
		s.DesiredHealthy = scaled(b.Spec.MinAvailable, expected, true)
	default:
		s.DesiredHealthy = max(0, expected-scaled(b.Spec.MaxUnavailable, expected, true))
	}
	s.DisruptionsAllowed = 0
	if expected > 0 {
		s.DisruptionsAllowed = max(0, healthy-s.DesiredHealthy)
	}
	if apiequality.Semantic.DeepEqual(s, b.Status) {
		return
	}
	b = b.DeepCopy()
	b.Status = s
	_ = c.save(budgets, b, "status", controllerManager)
}
