package kubetest

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Options says how a Cluster behaves. The zero value is a cluster of one
// node on which every pod starts and turns ready at once.
type Options struct {
	// Namespaces are created in addition to default and kube-system.
	Namespaces []string

	// Nodes are the names of the nodes; nil means one node, "n1". Every node
	// is ready, is labelled kubernetes.io/hostname and has Capacity.
	Nodes []string

	// Capacity is what each node offers, e.g. {"cpu": "4", "pods": "10"}.
	// Nil means cpu 64, memory 256Gi and pods 1000.
	Capacity map[corev1.ResourceName]string

	// GatewayAPI serves Gateway API v1 kinds (GatewayClass, Gateway,
	// HTTPRoute, GRPCRoute) and v1beta1 ReferenceGrant, with a controller
	// that accepts them.
	GatewayAPI bool

	// Objects are created before the cluster answers, in order, by manager
	// "kubetest". An object that the cluster refuses makes New panic.
	Objects []*unstructured.Unstructured

	// Pods decides how a pod behaves; the result is refined by the pod's own
	// annotations and image tags (see Behavior). Nil means the zero Behavior.
	Pods func(*corev1.Pod) Behavior

	// Latency is what a controller or kubelet takes to react to a change.
	// Zero means one millisecond. It is never zero, as it is in no cluster:
	// a status that lags behind the spec is what clients must cope with.
	Latency time.Duration

	// HPA answers what utilization in percent of the request the pods of an
	// autoscaled workload have. Nil is a cluster without metrics:
	// HorizontalPodAutoscalers keep to their minimum and maximum.
	HPA func(namespace, name string) int32

	// History is how many changes a watch may lag behind before it is
	// answered 410 Gone. Zero means 10,000.
	History int

	// WatchTimeout ends every watch after that long, as the API server does.
	// Zero means 30 minutes.
	WatchTimeout time.Duration

	// Seed makes generated names and uids repeatable; they depend on nothing
	// else but the order of the requests.
	Seed uint64

	// OnWrite is called for every change of the store, the controllers' own
	// included, in order, while no other change can happen. It must not call
	// the cluster's methods, but may read through the View.
	OnWrite func(View, Change)
}

func (o Options) withDefaults() Options {
	if len(o.Nodes) == 0 {
		o.Nodes = []string{"n1"}
	}
	if o.Capacity == nil {
		o.Capacity = map[corev1.ResourceName]string{"cpu": "64", "memory": "256Gi", "pods": "1000"}
	}
	if o.Latency <= 0 {
		o.Latency = time.Millisecond
	}
	if o.History <= 0 {
		o.History = 10_000
	}
	if o.WatchTimeout <= 0 {
		o.WatchTimeout = 30 * time.Minute
	}
	if o.Pods == nil {
		o.Pods = func(*corev1.Pod) Behavior { return Behavior{} }
	}
	return o
}
