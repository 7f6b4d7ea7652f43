package kube_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/strategy"
)

// patient is a strategy of a program's own.
type patient struct{ strategy.RedBlack }

func (patient) Kind() string { return "patient/v1" }

func decodePatient(spec strategy.Spec) (strategy.Strategy, error) {
	if spec.Kind != (patient{}).Kind() {
		return nil, &strategy.UnknownKindError{Kind: spec.Kind}
	}
	var s patient
	return s, json.Unmarshal(spec.Config, &s.RedBlack)
}

// A strategy of one's own is refused when the pipeline is defined unless the App finds
// it; then releases go forward and back by it.
func TestStrategyOfOnesOwn(t *testing.T) {
	bubble(t, smallYAML, func(w *world) {
		mine := patient{strategy.RedBlack{KeepOld: time.Hour}}
		var unknown *strategy.UnknownKindError
		require.ErrorAs(t, w.app.Supports(mine), &unknown)
		require.ErrorAs(t, kube.Group{Env: "prod", Apps: []kube.App{w.app}}.Supports(mine), &unknown)
		require.ErrorContains(t, w.app.Supports(mine), "Decode")

		w.app.Decode = decodePatient
		w.images["bad"] = kubetest.Behavior{Crash: true}
		require.NoError(t, w.app.Supports(mine))
		require.NoError(t, w.app.Supports(strategy.RedBlack{}))
		_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
		require.NoError(t, err)
		_, err = w.release("run-2/prod/1", "v2", mine)
		require.NoError(t, err)
		_, err = w.release("run-3/prod/1", "bad", mine)
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.True(t, failed.Restored, "%v", err)
		require.Equal(t, map[string]int{"v2": 1}, w.serving())

		e := w.engine("run-4/prod/1", "v3", mine)
		e.crash = func(string) bool { return w.serving()["v3"] > 0 }
		_, err = e.run()
		require.ErrorIs(t, err, errCrash)
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Hour)
		defer cancel()
		c := w.stranger()
		defer c.Close()
		list, err := c.Orphans(ctx, "shop")
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.ErrorAs(t, c.Recover(ctx, list[0], kube.Restore, nil), &unknown)
		require.NoError(t, c.Recover(ctx, list[0], kube.Restore, &kube.RecoverOptions{Decode: decodePatient}))
		require.Equal(t, map[string]int{"v2": 1}, w.serving())
	})
}
