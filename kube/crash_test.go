package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// resume runs a stage until it ends; each time the process dies, the next one
// starts with what was persisted and a higher fence.
func (w *world) resume(e *engine) (rel any, err error) {
	for range 50 {
		out, err := e.run()
		if !errors.Is(err, errCrash) {
			return out, err
		}
		w.connect()
		e.fence++
	}
	return nil, errors.New("it died too often")
}

// crashAt dies once, at the nth point.
func crashAt(n int, reached *bool) func(string) bool {
	return func(string) bool {
		n--
		if n == -1 {
			*reached = true
		}
		return n == -1
	}
}

// writes counts what clients wrote, dry runs and the claim apart. What the workload
// needs, as the Service of a version, is applied until that is known to have happened.
func (w *world) writes() map[string]int {
	out := map[string]int{}
	for _, r := range w.k.Requests() {
		if r.Verb != "get" && r.Verb != "list" && r.Verb != "watch" && !r.DryRun && r.Name != "gennaker-shop" && r.Code != 0 {
			what := r.Verb + " " + r.Resource + " " + r.Name
			if out[what]++; strings.HasPrefix(what, "patch services shop-") {
				out[what] = 1
			}
		}
	}
	return out
}

func TestCrashAtEveryPoint(t *testing.T) {
	for sname, s := range switching {
		for _, image := range []string{"v2", "bad"} {
			clean := map[string]int{} // of the first run, in which nobody dies
			step := stride(5)
			from := offset(t, step)
			for i, n := 0, -1; ; i, n = i+1, from+i*step {
				reached := n < 0
				ok := t.Run(fmt.Sprintf("%s/%s/%d", sname, image, n), func(t *testing.T) {
					bubble(t, smallYAML, func(w *world) {
						w.as(sname)
						w.images["bad"] = kubetest.Behavior{Crash: true}
						_, err := w.release("run-1/prod/1", "v1", s)
						require.NoError(t, err)
						before := w.picture()
						w.k.ResetRequests()
						e := w.engine("run-2/prod/1", image, s)
						e.crash = crashAt(n, &reached)
						_, err = w.resume(e)
						w.verify(image, before, err)
						if n < 0 {
							clean = w.writes()
						}
						require.Equal(t, clean, w.writes(), "writes are repeated or lost")
					})
				})
				if !ok || !reached {
					break
				}
			}
		}
	}
}

// verify asserts the end of a release of image over v1.
func (w *world) verify(image string, before map[string]any, err error) {
	w.t.Helper()
	if image != "bad" {
		require.NoError(w.t, err)
		require.Equal(w.t, map[string]int{image: 1}, w.serving())
		require.Equal(w.t, map[string]int{image: 1}, w.running())
		return
	}
	var failed *kube.RolloutError
	require.ErrorAs(w.t, err, &failed)
	require.True(w.t, failed.Restored, "%v", err)
	require.Equal(w.t, before, w.picture())
	require.Equal(w.t, map[string]int{"v1": 1}, w.serving())
}

// A write whose request or whose reply is lost is the instant in which a crash
// hurts most: the process dies with it.
func TestCrashAtEveryWrite(t *testing.T) {
	lost := map[string]func(*kubetest.Fault){
		"request": func(f *kubetest.Fault) { f.LoseRequest = true },
		"reply":   func(f *kubetest.Fault) { f.LoseReply = true },
		"refused": func(f *kubetest.Fault) { f.Code = 500 },
	}
	for sname, s := range switching {
		for lname, lose := range lost {
			for _, dies := range []bool{true, false} {
				if !dies && lname == "request" {
					continue // to a process that lives, it is what a refusal is
				}
				for n := offset(t, stride(6)); ; n += stride(6) {
					struck := false
					ok := t.Run(fmt.Sprintf("%s/%s/dies=%v/%d", sname, lname, dies, n), func(t *testing.T) {
						bubble(t, smallYAML, func(w *world) {
							w.as(sname)
							_, err := w.release("run-1/prod/1", "v1", s)
							require.NoError(t, err)
							before := w.picture()
							seen := 0
							f := kubetest.Fault{Times: 1, Match: func(r kubetest.Request) bool {
								if r.Verb == "get" || r.Verb == "list" || r.Verb == "watch" || r.DryRun {
									return false
								}
								seen++
								struck = struck || seen == n+1
								return seen == n+1
							}}
							lose(&f)
							w.k.Inject(f)
							e := w.engine("run-2/prod/1", "v2", s)
							died := false
							e.crash = func(string) bool {
								d := dies && struck && !died
								died = died || d
								return d
							}
							_, err = w.resume(e)
							w.verify("v2", before, err)
						})
					})
					if !ok || !struck {
						break
					}
				}
			}
		}
	}
}

func TestAbortAtEveryPoint(t *testing.T) {
	for sname, s := range switching {
		for n := offset(t, stride(5)); ; n += stride(5) {
			reached := false
			ok := t.Run(fmt.Sprintf("%s/%d", sname, n), func(t *testing.T) {
				bubble(t, smallYAML, func(w *world) {
					w.as(sname)
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					before := w.picture()
					e := w.engine("run-2/prod/1", "v2", s)
					e.crash = crashAt(n, &reached)
					_, err = e.run()
					if !reached {
						require.NoError(t, err)
						return
					}
					require.ErrorIs(t, err, errCrash)
					if e.handle == nil {
						return // nothing was persisted: the engine asks Find first
					}
					var h kube.Handle
					require.NoError(t, json.Unmarshal(e.handle, &h))
					w.connect()
					e.fence++
					ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
					defer cancel()
					ended := w.ended()
					require.NoError(t, w.app.Abort(e.ctx(ctx), h))
					require.NoError(t, w.app.Abort(e.ctx(ctx), h), "again")
					if ended {
						require.Equal(t, map[string]int{"v2": 1}, w.serving(), "a release that has ended is left alone")
						return
					}
					require.Equal(t, map[string]int{"v1": 1}, w.serving())
					require.Equal(t, before, w.picture())
					_, err = w.release("run-3/prod/1", "v3", s)
					require.NoError(t, err, "after an abort the next release goes on")
				})
			})
			if !ok || !reached {
				break
			}
		}
	}
}
