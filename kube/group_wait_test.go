package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// What two Apps of a Group have is nobody's once both go back.
func TestGroupTakesBackWhatItsAppsShare(t *testing.T) {
	const shared = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: runner}\n"
	for _, second := range [][2]string{{"v2", "bad"}, {"bad", "v2"}} {
		groupWorld(t, func(w *world, g kube.Group) {
			_, err := w.group(g, "run-1/prod/1", "v1", "v1", strategy.RedBlack{}).run()
			require.NoError(t, err)
			g.Apps[0].Manifests = kube.YAML("shop.yaml", []byte(smallYAML+shared))
			g.Apps[1].Manifests = kube.YAML("worker.yaml", []byte(workerYAML+shared))
			_, err = w.group(g, "run-2/prod/1", second[0], second[1], strategy.RedBlack{}).run()
			require.Error(t, err)
			_, err = w.typed().CoreV1().ServiceAccounts("shop").Get(context.Background(), "runner", metav1.GetOptions{})
			require.True(t, apierrors.IsNotFound(err), "%v", err)
		})
	}
}

// held is a release of the worker alone that has begun and has not ended.
func (w *world) held(g kube.Group) *engine {
	a, err := artifact.Image("registry.test/shop/worker:v2@" + digest("v2").String())
	require.NoError(w.t, err)
	set, err := artifact.NewSet(a)
	require.NoError(w.t, err)
	spec, err := strategy.Encode(strategy.RedBlack{})
	require.NoError(w.t, err)
	w.app = g.Apps[1]
	w.app.Env, w.app.Cluster = g.Env, w.client
	e := &engine{w: w, key: "run-2/worker/1", in: stage.DeployRequest{Set: set, Strategy: spec}, fence: 1}
	e.crash = func(where string) bool { return where == "after start" }
	_, err = e.run()
	require.ErrorIs(w.t, err, errCrash)
	w.connect()
	e.crash = nil
	e.fence++
	return e
}

// A Group waits while one of its Apps is held by another release. It holds the others
// meanwhile: they are free if it is cancelled, and released with it otherwise.
func TestGroupWaitsForAnApp(t *testing.T) {
	for _, cancelled := range []bool{true, false} {
		t.Run(fmt.Sprintf("cancelled=%v", cancelled), func(t *testing.T) {
			groupWorld(t, func(w *world, g kube.Group) {
				_, err := w.group(g, "run-1/prod/1", "v1", "v1", strategy.RedBlack{}).run()
				require.NoError(t, err)
				held := w.held(g)
				r := w.group(g, "run-3/prod/1", "v2", "v2", strategy.RedBlack{})
				ctx := r.ctx(context.Background())
				_, err = r.connected().Start(ctx, r.in)
				require.ErrorIs(t, err, kube.ErrBusy)
				h, found, err := r.connected().Find(ctx, r.in)
				require.NoError(t, err)
				require.True(t, found)
				st, err := r.connected().Poll(ctx, &h)
				require.NoError(t, err)
				require.Contains(t, st.Detail(), "run-2/worker/1 has not ended")
				if cancelled {
					require.NoError(t, r.connected().Abort(ctx, h))
					w.client.Close()
					r = w.group(kube.Group{Env: g.Env, Apps: g.Apps[:1]}, "run-4/prod/1", "v2", "v2", strategy.RedBlack{})
					r.in = request(t, "v2", strategy.RedBlack{})
					_, err = r.run()
					require.NoError(t, err, "the other App is free")
					return
				}
				_, err = held.run()
				require.NoError(t, err)
				r.handle, err = json.Marshal(h)
				require.NoError(t, err)
				_, err = r.run()
				require.NoError(t, err)
				require.Equal(t, groupNew, w.states())
			})
		})
	}
}
