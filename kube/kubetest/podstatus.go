package kubetest

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// phase is the pod's phase at this point of its life.
func (l *podLife) phase() corev1.PodPhase {
	switch l.stage {
	case running, crashWait:
		return corev1.PodRunning
	case over:
		if l.last.ExitCode == 0 {
			return corev1.PodSucceeded
		}
		return corev1.PodFailed
	}
	return corev1.PodPending
}

// container is the status of one container. All containers of a pod share
// its life.
func (l *podLife) container(p *corev1.Pod, ctr *corev1.Container, ready bool) corev1.ContainerStatus {
	started := l.stage == running
	s := corev1.ContainerStatus{
		Name: ctr.Name, Image: ctr.Image, Ready: ready, Started: &started, RestartCount: l.restarts,
	}
	if l.last != nil {
		s.LastTerminationState.Terminated = l.last
	}
	waiting := func(reason, format string, args ...any) {
		s.State.Waiting = &corev1.ContainerStateWaiting{Reason: reason, Message: fmt.Sprintf(format, args...)}
	}
	switch l.stage {
	case creating:
		waiting("ContainerCreating", "")
	case pullError:
		waiting("ErrImagePull", "rpc error: code = NotFound desc = failed to pull and unpack image %q: not found", ctr.Image)
	case pullWait:
		waiting("ImagePullBackOff", "Back-off pulling image %q: ErrImagePull: rpc error: code = NotFound desc = failed to pull and unpack image %q: not found", ctr.Image, ctr.Image)
	case crashWait:
		waiting("CrashLoopBackOff", "back-off %s restarting failed container=%s pod=%s_%s(%s)", l.backOff, ctr.Name, p.Name, p.Namespace, p.UID)
	case running:
		s.State.Running = &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(l.started)}
		s.ContainerID, s.ImageID = containerID(p, l), ctr.Image
	case over:
		s.State.Terminated, s.LastTerminationState.Terminated = l.last, nil
		s.ContainerID, s.ImageID = containerID(p, l), ctr.Image
	}
	return s
}

// podConditions sets the conditions that the kubelet owns. Ready also needs
// the pod's readiness gates, which others set.
func podConditions(p *corev1.Pod, l *podLife, ready bool) {
	is := func(t corev1.PodConditionType, ok bool, reason, message string) {
		if ok {
			setPodCondition(p, t, corev1.ConditionTrue, "", "")
		} else {
			setPodCondition(p, t, corev1.ConditionFalse, reason, message)
		}
	}
	reason, message := "ContainersNotReady", ""
	if l.stage == over {
		reason = "PodCompleted"
	} else {
		message = fmt.Sprintf("containers with unready status: %v", containerNames(p))
	}
	is(corev1.PodScheduled, true, "", "")
	is(corev1.PodReadyToStartContainers, l.ip != "", "", "")
	is(corev1.PodInitialized, true, "", "")
	is(corev1.ContainersReady, ready, reason, message)
	if ready {
		for _, gate := range p.Spec.ReadinessGates {
			if cond := podCondition(p, gate.ConditionType); cond == nil || cond.Status != corev1.ConditionTrue {
				ready, reason = false, "ReadinessGatesNotReady"
				message = fmt.Sprintf("corresponding condition of pod readiness gate %q does not exist.", gate.ConditionType)
			}
		}
	}
	is(corev1.PodReady, ready, reason, message)
}

func containerNames(p *corev1.Pod) []string {
	names := make([]string, len(p.Spec.Containers))
	for i := range p.Spec.Containers {
		names[i] = p.Spec.Containers[i].Name
	}
	return names
}
