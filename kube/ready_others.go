package kube

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// claimReady: core/v1 PersistentVolumeClaimPhase. A claim whose class binds at
// first use (WaitForFirstConsumer) stays Pending until a pod uses it, and the
// claim does not say so; so only a lost claim holds a release up, and the pods
// show whether they got their volume.
func claimReady(u *unstructured.Unstructured) Readiness {
	if str(u.Object, "status", "phase") == "Lost" {
		return failed("its volume is lost")
	}
	return ready()
}

// serviceReady: core/v1 ServiceStatus; a LoadBalancer has an address, which
// kstatus core.go (serviceConditions) does not ask for.
func serviceReady(u *unstructured.Unstructured) Readiness {
	if str(u.Object, "spec", "type") == "LoadBalancer" && len(items(u.Object, "status", "loadBalancer", "ingress")) == 0 {
		return waiting("the load balancer has no address yet")
	}
	return ready()
}

// ingressAddress is the rule for Ingresses whose controller writes addresses.
func ingressAddress(u *unstructured.Unstructured) Readiness {
	if len(items(u.Object, "status", "loadBalancer", "ingress")) == 0 {
		return waiting("its controller has given it no address yet")
	}
	return ready()
}

// namespaceReady: core/v1 NamespacePhase.
func namespaceReady(u *unstructured.Unstructured) Readiness {
	if p := str(u.Object, "status", "phase"); p == "Terminating" {
		return waiting("it is being deleted")
	}
	return ready()
}

// autoscalerReady: autoscaling/v2 HorizontalPodAutoscalerCondition. Missing
// metrics are no reason to stop a release; a target that cannot be scaled is.
func autoscalerReady(u *unstructured.Unstructured) Readiness {
	if status, reason, msg := condition(u, "AbleToScale"); status == "False" {
		return waiting("%s: %s", reason, msg)
	}
	return ready()
}

// budgetReady: policy/v1 PodDisruptionBudgetStatus.
func budgetReady(u *unstructured.Unstructured) Readiness {
	if !observed(u) {
		return waiting("its controller has not seen generation %d", u.GetGeneration())
	}
	return ready()
}

// definitionReady: apiextensions/v1 CustomResourceDefinitionConditionType.
func definitionReady(u *unstructured.Unstructured) Readiness {
	if status, reason, msg := condition(u, "NamesAccepted"); status == "False" {
		return failed("%s: %s", reason, msg)
	}
	if status, _, msg := condition(u, "Established"); status != "True" {
		return waiting("it is not established yet: %s", msg)
	}
	return ready()
}

// availableReady: apiregistration/v1 APIServiceConditionType.
func availableReady(u *unstructured.Unstructured) Readiness {
	if status, reason, msg := condition(u, "Available"); status != "True" {
		return waiting("%s: %s", orText(reason, "not available"), msg)
	}
	return ready()
}

// webhookReady: admissionregistration/v1 WebhookClientConfig. A Service's
// certificate is signed by an authority of the cluster, which a controller
// often writes in later; without it every call fails.
func webhookReady(u *unstructured.Unstructured) Readiness {
	for _, hook := range items(u.Object, "webhooks") {
		if str(hook, "clientConfig", "service", "name") != "" && str(hook, "clientConfig", "caBundle") == "" {
			return waiting("webhook %s has no caBundle yet", str(hook, "name"))
		}
	}
	return ready()
}
