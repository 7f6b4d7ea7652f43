package kube_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// diesDone ends the process once the handle says that the release is over, and the
// cluster does not know it yet.
func (e *engine) diesDone(t *testing.T) (h kube.Handle) {
	e.crash = func(where string) bool {
		return where == "after handle" && json.Unmarshal(e.handle, &h) == nil && h.Phase == kube.Done
	}
	_, err := e.run()
	require.ErrorIs(t, err, errCrash)
	require.False(t, e.w.ended())
	e.w.connect()
	e.fence++
	return h
}

// An execution may be cancelled when its release is over and only the end is not noted
// in the cluster: the App is free afterwards, with the version of before.
func TestAbortJustBeforeTheEndFreesTheApp(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				w.images["bad"] = kubetest.Behavior{Crash: true}
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				e := w.engine("run-2/prod/1", "bad", s)
				h := e.diesDone(t)
				for range 2 {
					require.NoError(t, w.app.Abort(e.ctx(context.Background()), h))
				}
				w.client.Close()
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
				_, err = w.release("run-3/prod/1", "v2", s)
				require.NoError(t, err)
			})
		})
	}
	t.Run("succeeded", func(t *testing.T) {
		bubble(t, smallYAML, func(w *world) {
			s := strategy.RedBlack{}
			w.app.History = 1
			for _, image := range []string{"v1", "v2"} {
				_, err := w.release("run-"+image+"/prod/1", image, s)
				require.NoError(t, err)
			}
			over := w.k.Inject(kubetest.Fault{Verb: "delete", Resource: "deployments", Code: 500})
			e := w.engine("run-3/prod/1", "v3", s)
			h := e.diesDone(t)
			over()
			for range 2 {
				require.NoError(t, w.app.Abort(e.ctx(context.Background()), h))
			}
			w.client.Close()
			require.Equal(t, map[string]int{"v2": 1}, w.serving())
			_, err := w.release("run-4/prod/1", "v4", s)
			require.NoError(t, err)
		})
	})
}
