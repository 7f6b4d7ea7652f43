package kubelet

import (
	"fmt"
	"strings"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// status puts the pod's status together from its containers.
func (p *pod) status() v1.PodStatus {
	unready := p.latest.Annotations[annotationPrefix+"unready"] == "true"
	status := v1.PodStatus{
		ObservedGeneration: p.latest.Generation,
		HostIP:             p.k.o.IP.String(),
		HostIPs:            []v1.HostIP{{IP: p.k.o.IP.String()}},
		PodIP:              p.ip.String(),
		PodIPs:             []v1.PodIP{{IP: p.ip.String()}},
		StartTime:          &p.started,
	}
	for _, c := range p.containers {
		s := c.snapshot()
		s.Ready = s.Ready && !unready
		status.ContainerStatuses = append(status.ContainerStatuses, s)
	}
	for i := range p.first.Spec.InitContainers {
		status.InitContainerStatuses = append(status.InitContainerStatuses, p.initStatus(&p.first.Spec.InitContainers[i]))
	}
	status.Phase = phase(p.first.Spec.RestartPolicy, status.ContainerStatuses)
	status.Conditions = p.conditions(status.Phase, status.ContainerStatuses)
	return status
}

// phase follows the rules of a genuine kubelet: a container that never ran keeps
// the pod Pending, one that waits for its restart doesn't.
func phase(policy v1.RestartPolicy, containers []v1.ContainerStatus) v1.PodPhase {
	ended, failed := 0, 0
	for _, c := range containers {
		switch {
		case c.State.Waiting != nil && c.LastTerminationState.Terminated == nil:
			return v1.PodPending
		case c.State.Terminated != nil:
			again := policy == v1.RestartPolicyAlways || policy == v1.RestartPolicyOnFailure && c.State.Terminated.ExitCode != 0
			if !again {
				ended++
			}
			if c.State.Terminated.ExitCode != 0 {
				failed++
			}
		}
	}
	switch {
	case ended < len(containers):
		return v1.PodRunning
	case failed > 0:
		return v1.PodFailed
	default:
		return v1.PodSucceeded
	}
}

func (p *pod) conditions(phase v1.PodPhase, containers []v1.ContainerStatus) []v1.PodCondition {
	var waiting []string
	for _, c := range containers {
		if !c.Ready {
			waiting = append(waiting, c.Name)
		}
	}
	reason, message := "", ""
	switch {
	case phase == v1.PodSucceeded:
		reason = "PodCompleted"
	case phase == v1.PodFailed:
		reason = "PodFailed"
	case len(waiting) > 0:
		reason, message = "ContainersNotReady", fmt.Sprintf("containers with unready status: [%s]", strings.Join(waiting, " "))
	}
	gates := p.closedGates()
	ready := p.condition(v1.PodReady, reason == "" && len(gates) == 0, reason, message)
	if reason == "" && len(gates) > 0 {
		ready.Reason = "ReadinessGatesNotReady"
		ready.Message = fmt.Sprintf("the status of pod readiness gates is not \"True\": [%s]", strings.Join(gates, " "))
	}
	return []v1.PodCondition{
		p.condition(v1.PodReadyToStartContainers, true, "", ""),
		p.condition(v1.PodInitialized, true, "", ""),
		p.condition(v1.ContainersReady, reason == "", reason, message),
		ready,
	}
}

// closedGates lists the readiness gates that are not True.
func (p *pod) closedGates() []string {
	var closed []string
	for _, gate := range p.latest.Spec.ReadinessGates {
		open := false
		for _, condition := range p.latest.Status.Conditions {
			open = open || condition.Type == gate.ConditionType && condition.Status == v1.ConditionTrue
		}
		if !open {
			closed = append(closed, string(gate.ConditionType))
		}
	}
	return closed
}

// condition keeps the transition time of a condition whose status stays the same.
func (p *pod) condition(kind v1.PodConditionType, on bool, reason, message string) v1.PodCondition {
	c := v1.PodCondition{Type: kind, Status: v1.ConditionFalse, Reason: reason, Message: message,
		ObservedGeneration: p.latest.Generation, LastTransitionTime: metav1.Now()}
	if on {
		c.Status = v1.ConditionTrue
	}
	for _, old := range p.written.Conditions {
		if old.Type == kind && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
	}
	return c
}

// initStatus is that of an init container, which succeeds at once.
func (p *pod) initStatus(c *v1.Container) v1.ContainerStatus {
	return v1.ContainerStatus{
		Name: c.Name, Image: c.Image, ImageID: reference(c.Image).id(), Ready: true,
		State: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{
			Reason: "Completed", StartedAt: p.started, FinishedAt: p.started,
		}},
	}
}
