package kube

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// A Patience says how long evidence of a class must stay before a rollout fails
// because of it. Zero fields mean the default; a negative one means at once.
type Patience struct {
	// Image is for images that cannot be pulled. Default 3 s: a registry may stumble once.
	Image time.Duration
	// Config is for containers that cannot be created, as for a missing Secret. Default 3 s.
	Config time.Duration
	// Crash is for containers in CrashLoopBackOff. Default at once: it has crashed more than once by then.
	Crash time.Duration
	// Unschedulable is for pods that fit on no node. Default 5 s; raise it where an autoscaler adds nodes.
	Unschedulable time.Duration
	// Refused is for pods that quota or admission refuse. Default 5 s: an old pod may be about to make room.
	Refused time.Duration
}

func (p Patience) of(class string) time.Duration {
	d, def := time.Duration(0), time.Duration(0)
	switch class {
	case "image":
		d, def = p.Image, 3*time.Second
	case "config":
		d, def = p.Config, 3*time.Second
	case "crash":
		d = p.Crash
	case "unschedulable":
		d, def = p.Unschedulable, 5*time.Second
	case "refused":
		d, def = p.Refused, 5*time.Second
	}
	if d == 0 {
		return def
	}
	return max(d, 0)
}

// trouble is evidence that a pod will not become ready.
type trouble struct {
	class     string
	reason    string // as Kubernetes writes it
	message   string
	object    string // what it is about, e.g. "Deployment shop/web"
	pod       string
	container string
	crashed   bool // the log before the last restart tells more
	running   bool // the log of the container may tell more
	waits     bool // the strategy's deadline decides
}

// waitingClass sorts the reasons of a waiting container. Source: kubelet
// pkg/kubelet/images/types.go, pkg/kubelet/container/sync_result.go and
// pkg/kubelet/kuberuntime (errors of container creation).
var waitingClass = map[string]string{
	"ErrImagePull": "image", "ImagePullBackOff": "image", "ErrImageNeverPull": "image", "InvalidImageName": "image",
	"ImageInspectError": "image", "RegistryUnavailable": "image", "SignatureValidationFailed": "image",
	"CreateContainerConfigError": "config", "CreateContainerError": "config", "PreCreateHookError": "config",
	"PreStartHookError": "config", "PostStartHookError": "crash", "RunContainerError": "config",
	"CrashLoopBackOff": "crash",
}

// podTrouble looks for evidence in one pod's status.
func podTrouble(pod *unstructured.Unstructured) (trouble, bool) {
	t := trouble{object: objectOf(pod).String(), pod: pod.GetName()}
	if pod.GetDeletionTimestamp() != nil {
		return t, false
	}
	if str(pod.Object, "status", "phase") == "Failed" {
		t.class, t.reason, t.message = "crash", orText(str(pod.Object, "status", "reason"), "Failed"), str(pod.Object, "status", "message")
		return t, true
	}
	for _, c := range items(pod.Object, "status", "conditions") {
		if str(c, "type") == "PodScheduled" && str(c, "status") == "False" && str(c, "reason") == "Unschedulable" {
			t.class, t.reason, t.message = "unschedulable", "Unschedulable", str(c, "message")
			return t, true
		}
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range items(pod.Object, "status", list) {
			reason := str(c, "state", "waiting", "reason")
			class := waitingClass[reason]
			if class == "" {
				continue
			}
			t.class, t.reason, t.container = class, reason, str(c, "name")
			t.message = containerMessage(c, class)
			t.crashed = class == "crash"
			return t, true
		}
	}
	return t, false
}

// unready says why a pod is not ready, as far as its status tells.
func unready(pod *unstructured.Unstructured) (trouble, bool) {
	t := trouble{class: "unready", reason: "NotReady", object: objectOf(pod).String(), pod: pod.GetName(), waits: true}
	if !runs(pod) {
		return t, false
	}
	for _, c := range items(pod.Object, "status", "conditions") {
		if str(c, "type") != "Ready" {
			continue
		}
		if str(c, "status") == "True" {
			return t, false
		}
		t.reason, t.message = orText(str(c, "reason"), t.reason), str(c, "message")
	}
	for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, c := range items(pod.Object, "status", list) {
			_, ended, _ := unstructured.NestedMap(c, "state", "terminated")
			if boolean(c, "ready") || ended && list == "initContainerStatuses" {
				continue
			}
			_, t.running, _ = unstructured.NestedMap(c, "state", "running")
			t.container = str(c, "name")
			return t, true
		}
	}
	return t, true
}

// containerMessage says what happened to a container that waits.
func containerMessage(c map[string]any, class string) string {
	msg := str(c, "state", "waiting", "message")
	if class == "image" {
		msg = strings.TrimSpace("image " + str(c, "image") + ": " + msg)
	}
	if class == "crash" {
		msg = fmt.Sprintf("%d restarts", integer(c, "restartCount"))
		if last, ok, _ := unstructured.NestedMap(c, "lastState", "terminated"); ok {
			msg += fmt.Sprintf(", last exit code %d", integer(last, "exitCode"))
			if why := str(last, "reason"); why != "" && why != "Error" {
				msg += " (" + why + ")"
			}
			if why := str(last, "message"); why != "" {
				msg += ": " + why
			}
		}
	}
	return msg
}

// workloadTrouble looks for evidence in the status of a Deployment: pods that
// cannot even be created, and its own deadline. Evidence that is older than the
// generation written does not count.
func workloadTrouble(u *unstructured.Unstructured) (trouble, bool) {
	t := trouble{object: objectOf(u).String()}
	if integer(u.Object, "status", "observedGeneration") < u.GetGeneration() {
		return t, false
	}
	for _, c := range items(u.Object, "status", "conditions") {
		kind, status, reason := str(c, "type"), str(c, "status"), str(c, "reason")
		switch {
		case kind == "ReplicaFailure" && status == "True":
			t.class, t.reason, t.message = "refused", orText(reason, "FailedCreate"), str(c, "message")
			return t, true
		case kind == "Progressing" && reason == "ProgressDeadlineExceeded":
			t.class, t.reason, t.message = "deadline", reason, str(c, "message")
			return t, true
		}
	}
	return t, false
}

func orText(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
