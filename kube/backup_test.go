package kube_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// backups counts the Secrets with former states.
func (w *world) backups() int {
	list, err := w.typed().CoreV1().Secrets("shop").List(context.Background(), metav1.ListOptions{})
	require.NoError(w.t, err)
	n := 0
	for _, s := range list.Items {
		if s.Type == "gennaker.dev/backup" {
			n++
		}
	}
	return n
}

// asked counts the requests about Secrets since the last reset.
func (w *world) asked() map[string]int {
	out := map[string]int{}
	for _, r := range w.k.Requests() {
		if r.Resource == "secrets" {
			out[r.Verb]++
		}
	}
	return out
}

func (w *world) colour() string {
	m, err := w.typed().CoreV1().ConfigMaps("shop").Get(context.Background(), "flags", metav1.GetOptions{})
	require.NoError(w.t, err)
	return m.Data["colour"]
}

// painted are the manifests with a ConfigMap of a colour.
func painted(colour string) kube.Manifests {
	return kube.YAML("shop.yaml", []byte(smallYAML+strings.Replace(flagsYAML, "red", colour, 1)))
}

// A former state is kept as long as it may be asked for, and no longer.
func TestBackupsAreCollected(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, smallYAML+flagsYAML, func(w *world) {
				w.images["bad"] = kubetest.Behavior{Crash: true}
				release := func(n int, image, colour string) error {
					w.app.Manifests = painted(colour)
					w.k.ResetRequests()
					_, err := w.release(fmt.Sprintf("run-%d/prod/1", n), image, s)
					return err
				}
				require.NoError(t, release(1, "v1", "red"))
				require.NoError(t, release(2, "v2", "black"))
				require.Equal(t, 1, w.backups(), "the release may be undone")
				require.NoError(t, release(3, "v3", "blue"))
				require.Equal(t, 1, w.backups(), "of the last release alone")
				require.Error(t, release(4, "bad", "green"))
				require.Equal(t, "blue", w.colour())
				require.Zero(t, w.backups(), "a release that was restored needs none")
				require.NoError(t, release(5, "v1", "blue"))
				require.Empty(t, w.asked(), "there are none to be asked for")

				require.NoError(t, release(6, "v2", "white"))
				allow := w.k.Inject(kubetest.Fault{Verb: "delete", Resource: "secrets", Code: http.StatusForbidden, Message: "no"})
				require.NoError(t, release(7, "v3", "grey"), "what may not be deleted stays")
				require.NoError(t, release(8, "v1", "grey"))
				require.Equal(t, map[string]int{"delete": 1}, w.asked())
				require.Equal(t, 2, w.backups())
				allow()
				allow = w.k.Inject(kubetest.Fault{Verb: "delete", Resource: "secrets", Delay: time.Hour})
				begun := time.Now()
				require.NoError(t, release(10, "v3", "grey"), "it keeps nothing waiting")
				require.Less(t, time.Since(begun), 5*time.Minute)
				allow()
				require.NoError(t, release(9, "v2", "grey"))
				require.Zero(t, w.backups(), "and is not forgotten")
			})
		})
	}
}

// An undo that dies at any write can be done again, and leaves nothing behind.
func TestUndoWithBackupsLosesAnyRequest(t *testing.T) {
	for n := 0; ; n++ {
		struck := false
		bubble(t, smallYAML+flagsYAML, func(w *world) {
			_, err := w.release("run-1/prod/1", "v1", strategies["rolling"])
			require.NoError(t, err)
			before := w.picture()
			w.app.Manifests = painted("black")
			e := w.engine("run-2/prod/1", "v2", strategies["rolling"])
			rel, err := e.run()
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(context.Background())
			seen := 0
			w.k.Inject(kubetest.Fault{Times: 1, LoseReply: true, Match: func(r kubetest.Request) bool {
				if r.Verb == "get" || r.Verb == "list" || r.Verb == "watch" || r.DryRun {
					return false
				}
				if seen++; seen == n+1 {
					struck = true
					cancel()
				}
				return seen == n+1
			}})
			err = w.app.Undo(e.ctx(ctx), e.in, &rel)
			cancel()
			w.client.Close()
			if struck {
				require.Error(t, err)
				w.connect()
				e.fence++
				again, cancel := context.WithTimeout(context.Background(), time.Hour)
				defer cancel()
				err = w.app.Undo(e.ctx(again), e.in, &rel)
				w.client.Close()
			}
			require.NoError(t, err)
			require.Equal(t, before, w.picture())
			require.Zero(t, w.backups())
		})
		if !struck || t.Failed() {
			return
		}
	}
}

// A process that dies at any point of the next release leaves no backup behind.
func TestBackupsAreCollectedAfterACrash(t *testing.T) {
	for n := 0; ; n++ {
		reached := false
		bubble(t, smallYAML+flagsYAML, func(w *world) {
			for i, colour := range []string{"red", "black"} {
				w.app.Manifests = painted(colour)
				_, err := w.release(fmt.Sprintf("run-%d/prod/1", i), fmt.Sprintf("v%d", i+1), strategies["rolling"])
				require.NoError(t, err)
			}
			require.Equal(t, 1, w.backups())
			e := w.engine("run-2/prod/1", "v3", strategies["rolling"])
			e.crash = crashAt(n, &reached)
			_, err := w.resume(e)
			require.NoError(t, err)
			require.Zero(t, w.backups())
		})
		if !reached || t.Failed() {
			return
		}
	}
}
