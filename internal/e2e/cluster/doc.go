// Package cluster starts a genuine Kubernetes control plane and data plane for
// tests: etcd, kube-apiserver, kube-controller-manager, kube-scheduler and
// kube-proxy (nftables), with the process kubelet of package kubelet as nodes.
//
// [Start] needs the network that package netns prepares, in which fixed ports are
// free and the ranges of pods and Services are local. One cluster runs at a time
// in such a network; it takes 4 seconds and about 700 MB.
//
//	c, err := cluster.Start(ctx, cluster.Options{Programs: programs})
//	defer c.Stop()
//	client, err := kubernetes.NewForConfig(c.Config("alice"))
//
// Every component and every user has a name of its own, so that the audit log
// tells who sent how many requests: see [Cluster.Requests].
//
// Guarantees:
//
//  1. Start returns when a Deployment would roll out at once: the API server is
//     ready, every node is Ready, the controllers work, and a ClusterIP carries
//     traffic. Otherwise its error names the component that isn't ready and ends
//     with the last lines of that component's log.
//  2. Nothing is disabled: admission, authorization (Node and RBAC) and the
//     controllers have their defaults. Only the controller manager's rate limits
//     are raised, which are made for large clusters and would dominate the time
//     of small tests; [Options] can restore them.
//  3. After Stop every process, goroutine and file of the cluster is gone.
//
// [Attach] uses a cluster that exists instead. It has no process kubelet, no audit
// log, and no way to its data plane; [Cluster.Own] tells tests that need these.
package cluster
