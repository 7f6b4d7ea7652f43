package kubetest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

func podOf(e *entry) *corev1.Pod { return e.typed().(*corev1.Pod) }

func hasContainer(p *corev1.Pod, name string) bool {
	for i := range p.Spec.Containers {
		if p.Spec.Containers[i].Name == name {
			return true
		}
	}
	return false
}

func waitingReason(p *corev1.Pod) string {
	for i := range p.Status.ContainerStatuses {
		if w := p.Status.ContainerStatuses[i].State.Waiting; w != nil {
			return w.Reason
		}
	}
	return "ContainerCreating"
}

// logLines is the scripted log, or a line or two that a person would expect.
func logLines(p *corev1.Pod, b Behavior, previous bool) []string {
	if previous && b.PreviousLog != nil {
		return b.PreviousLog
	}
	if b.Log != nil {
		return b.Log
	}
	lines := []string{"starting " + p.Spec.Containers[0].Image}
	if b.Crash {
		code := b.Exit
		if code == 0 {
			code = 1
		}
		lines = append(lines, fmt.Sprintf("fatal: exit status %d", code))
	}
	return lines
}
