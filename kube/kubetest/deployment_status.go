package kubetest

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (r *rollout) condition(t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	return deploymentCondition(&r.d.Status, t)
}

func deploymentCondition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) *appsv1.DeploymentCondition {
	for i := range s.Conditions {
		if s.Conditions[i].Type == t {
			return &s.Conditions[i]
		}
	}
	return nil
}

func (r *rollout) setCondition(t appsv1.DeploymentConditionType, is corev1.ConditionStatus, reason, message string) {
	setDeploymentCondition(&r.d.Status, t, is, reason, message)
}

// setDeploymentCondition leaves a condition of the same status and reason as
// it is, its times included.
func setDeploymentCondition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType, is corev1.ConditionStatus, reason, message string) {
	at := metav1.NewTime(now())
	next := appsv1.DeploymentCondition{Type: t, Status: is, Reason: reason, Message: message, LastUpdateTime: at, LastTransitionTime: at}
	if old := deploymentCondition(s, t); old != nil {
		if old.Status == is && old.Reason == reason {
			return
		}
		if old.Status == is {
			next.LastTransitionTime = old.LastTransitionTime
		}
	}
	dropDeploymentCondition(s, t)
	s.Conditions = append(s.Conditions, next)
}

func dropDeploymentCondition(s *appsv1.DeploymentStatus, t appsv1.DeploymentConditionType) {
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c appsv1.DeploymentCondition) bool { return c.Type == t })
}

// measure computes the status from the ReplicaSets.
func (r *rollout) measure() appsv1.DeploymentStatus {
	s := appsv1.DeploymentStatus{
		ObservedGeneration: r.d.Generation,
		CollisionCount:     r.d.Status.CollisionCount,
		Conditions:         slices.Clone(r.d.Status.Conditions),
	}
	var terminating int32
	for _, rs := range r.all {
		s.Replicas += rs.Status.Replicas
		s.ReadyReplicas += rs.Status.ReadyReplicas
		s.AvailableReplicas += rs.Status.AvailableReplicas
		if rs.Status.TerminatingReplicas != nil {
			terminating += *rs.Status.TerminatingReplicas
		}
	}
	s.TerminatingReplicas = &terminating
	if n := r.newest(); n != nil {
		s.UpdatedReplicas = n.Status.Replicas
	}
	s.UnavailableReplicas = max(0, specReplicas(r.all)-s.AvailableReplicas)
	_, unavailable := r.limits()
	if s.AvailableReplicas >= r.replicas()-unavailable {
		setDeploymentCondition(&s, appsv1.DeploymentAvailable, corev1.ConditionTrue, "MinimumReplicasAvailable", "Deployment has minimum availability.")
	} else {
		setDeploymentCondition(&s, appsv1.DeploymentAvailable, corev1.ConditionFalse, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
	}
	return s
}

// status writes the counts, and no verdict on progress.
func (r *rollout) status() { r.writeStatus(r.measure()) }

func (r *rollout) writeStatus(s appsv1.DeploymentStatus) {
	stored := r.c.store.get(deployments, key{r.d.Namespace, r.d.Name})
	if stored == nil || apiequality.Semantic.DeepEqual(stored.typed().(*appsv1.Deployment).Status, s) {
		return
	}
	r.d.Status = s
	_ = r.c.save(deployments, r.d, "status", controllerManager)
}

func (r *rollout) complete(s *appsv1.DeploymentStatus) bool {
	return s.UpdatedReplicas == r.replicas() && s.Replicas == r.replicas() &&
		s.AvailableReplicas == r.replicas() && s.ObservedGeneration >= r.d.Generation
}

func (r *rollout) progressing(s *appsv1.DeploymentStatus) bool {
	was := &r.d.Status
	return s.UpdatedReplicas > was.UpdatedReplicas || s.Replicas-s.UpdatedReplicas < was.Replicas-was.UpdatedReplicas ||
		s.ReadyReplicas > was.ReadyReplicas || s.AvailableReplicas > was.AvailableReplicas
}

// rolloutStatus writes the counts and judges progress: complete, progressing,
// or past its deadline.
func (r *rollout) rolloutStatus() {
	s := r.measure()
	if r.d.Spec.ProgressDeadlineSeconds == nil {
		dropDeploymentCondition(&s, appsv1.DeploymentProgressing)
	} else {
		r.judge(&s)
	}
	r.failures(&s)
	r.writeStatus(s)
	r.watchDeadline(&s)
}

func (r *rollout) judge(s *appsv1.DeploymentStatus) {
	cur := deploymentCondition(s, appsv1.DeploymentProgressing)
	if s.Replicas == s.UpdatedReplicas && cur != nil && cur.Reason == "NewReplicaSetAvailable" {
		return
	}
	name := fmt.Sprintf("Deployment %q", r.d.Name)
	if n := r.newest(); n != nil {
		name = fmt.Sprintf("ReplicaSet %q", n.Name)
	}
	switch {
	case r.complete(s):
		setDeploymentCondition(s, appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetAvailable", name+" has successfully progressed.")
	case r.progressing(s):
		at := metav1.NewTime(now())
		next := appsv1.DeploymentCondition{
			Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "ReplicaSetUpdated",
			Message: name + " is progressing.", LastUpdateTime: at, LastTransitionTime: at,
		}
		if cur != nil && cur.Status == corev1.ConditionTrue {
			next.LastTransitionTime = cur.LastTransitionTime
		}
		dropDeploymentCondition(s, appsv1.DeploymentProgressing)
		s.Conditions = append(s.Conditions, next)
	case r.timedOut(cur):
		setDeploymentCondition(s, appsv1.DeploymentProgressing, corev1.ConditionFalse, "ProgressDeadlineExceeded", name+" has timed out progressing.")
	}
}

func (r *rollout) timedOut(cur *appsv1.DeploymentCondition) bool {
	if cur == nil || cur.Reason == "NewReplicaSetAvailable" {
		return false
	}
	if cur.Reason == "ProgressDeadlineExceeded" {
		return true
	}
	return secondsSince(cur.LastUpdateTime) >= time.Duration(*r.d.Spec.ProgressDeadlineSeconds)*time.Second
}

// watchDeadline comes back when the deadline may have passed.
func (r *rollout) watchDeadline(s *appsv1.DeploymentStatus) {
	cur := deploymentCondition(s, appsv1.DeploymentProgressing)
	if r.d.Spec.ProgressDeadlineSeconds == nil || cur == nil || r.complete(s) || cur.Reason == "ProgressDeadlineExceeded" || cur.Reason == "NewReplicaSetAvailable" {
		return
	}
	k := key{r.d.Namespace, r.d.Name}
	when := cur.LastUpdateTime.Add(time.Duration(*r.d.Spec.ProgressDeadlineSeconds)*time.Second + time.Second)
	r.c.work.at(when, "deadline/"+string(r.d.UID), func() { r.c.work.reconcile(deployments, k) })
}

// failures lifts the ReplicaSets' failure conditions to the Deployment.
func (r *rollout) failures(s *appsv1.DeploymentStatus) {
	var found *appsv1.ReplicaSetCondition
	for _, rs := range append(r.old(), r.newest()) {
		if rs == nil {
			continue
		}
		for i := range rs.Status.Conditions {
			if c := &rs.Status.Conditions[i]; c.Type == appsv1.ReplicaSetReplicaFailure {
				found = c
			}
		}
	}
	if found == nil {
		dropDeploymentCondition(s, appsv1.DeploymentReplicaFailure)
		return
	}
	setDeploymentCondition(s, appsv1.DeploymentReplicaFailure, found.Status, found.Reason, found.Message)
}
