package kubetest

import (
	"cmp"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// deleteFirst orders pods by who goes first when there are too many: not
// assigned, pending, not ready, cheap to delete, ready for a shorter time,
// restarted more often, younger.
func deleteFirst(a, b *corev1.Pod) int {
	return cmp.Or(
		cmp.Compare(flag(a.Spec.NodeName != ""), flag(b.Spec.NodeName != "")),
		cmp.Compare(phaseRank(a), phaseRank(b)),
		cmp.Compare(flag(podReady(a) != nil), flag(podReady(b) != nil)),
		cmp.Compare(deletionCost(a), deletionCost(b)),
		readySince(b).Compare(readySince(a)),
		cmp.Compare(restarts(b), restarts(a)),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
		cmp.Compare(a.Name, b.Name),
	)
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

func phaseRank(p *corev1.Pod) int {
	switch p.Status.Phase {
	case corev1.PodPending:
		return 0
	case corev1.PodUnknown:
		return 1
	}
	return 2
}

func deletionCost(p *corev1.Pod) int {
	n, err := strconv.Atoi(p.Annotations[corev1.PodDeletionCost])
	if err != nil {
		return 0
	}
	return n
}

// podReady returns the pod's Ready condition if that is true.
func podReady(p *corev1.Pod) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if c := &p.Status.Conditions[i]; c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

func readySince(p *corev1.Pod) time.Time {
	if c := podReady(p); c != nil {
		return c.LastTransitionTime.Time
	}
	return time.Time{}
}

func availableAt(p *corev1.Pod, minReadySeconds int32) time.Time {
	if minReadySeconds == 0 {
		return time.Time{}
	}
	return readySince(p).Add(time.Duration(minReadySeconds) * time.Second)
}

func restarts(p *corev1.Pod) (n int32) {
	for i := range p.Status.ContainerStatuses {
		n = max(n, p.Status.ContainerStatuses[i].RestartCount)
	}
	return n
}
