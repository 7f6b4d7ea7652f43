package kube_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// The Secret with the former state of a ConfigMap has been deleted, as by somebody who
// tidies up: what cannot be taken back must not be called taken back.
func TestBackupThatIsGone(t *testing.T) {
	for _, pruned := range []bool{false, true} {
		t.Run(fmt.Sprintf("pruned=%v", pruned), func(t *testing.T) {
			bubble(t, smallYAML+flagsYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
				require.NoError(t, err)
				if w.blacken(smallYAML); pruned {
					w.app.Prune = true
					w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML))
				}
				e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{})
				rel, err := e.run()
				require.NoError(t, err)
				secrets := w.typed().CoreV1().Secrets("shop")
				list, err := secrets.List(context.Background(), metav1.ListOptions{})
				require.NoError(t, err)
				n := 0
				for _, s := range list.Items {
					if s.Type == "gennaker.dev/backup" {
						n++
						require.NoError(t, secrets.Delete(context.Background(), s.Name, metav1.DeleteOptions{}))
					}
				}
				require.NotZero(t, n)
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer w.client.Close()
				defer cancel()
				err = w.app.Undo(e.ctx(ctx), e.in, &rel)
				require.ErrorContains(t, err, "NOT restored")
				require.ErrorContains(t, err, "with its former state is gone")
				require.Equal(t, map[string]int{"v1": 1}, w.serving(), "the rest is taken back")
			})
		})
	}
}

// A record may grow while its release runs: one that is nearly too large at the start is
// refused, and every other can be ended.
func TestRecordThatGrows(t *testing.T) {
	crd, db, _ := strings.Cut(databaseYAML[4:], "---\n")
	release := func(size int, f func(w *world, err error, begun int)) {
		bubble(t, smallYAML, func(w *world) {
			w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
			yaml := func(colour string) kube.Manifests {
				return kube.YAML("shop.yaml", []byte(smallYAML+"---\n"+crd+"---\n"+
					strings.Replace(db, "spec:\n", "spec:\n  colour: "+colour+"\n  blob: "+strings.Repeat("x", size)+"\n", 1)))
			}
			w.app.Manifests = yaml("red")
			_, err := w.release("run-1/prod/1", "v1", strategy.RedBlack{})
			require.NoError(t, err)
			w.app.Manifests = yaml("black")
			begun := 0
			e := w.engine("run-2/prod/1", "v2", strategy.RedBlack{})
			e.crash = func(where string) bool {
				if where == "after start" {
					begun = len(w.claimed())
				}
				return false
			}
			_, err = e.run()
			f(w, err, begun)
		})
	}
	const most = kube.MaxRecord - 64<<10
	small := 0
	release(0, func(w *world, err error, begun int) {
		require.NoError(t, err)
		small = begun
	})
	release(most-100-small, func(w *world, err error, begun int) {
		require.NoError(t, err)
		require.True(t, w.ended())
		require.Greater(t, len(w.claimed()), most)
	})
	release(most+1000-small, func(w *world, err error, begun int) {
		require.ErrorIs(t, err, kube.ErrTooLarge)
		require.Equal(t, map[string]int{"v1": 1}, w.running())
	})
}
