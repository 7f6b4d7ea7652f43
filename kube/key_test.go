package kube_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// A key that was used before, as by an engine that keeps nothing and is given the same
// names after each start of the program, does not stand for what was released then.
func TestKeyThatWasUsedBefore(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.connect()
				e := w.engine("run-1/prod/1", "v2", s)
				_, err = e.run()
				var used *kube.KeyError
				require.ErrorAs(t, err, &used)
				require.Equal(t, set(t, "v1"), used.Set)
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
				ctx := context.Background()
				_, found, err := w.app.Find(e.ctx(ctx), e.in)
				require.NoError(t, err)
				require.False(t, found)
				require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, nil), "it has begun nothing")
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
				_, err = w.release("run-1/prod/1", "v1", strategy.Highlander{})
				require.ErrorAs(t, err, &used, "by another strategy")
				_, err = w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err, "the same again")
			})
		})
	}
}

// The same, with other releases in between: it is refused for what it is.
func TestKeyThatWasUsedLongBefore(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				for i := range 3 {
					_, err := w.release(fmt.Sprintf("run-%d/prod/1", i), fmt.Sprintf("v%d", i+1), s)
					require.NoError(t, err)
				}
				w.connect()
				if _, err := w.release("run-1/prod/1", "v1", s); err != nil {
					var used *kube.KeyError
					require.ErrorAs(t, err, &used)
					require.Equal(t, map[string]int{"v3": 1}, w.serving())
					return
				}
				require.Equal(t, map[string]int{"v1": 1}, w.serving())
			})
		})
	}
}

// Two Apps of a namespace whose engines know nothing of each other may have the same key.
func TestKeyOfAnotherApp(t *testing.T) {
	const worker = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: worker}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: worker}}\n" +
		"  template: {metadata: {labels: {app: worker}}, spec: {containers: [{name: web, image: shop/web}]}}\n"
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.connect()
				w.app.Name, w.app.Manifests = "worker", kube.YAML("worker.yaml", []byte(worker))
				_, err = w.release("run-1/prod/1", "v2", s)
				require.NoError(t, err)
				require.Equal(t, map[string]int{"v1": 1, "v2": 1}, w.running())
			})
		})
	}
}
