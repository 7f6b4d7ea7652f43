package kube

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// deploymentReady: kubectl pkg/polymorphichelpers/rollout_status.go
// (DeploymentStatusViewer), with a paused Deployment reported.
func deploymentReady(u *unstructured.Unstructured) Readiness {
	if !observed(u) {
		return waiting("its controller has not seen generation %d", u.GetGeneration())
	}
	if _, reason, msg := condition(u, "Progressing"); reason == "ProgressDeadlineExceeded" {
		return failed("%s: %s", reason, msg)
	}
	want := integerOr(1, u.Object, "spec", "replicas")
	updated := integer(u.Object, "status", "updatedReplicas")
	all := integer(u.Object, "status", "replicas")
	available := integer(u.Object, "status", "availableReplicas")
	switch {
	case boolean(u.Object, "spec", "paused") && updated < want:
		return waiting("it is paused; resume it")
	case updated < want:
		return waiting("%d of %d pods are updated", updated, want)
	case all > updated:
		return waiting("%d old pods remain", all-updated)
	case available < updated:
		return waiting("%d of %d pods are available", available, updated)
	}
	return ready()
}

// replicaSetReady: kstatus core.go (replicasetConditions).
func replicaSetReady(u *unstructured.Unstructured) Readiness {
	if !observed(u) {
		return waiting("its controller has not seen generation %d", u.GetGeneration())
	}
	want := integerOr(1, u.Object, "spec", "replicas")
	if n := integer(u.Object, "status", "availableReplicas"); n < want {
		if status, reason, msg := condition(u, "ReplicaFailure"); status == "True" {
			return waiting("%s: %s", reason, msg)
		}
		return waiting("%d of %d pods are available", n, want)
	}
	return ready()
}

// statefulSetReady: kubectl rollout_status.go (StatefulSetStatusViewer). With
// OnDelete, where kstatus says ready at once, every pod must be updated.
func statefulSetReady(u *unstructured.Unstructured) Readiness {
	if !observed(u) {
		return waiting("its controller has not seen generation %d", u.GetGeneration())
	}
	want := integerOr(1, u.Object, "spec", "replicas")
	readyPods := integer(u.Object, "status", "readyReplicas")
	updated := integer(u.Object, "status", "updatedReplicas")
	partition := integer(u.Object, "spec", "updateStrategy", "rollingUpdate", "partition")
	onDelete := str(u.Object, "spec", "updateStrategy", "type") == "OnDelete"
	same := str(u.Object, "status", "updateRevision") == str(u.Object, "status", "currentRevision")
	switch {
	case readyPods < want:
		return waiting("%d of %d pods are ready", readyPods, want)
	case partition > 0 && updated < want-partition:
		return waiting("%d of %d pods are updated", updated, want-partition)
	case partition > 0:
		return ready()
	case onDelete && !same:
		return waiting("%d of %d pods are updated; it updates on delete: delete the others", updated, want)
	case !same:
		return waiting("%d of %d pods are updated", updated, want)
	}
	return ready()
}

// daemonSetReady: kubectl rollout_status.go (DaemonSetStatusViewer); with
// OnDelete kubectl refuses, here every pod must be updated.
func daemonSetReady(u *unstructured.Unstructured) Readiness {
	if !observed(u) {
		return waiting("its controller has not seen generation %d", u.GetGeneration())
	}
	want := integer(u.Object, "status", "desiredNumberScheduled")
	updated := integer(u.Object, "status", "updatedNumberScheduled")
	available := integer(u.Object, "status", "numberAvailable")
	switch {
	case updated < want:
		return waiting("%d of %d pods are updated", updated, want)
	case available < want:
		return waiting("%d of %d pods are available", available, want)
	}
	return ready()
}

// jobReady: batch/v1 JobConditionType. A running Job is not ready, unlike in
// kstatus core.go (jobConditions).
func jobReady(u *unstructured.Unstructured) Readiness {
	if status, reason, msg := condition(u, "Failed"); status == "True" {
		return failed("%s: %s", orText(reason, "Failed"), msg)
	}
	if status, _, _ := condition(u, "Complete"); status == "True" {
		return ready()
	}
	if status, reason, msg := condition(u, "FailureTarget"); status == "True" {
		return failed("%s: %s", orText(reason, "FailureTarget"), msg)
	}
	if boolean(u.Object, "spec", "suspend") {
		return waiting("it is suspended")
	}
	return waiting("%d of %d pods have succeeded", integer(u.Object, "status", "succeeded"), integerOr(1, u.Object, "spec", "completions"))
}

// podReady: core/v1 PodPhase and the Ready condition. A failed pod is failed,
// which kstatus core.go (podConditions) calls current.
func podReady(u *unstructured.Unstructured) Readiness {
	switch phase := str(u.Object, "status", "phase"); phase {
	case "Succeeded":
		return ready()
	case "Failed":
		return failed("%s: %s", orText(str(u.Object, "status", "reason"), "Failed"), str(u.Object, "status", "message"))
	}
	if t, bad := podTrouble(u); bad && t.class != "unschedulable" {
		return failed("%s: %s", t.reason, t.message)
	}
	if status, reason, msg := condition(u, "Ready"); status != "True" {
		return waiting("%s: %s", orText(reason, "not ready"), msg)
	}
	return ready()
}
