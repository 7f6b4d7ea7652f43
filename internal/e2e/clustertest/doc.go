// Package clustertest gives the tests of a package one genuine cluster.
//
// Write a TestMain that calls [Main]; then [Get] returns the cluster in any test,
// started by the first that asks:
//
//	func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }
//
//	func TestRollout(t *testing.T) {
//		c := clustertest.Get(t)
//		namespace := clustertest.Namespace(t, c)
//		…
//	}
//
// Environment:
//
//	GENNAKER_E2E_STRICT=1        what would be skipped fails
//	GENNAKER_E2E_KUBECONFIG=FILE use this cluster; tests that need a cluster of
//	                             their own, see [Own], are skipped
//	GENNAKER_E2E_HOLD=10m        after the tests keep the cluster for that long, and
//	                             print how to reach it with kubectl
//	KUBEBUILDER_ASSETS=DIR       take the components from this folder, see package cluster
package clustertest
