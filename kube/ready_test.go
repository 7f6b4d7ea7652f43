package kube_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/gennaker/gennaker/kube"
)

func TestReadinessOf(t *testing.T) {
	const deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {generation: 3}\nspec: {replicas: 2}\n"
	cases := []struct {
		name  string
		yaml  string
		after int64
		want  kube.State
	}{
		{"deployment", deployment + "status: {observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2}", 3, kube.Ready},
		{"deployment, stale read of a finished rollout", deployment + "status: {observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2}", 4, kube.Waiting},
		{"deployment, not observed", deployment + "status: {observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 2}", 3, kube.Waiting},
		{"deployment, old pods", deployment + "status: {observedGeneration: 3, replicas: 3, updatedReplicas: 2, availableReplicas: 3}", 0, kube.Waiting},
		{"deployment, deadline", deployment + "status: {observedGeneration: 3, conditions: [{type: Progressing, status: 'False', reason: ProgressDeadlineExceeded}]}", 0, kube.Failed},
		{"deployment, of nothing", "apiVersion: apps/v1\nkind: Deployment\nspec: {replicas: 0}", 0, kube.Ready},
		{"replica set", "apiVersion: apps/v1\nkind: ReplicaSet\nspec: {replicas: 1}\nstatus: {availableReplicas: 1}", 0, kube.Ready},
		{"replica set, unavailable", "apiVersion: apps/v1\nkind: ReplicaSet\nspec: {replicas: 1}", 0, kube.Waiting},
		{"stateful set", "apiVersion: apps/v1\nkind: StatefulSet\nspec: {replicas: 1}\nstatus: {readyReplicas: 1, updateRevision: a, currentRevision: a}", 0, kube.Ready},
		{"stateful set, on delete", "apiVersion: apps/v1\nkind: StatefulSet\nspec: {replicas: 1, updateStrategy: {type: OnDelete}}\nstatus: {readyReplicas: 1, updateRevision: b, currentRevision: a}", 0, kube.Waiting},
		{"stateful set, partition", "apiVersion: apps/v1\nkind: StatefulSet\nspec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}\nstatus: {readyReplicas: 3, updatedReplicas: 1, updateRevision: b, currentRevision: a}", 0, kube.Ready},
		{"daemon set", "apiVersion: apps/v1\nkind: DaemonSet\nstatus: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}", 0, kube.Ready},
		{"daemon set, one missing", "apiVersion: apps/v1\nkind: DaemonSet\nstatus: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1}", 0, kube.Waiting},
		{"job, running", "apiVersion: batch/v1\nkind: Job\nstatus: {active: 1}", 0, kube.Waiting},
		{"job, complete", "apiVersion: batch/v1\nkind: Job\nstatus: {conditions: [{type: Complete, status: 'True'}]}", 0, kube.Ready},
		{"job, failed", "apiVersion: batch/v1\nkind: Job\nstatus: {conditions: [{type: Failed, status: 'True', reason: BackoffLimitExceeded}]}", 0, kube.Failed},
		{"pod, ready", "apiVersion: v1\nkind: Pod\nstatus: {phase: Running, conditions: [{type: Ready, status: 'True'}]}", 0, kube.Ready},
		{"pod, failed", "apiVersion: v1\nkind: Pod\nstatus: {phase: Failed}", 0, kube.Failed},
		{"pod, waiting for a node", "apiVersion: v1\nkind: Pod\nstatus: {phase: Pending, conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]}", 0, kube.Waiting},
		{"claim, lost", "apiVersion: v1\nkind: PersistentVolumeClaim\nstatus: {phase: Lost}", 0, kube.Failed},
		{"claim, bound at first use", "apiVersion: v1\nkind: PersistentVolumeClaim\nstatus: {phase: Pending}", 0, kube.Ready},
		{"service", "apiVersion: v1\nkind: Service\nspec: {type: ClusterIP}", 0, kube.Ready},
		{"service, without its address", "apiVersion: v1\nkind: Service\nspec: {type: LoadBalancer}", 0, kube.Waiting},
		{"service, with its address", "apiVersion: v1\nkind: Service\nspec: {type: LoadBalancer}\nstatus: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}", 0, kube.Ready},
		{"definition", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nstatus: {conditions: [{type: Established, status: 'True'}]}", 0, kube.Ready},
		{"definition, not established", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition", 0, kube.Waiting},
		{"definition, name taken", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nstatus: {conditions: [{type: NamesAccepted, status: 'False'}]}", 0, kube.Failed},
		{"api service", "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nstatus: {conditions: [{type: Available, status: 'False'}]}", 0, kube.Waiting},
		{"webhook", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingWebhookConfiguration\nwebhooks: [{name: a, clientConfig: {service: {name: a}, caBundle: Y2E=}}, {name: b, clientConfig: {url: 'https://b'}}]", 0, kube.Ready},
		{"webhook, without its authority", "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nwebhooks: [{name: a, clientConfig: {service: {name: a}}}]", 0, kube.Waiting},
		{"namespace, going", "apiVersion: v1\nkind: Namespace\nstatus: {phase: Terminating}", 0, kube.Waiting},
		{"custom, ready", "apiVersion: a.example/v1\nkind: Gadget\nmetadata: {generation: 2}\nstatus: {observedGeneration: 2, conditions: [{type: Ready, status: 'True'}]}", 0, kube.Ready},
		{"custom, generation as a string", "apiVersion: a.example/v1\nkind: Gadget\nmetadata: {generation: 2}\nstatus: {observedGeneration: '2'}", 0, kube.Ready},
		{"custom, old generation", "apiVersion: a.example/v1\nkind: Gadget\nmetadata: {generation: 2}\nstatus: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}", 0, kube.Waiting},
		{"custom, condition about an old generation", "apiVersion: a.example/v1\nkind: Gadget\nmetadata: {generation: 2}\nstatus: {conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}", 0, kube.Waiting},
		{"custom, stalled", "apiVersion: a.example/v1\nkind: Gadget\nstatus: {conditions: [{type: Stalled, status: 'True'}]}", 0, kube.Failed},
		{"custom, without conditions", "apiVersion: a.example/v1\nkind: Gadget", 0, kube.Ready},
		{"anything that is being deleted", "apiVersion: v1\nkind: ConfigMap\nmetadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}", 0, kube.Waiting},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			data, err := yaml.YAMLToJSON([]byte(c.yaml))
			require.NoError(t, err)
			require.NoError(t, u.UnmarshalJSON(data))
			got := kube.ReadinessOf(u, c.after)
			require.Equal(t, c.want, got.State, got.Detail)
			require.Equal(t, got.State == kube.Ready, got.Detail == "", "what is not ready says why")
		})
	}
	require.Equal(t, kube.Waiting, kube.ReadinessOf(nil, 0).State)
}
