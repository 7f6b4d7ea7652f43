package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// colours are many ConfigMaps.
func colours(n int, colour string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\ndata: {colour: %s}\n", i, colour)
	}
	return b.String()
}

// slow delays every write of a ConfigMap.
func (w *world) slow(d time.Duration) {
	w.k.Inject(kubetest.Fault{Resource: "configmaps", Verb: "patch", Delay: d})
}

// An API server that takes longer for all objects than a call of Poll may last.
func TestManyObjectsOnASlowServer(t *testing.T) {
	bubble(t, smallYAML+colours(60, "red"), func(w *world) {
		w.slow(400 * time.Millisecond)
		e := w.engine("run-1/prod/1", "v1", strategy.RedBlack{})
		_, err := e.run()
		require.NoError(t, err)
		require.Contains(t, strings.Join(e.details, "\n"), " of 61 objects are there", "it says how far it is")
	})
	bubble(t, smallYAML+colours(60, "red"), func(w *world) {
		w.slow(3 * time.Second)
		w.app.Timeout = 2 * time.Minute
		begun := time.Now()
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.ErrorContains(t, err, " of 61 objects are there after 2m0s: ConfigMap shop/c")
		require.ErrorContains(t, err, "restored and verified")
		require.Less(t, time.Since(begun), 7*time.Minute, "the dry runs take three of these")
	})
}

func TestManyObjectsAreTakenBackOnASlowServer(t *testing.T) {
	const n = 20
	bubble(t, smallYAML+colours(n, "red"), func(w *world) {
		s := strategy.RedBlack{KeepOld: strategy.Immediately}
		_, err := w.release("run-1/prod/1", "v1", s)
		require.NoError(t, err)
		before := w.picture()
		w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+colours(n, "black")))
		e := w.engine("run-2/prod/1", "v2", s)
		rel, err := e.run()
		require.NoError(t, err)
		w.slow(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
		defer w.client.Close()
		defer cancel()
		require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
		require.Equal(t, before, w.picture())
	})
}

// A webhook that stands before one kind is down for good once the release has begun.
func TestObjectThatIsNeverTaken(t *testing.T) {
	bubble(t, smallYAML+flagsYAML, func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		w.blacken(smallYAML)
		w.app.Timeout = 2 * time.Minute
		e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{})
		e.crash = func(where string) bool {
			if where == "after start" {
				w.k.Inject(kubetest.Fault{Verb: "patch", Resource: "configmaps", Name: "flags",
					Code: http.StatusInternalServerError, Message: `failed calling webhook "policy.acme.example"`})
			}
			return false
		}
		begun := time.Now()
		_, err = e.run()
		require.ErrorContains(t, err, `0 of 1 objects are there after 2m0s: ConfigMap shop/flags: dry run: failed calling webhook "policy.acme.example"`)
		require.Less(t, time.Since(begun), 5*time.Minute)
		require.Equal(t, map[string]int{"v1": 1}, w.serving())
	})
}
