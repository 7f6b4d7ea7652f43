package kube_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A release of one workload with its Service and an Ingress must stay within
// twenty requests, and a second one must share the watches.
func TestRequestsOfARelease(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.k.ResetRequests()
				_, err = w.release("run-2/prod/1", "v2", s)
				require.NoError(t, err)
				all := w.k.Requests()
				require.LessOrEqual(t, len(all), budget(name))
				verbs := map[string]int{}
				for _, r := range all {
					verbs[r.Verb]++
				}
				watches := 4
				if name == "switch" {
					watches = 5 // of the Ingresses, too
				}
				require.Equal(t, watches, verbs["watch"])
				require.Equal(t, 1, verbs["list"])
			})
		})
	}
}

func TestTheSameVersionWritesNothing(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.k.ResetRequests()
				_, err = w.release("run-2/prod/1", "v1", s)
				require.NoError(t, err)
				for _, r := range w.k.Requests() {
					if r.Verb != "get" && r.Verb != "list" && r.Verb != "watch" && !r.DryRun {
						require.Equal(t, "gennaker-shop", r.Name, "%+v", r)
					}
				}
			})
		})
	}
}

// budget is how many requests a release may make: the Service of a version is one
// more object, which the next release deletes, and the Ingresses are watched.
func budget(name string) int {
	if name == "switch" {
		return 23
	}
	return 20
}
