// Package e2e holds the suites that run on genuine servers: a Kubernetes control
// plane with kube-proxy and process kubelets, MinIO, Redis and PostgreSQL.
//
// There is nothing to import here. README.md beside this file says how to run the
// suites and how to look at the cluster, and the packages below say what each part
// guarantees.
package e2e
