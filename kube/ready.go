package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// State is what Readiness says about an object.
type State string

// The states of an object.
const (
	Ready   State = "ready"
	Waiting State = "waiting" // not yet, or not at the generation that was written
	Failed  State = "failed"  // it will not become ready without another write
)

// Readiness is the verdict on one object, with a reason for people.
type Readiness struct {
	State  State
	Detail string
}

func ready() Readiness { return Readiness{State: Ready} }

func waiting(format string, args ...any) Readiness {
	return Readiness{Waiting, fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) Readiness {
	return Readiness{Failed, fmt.Sprintf(format, args...)}
}

// ReadinessOf judges an object, with a rule for its kind. It is pure. after is
// the generation that the caller's own write returned, so that a stale read or a
// status about an older generation never counts as ready; zero takes the
// object's own.
//
// The rules differ from "kubectl rollout status" and kstatus where these are
// known to be wrong: a failed Pod and a running Job are not ready, a
// StatefulSet that updates on delete is not done at once, a LoadBalancer
// Service needs an address, and a generation written as a string is read.
// A kind without a rule is judged by its conditions; without conditions it is
// ready. Ready means:
//
//	Deployment        observed; all pods updated and available, no old ones     kubectl rollout_status.go
//	ReplicaSet        observed; as many available as asked for                  kstatus core.go
//	StatefulSet       observed; ready; updated down to the partition            kubectl rollout_status.go
//	DaemonSet         observed; updated and available on every node             kubectl rollout_status.go
//	Job               condition Complete                                        batch/v1 JobConditionType
//	CronJob           at once                                                   batch/v1 CronJobStatus
//	Pod               Succeeded, or condition Ready                             core/v1 PodPhase
//	PVC               not Lost; it may bind at first use                        core/v1 PersistentVolumeClaimPhase
//	Service           LoadBalancer: an address; others at once                  core/v1 ServiceStatus
//	Ingress           at once; with App.IngressAddress an address               networking/v1 IngressStatus
//	HPA               AbleToScale is not False                                  autoscaling/v2 conditions
//	PDB               observed                                                  policy/v1 PodDisruptionBudgetStatus
//	Namespace         not Terminating; the default ServiceAccount of a new one  core/v1 NamespacePhase
//	CRD               Established, and names not refused                        apiextensions/v1 conditions
//	APIService        Available                                                 apiregistration/v1 conditions
//	webhooks          a caBundle for each Service                               admissionregistration/v1 WebhookClientConfig
//	custom kinds      observed; not Stalled, not Reconciling, Ready if told     kstatus generic.go
func ReadinessOf(u *unstructured.Unstructured, after int64) Readiness {
	if u == nil {
		return waiting("it does not exist yet")
	}
	if u.GetDeletionTimestamp() != nil {
		return waiting("it is being deleted")
	}
	if g := u.GetGeneration(); g < after {
		return waiting("generation %d has not been seen yet", after)
	}
	rule := rules[u.GroupVersionKind().GroupKind().String()]
	if rule == nil {
		return custom(u)
	}
	return rule(u)
}

// rules has one row for each kind; each function names its source.
var rules = map[string]func(*unstructured.Unstructured) Readiness{
	"Deployment.apps":  deploymentReady,
	"ReplicaSet.apps":  replicaSetReady,
	"StatefulSet.apps": statefulSetReady,
	"DaemonSet.apps":   daemonSetReady,
	"Job.batch":        jobReady,
	"CronJob.batch":    always,
	"Pod":              podReady,

	"PersistentVolumeClaim": claimReady,
	"Service":               serviceReady,
	"Namespace":             namespaceReady,
	"ConfigMap":             always,
	"Secret":                always,
	"ServiceAccount":        always,

	"Ingress.networking.k8s.io":                     always,
	"HorizontalPodAutoscaler.autoscaling":           autoscalerReady,
	"PodDisruptionBudget.policy":                    budgetReady,
	"CustomResourceDefinition.apiextensions.k8s.io": definitionReady,
	"APIService.apiregistration.k8s.io":             availableReady,

	"MutatingWebhookConfiguration.admissionregistration.k8s.io":   webhookReady,
	"ValidatingWebhookConfiguration.admissionregistration.k8s.io": webhookReady,
}

// always is for kinds that are what they are once the API server has them. An
// Ingress belongs here: many controllers never write its status, see
// App.IngressAddress.
func always(*unstructured.Unstructured) Readiness { return ready() }

// observed reports whether the controller has seen the newest generation.
func observed(u *unstructured.Unstructured) bool {
	return integer(u.Object, "status", "observedGeneration") >= u.GetGeneration()
}

// condition returns status, reason and message of a condition; status is empty
// if there is none.
func condition(u *unstructured.Unstructured, kind string) (status, reason, message string) {
	for _, c := range items(u.Object, "status", "conditions") {
		if str(c, "type") == kind {
			return str(c, "status"), str(c, "reason"), str(c, "message")
		}
	}
	return "", "", ""
}

// custom follows the conventions for conditions: api-conventions.md, and
// kstatus generic.go for Stalled, Reconciling and Ready. Unlike kstatus it reads
// an observedGeneration that is written as a string (argoproj Rollout), and the
// observedGeneration of the condition itself.
func custom(u *unstructured.Unstructured) Readiness {
	v, found, _ := unstructured.NestedFieldNoCopy(u.Object, "status", "observedGeneration")
	if found {
		gen := integer(u.Object, "status", "observedGeneration")
		if s, ok := v.(string); ok {
			gen = int64(version(s))
		}
		if gen < u.GetGeneration() {
			return waiting("its controller has not seen generation %d", u.GetGeneration())
		}
	}
	for _, c := range items(u.Object, "status", "conditions") {
		if g := integerOr(u.GetGeneration(), c, "observedGeneration"); g < u.GetGeneration() {
			return waiting("condition %s is about generation %d", str(c, "type"), g)
		}
	}
	if status, reason, msg := condition(u, "Stalled"); status == "True" {
		return failed("%s: %s", orText(reason, "Stalled"), msg)
	}
	if status, reason, msg := condition(u, "Reconciling"); status == "True" {
		return waiting("%s: %s", orText(reason, "Reconciling"), msg)
	}
	if status, reason, msg := condition(u, "Ready"); status != "" && status != "True" {
		return waiting("%s: %s", orText(reason, "not ready"), msg)
	}
	return ready()
}
