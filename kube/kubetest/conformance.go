package kubetest

import (
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// ConformanceOptions bounds a run of the conformance suite.
type ConformanceOptions struct {
	// Timeout bounds every wait. Zero means one minute.
	Timeout time.Duration

	// Skip names cases that the cluster under test cannot pass, such as
	// "log" where nothing serves container logs.
	Skip []string
}

// Case is one case of the conformance suite.
type Case struct {
	Name string
	Run  func(t *testing.T, cfg *rest.Config, opts ConformanceOptions)
}

// Conformance checks that a cluster behaves as clients may rely on: a
// Cluster, or a genuine control plane with a kubelet that understands the
// image tags of Behavior. Each case works in a namespace of its own, beside
// others (as many as the flag -parallel of go test allows), waits with a bound,
// and assumes nothing about timing. It returns when all have ended.
func Conformance(t *testing.T, cfg *rest.Config, opts ConformanceOptions) {
	t.Helper()
	t.Run("case", func(t *testing.T) {
		for _, c := range ConformanceCases() {
			t.Run(c.Name, func(t *testing.T) {
				if slices.Contains(opts.Skip, c.Name) {
					t.Skip("skipped by the caller")
				}
				t.Parallel()
				c.Run(t, cfg, opts)
			})
		}
	})
}

// ConformanceCases lists the cases of Conformance, for callers that run each
// in a testing/synctest bubble, where t.Run is not allowed.
func ConformanceCases() []Case {
	all := []struct {
		name string
		run  func(*suite)
	}{
		{"apply/create and merge", applyMerges},
		{"apply/conflict names the other manager", applyConflicts},
		{"apply/no change writes nothing", applyIdempotent},
		{"apply/dropped field goes", applyDrops},
		{"apply/optimistic lock", applyLocks},
		{"apply/after an edit", applyAfterEdit},
		{"write/immutable workloads", immutableWorkloads},
		{"write/stale update conflicts", updateConflicts},
		{"write/dry run", dryRun},
		{"write/invalid objects", refusals},
		{"write/immutable fields", immutables},
		{"write/field validation", fieldValidation},
		{"write/generate name", generateName},
		{"write/patches", patches},
		{"write/status subresource", statusSubresource},
		{"write/generation", generations},
		{"read/selectors and pages", readLists},
		{"watch/events", watchEvents},
		{"watch/selection", watchSelection},
		{"watch/initial events", watchInitial},
		{"delete/preconditions", deletePrecondition},
		{"delete/finalizers", finalizers},
		{"delete/background", deleteBackground},
		{"delete/orphan", deleteOrphan},
		{"delete/collection", deleteCollection},
		{"delete/namespace", deleteNamespace},
		{"deployment/rolling update", rollingUpdate},
		{"deployment/recreate", recreateUpdate},
		{"deployment/rollback", rollback},
		{"deployment/paused", pausedUpdate},
		{"deployment/bad image", badImage},
		{"deployment/crash loop", crashLoop},
		{"deployment/unschedulable", unschedulable},
		{"deployment/scale", scaleSubresource},
		{"deployment/history", historyLimit},
		{"autoscaler/minimum and maximum", autoscalerBounds},
		{"service/endpoint slices", endpointFlip},
		{"service/without endpoints", endpointPlaceholder},
		{"job/complete", jobCompletes},
		{"job/failed", jobFails},
		{"statefulset/ordered and partitioned", statefulRollout},
		{"statefulset/blocked by a broken pod", statefulBlocked},
		{"daemonset/rollout", daemonRollout},
		{"daemonset/stops, surges and goes", daemonStops},
		{"crd/custom kind", customKind},
		{"pod/eviction", eviction},
		{"quota/pods", podQuota},
		{"quota/stateful set", quotaOfStatefulSet},
		{"namespace/service account", defaultAccount},
	}
	out := make([]Case, len(all))
	for i, c := range all {
		out[i] = Case{Name: c.name, Run: func(t *testing.T, cfg *rest.Config, opts ConformanceOptions) {
			t.Helper()
			c.run(newSuite(t, cfg, opts))
		}}
	}
	return out
}
