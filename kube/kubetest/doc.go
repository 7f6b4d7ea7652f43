// Package kubetest is an in-memory Kubernetes for tests of programs that talk
// to one: an API server with the genuine server-side apply, and the
// controllers, scheduler and kubelet that make pods out of Deployments. It
// needs no binaries, no sockets and, inside testing/synctest, no time.
//
//	synctest.Test(t, func(t *testing.T) {
//		k := kubetest.New(kubetest.Options{})
//		defer k.Close()
//		client, err := kubernetes.NewForConfig(k.Config())
//		...
//		time.Sleep(72 * time.Hour) // pods live on; this takes milliseconds
//	})
//
// # Model
//
// A Cluster is a store of objects with one history of changes, an API on top
// of it, and one goroutine that runs every controller in order of time. All
// objects and all kinds go through the same path: decode, default, validate,
// managed fields, commit, watch. The Go types, field managers, patches, label
// selectors and Status errors are those of client-go and apimachinery.
//
// Controllers: Deployment, ReplicaSet, StatefulSet, DaemonSet, Job,
// EndpointSlice, garbage collection, namespaces, PodDisruptionBudget,
// ResourceQuota (pods), PersistentVolumeClaim (binds), Service of type
// LoadBalancer, Ingress (publishes an address), Gateway API (with
// Options.GatewayAPI), HorizontalPodAutoscaler (with Options.HPA).
//
// How a pod lives is a Behavior, chosen by Options.Pods, by the image tag or
// by an annotation: "shop:v2-imagepull" cannot be pulled,
// "shop:v2-readydelay_5s" is ready five seconds late. The process kubelet of
// the end-to-end suite understands the same words.
//
// Faults are injected by Inject (errors, lost requests and replies, delay,
// stale reads, watches that end), DropWatches and Forget. Employ lets a second
// field manager work beside the client. Requests is the log
// of what clients did; Options.OnWrite sees every change of every object while
// nothing else can happen, which is the place to check invariants.
//
// # Guarantees
//
//  1. The same requests in the same order, with the same seed, give the same
//     cluster: names, uids and resourceVersions included. Times are those of
//     package time.
//  2. Every change gets a resourceVersion of its own, larger than all before,
//     and every watch sees every change of what it selects, in that order,
//     once.
//  3. A write takes effect completely or not at all. A reconciliation of a
//     controller is not interleaved with requests of clients, but every one of
//     its writes is a change of its own in the history.
//  4. A status never changes in the same instant as the spec: controllers react
//     after Options.Latency.
//  5. Close ends every goroutine and waits for it.
//
// # Errors and cancellation
//
// What a genuine API server refuses is refused with the same Status: 400, 404,
// 409 (with the other field manager's name), 410, 415, 422 (with causes by
// field), 429. A request whose context ends fails with the context's error, and
// so does the body of its watch. Requests after Close fail with ErrClosed. New
// panics on Options that no cluster can have: that is a mistake in a test.
//
// # Differences from a genuine cluster
//
// Conformance passes on both. Beyond it, these are known:
//
//   - Authentication and authorization: everybody may do everything; a Fault
//     with code 403 and the API server's words stands for RBAC. Webhook
//     configurations are kept and call nobody. Policies, LimitRanges and quotas other than pods do not run.
//   - Validation covers what release tooling meets: names, labels, selectors,
//     containers, strategies, ports, immutable fields. Schemas of custom
//     kinds are not enforced, their unknown fields are kept, and lists in them
//     are atomic for server-side apply.
//   - Versions: one per built-in kind (autoscaling/v2, not v1). Versions of a
//     custom kind differ in nothing but their name. No events.k8s.io; Events
//     are core/v1. The legacy Endpoints object is not maintained.
//   - Reads are never stale and controllers never conflict with themselves,
//     unless a Fault says so. Continue tokens read the current state.
//   - All containers of a pod share one life; init containers have no status;
//     probes, volumes and images are what the Behavior says. exec, attach and
//     port-forward are not served, logs are scripted.
//   - The scheduler knows node selectors, cordons, and cpu, memory and pod
//     capacity; not affinity, taints, priorities or spreading.
//   - EndpointSlices are IPv4. CronJobs start nothing. Leases do not expire.
//   - HorizontalPodAutoscalers know one metric, that of Options.HPA; without it
//     they keep to their minimum and maximum, as without metrics. They scale down
//     at once, without stabilization.
//   - Nodes do not fail. Volumes bind at once.
//   - OpenAPI v3 lists operations without schemas: kubectl get, apply, delete,
//     rollout and logs work, kubectl explain does not.
//
// # Testing
//
// The cluster is tested by its own Conformance suite, in virtual time and over
// HTTP, and the same suite runs on a genuine control plane in the end-to-end
// module.
package kubetest
