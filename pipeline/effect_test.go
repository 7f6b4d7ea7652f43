package pipeline_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
)

// A reply to Start that is lost does not start the effect again.
func TestLostReplyToStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.started = func(*stage.Ctx) error { return errors.New("connection reset") }
		s := finish(t, begin(t, engine(t), effect(r), "x", 1))
		require.Equal(t, "succeeded remote=succeeded", statusOf(s))
		require.Equal(t, "start x/remote/1; find x/remote/1", r.said())
	})
}

// A Start that failed before anything came about is made again under the same key.
func TestFailedStartIsRepeated(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		n := 0
		r.start = func(*stage.Ctx) error {
			if n++; n < 3 {
				return errors.New("503")
			}
			return nil
		}
		s := finish(t, begin(t, engine(t), effect(r), "x", 1))
		require.Equal(t, pipeline.Succeeded, s.Status)
		require.Equal(t, "start x/remote/1; find x/remote/1; start x/remote/1; find x/remote/1; start x/remote/1", r.said())
	})
}

// A definite failure is retried as a new effect with a key of its own.
func TestDefiniteFailureHasNewKey(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
			if c.Generation() < 3 {
				return stage.Failed[int](stage.Detailed(errors.New("build broke"), "line 1\nline 2")), nil
			}
			return stage.Succeeded(c.Attempt()), nil
		}
		s := finish(t, begin(t, engine(t), effect(r, stage.Retry(3, time.Minute)), "x", 1))
		require.Equal(t, "start x/remote/1; start x/remote/2; start x/remote/3", r.said())
		st := stageOf(t, s, "remote")
		require.Len(t, st.History, 2)
		require.Equal(t, "line 1\nline 2", st.History[0].Failure.Detail)
		require.Equal(t, "x/remote/1", st.History[0].Key)
	})
}

// An attempt that timed out is aborted, and only then does the next one begin.
func TestTimeoutAbortsFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = func(c *stage.Ctx) (stage.Status[int], error) {
			if c.Generation() == 1 {
				return running(c)
			}
			return stage.Succeeded(1), nil
		}
		tries := 0
		r.abort = func(*stage.Ctx) error {
			if tries++; tries < 4 {
				return errors.New("not now")
			}
			return nil
		}
		begun := time.Now()
		s := finish(t, begin(t, engine(t), effect(r, stage.Retry(2, time.Second), stage.Timeout(time.Hour)), "x", 1))
		require.Equal(t, pipeline.Succeeded, s.Status)
		require.Equal(t, "start x/remote/1; "+strings.Repeat("abort x/remote/1; ", 4)+"start x/remote/2", r.said())
		require.Greater(t, time.Since(begun), time.Hour)
	})
}

// Trouble that lasts longer than the tolerance ends with an unknown outcome, which
// is not retried and is undone.
func TestToleranceAndUnknownOutcome(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = func(*stage.Ctx) (stage.Status[int], error) {
			return stage.Status[int]{}, errors.New("no route to host")
		}
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Start(b, "remote", r, in, stage.Tolerance(10*time.Minute), stage.Retry(5, 0))
		}, pipeline.UndoOnFailure())
		begun := time.Now()
		s := finish(t, begin(t, engine(t), p, "x", 1))
		require.Equal(t, "failed remote=failed", statusOf(s))
		st := stageOf(t, s, "remote")
		require.True(t, st.Unknown)
		require.Contains(t, st.Failure.Message, "its outcome is unknown: no route to host")
		require.InDelta(t, 10*60, time.Since(begun).Seconds(), 60)
		require.Equal(t, "start x/remote/1; undo x/remote/1 unknown", r.said())
		require.Equal(t, pipeline.StageSucceeded, st.Undo)
	})
}

// An effect that waits for somebody else may do so for as long as its time allows.
func TestEffectThatWaitsForAnother(t *testing.T) {
	for name, limit := range map[string]time.Duration{"it goes on": 0, "its deadline passes": time.Hour} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				begun := time.Now()
				r.start = func(*stage.Ctx) error {
					if time.Since(begun) < 3*time.Hour {
						return stage.Waiting(time.Minute, errors.New("it is taken"))
					}
					return nil
				}
				s := finish(t, begin(t, engine(t), effect(r, stage.Tolerance(time.Minute), stage.Deadline(limit)), "x", 1))
				if limit == 0 {
					require.Equal(t, "succeeded remote=succeeded", statusOf(s))
					require.InDelta(t, 3*time.Hour, time.Since(begun), float64(2*time.Minute))
					return
				}
				st := stageOf(t, s, "remote")
				require.Equal(t, pipeline.StageFailed, st.Status)
				require.False(t, st.Unknown, "nothing was begun")
				require.InDelta(t, limit, time.Since(begun), float64(2*time.Minute))
			})
		})
	}
}

func TestCancelInEveryPhase(t *testing.T) {
	block := func(c *stage.Ctx) error { <-c.Done(); return c.Err() }
	for name, tc := range map[string]struct {
		set  func(*remote)
		want string
	}{
		"start in flight, came about": {func(r *remote) { r.started = block }, "start x/remote/1; find x/remote/1; abort x/remote/1"},
		"start in flight, did not":    {func(r *remote) { r.start = block }, "start x/remote/1; find x/remote/1"},
		"poll between":                {func(r *remote) { r.poll = running }, "start x/remote/1; abort x/remote/1"},
		"poll blocked": {func(r *remote) {
			r.poll = func(c *stage.Ctx) (stage.Status[int], error) { return stage.Status[int]{}, block(c) }
		}, "start x/remote/1; abort x/remote/1"},
		"poll in trouble": {func(r *remote) {
			r.poll = func(c *stage.Ctx) (stage.Status[int], error) { return stage.Status[int]{}, errors.New("503") }
		}, "start x/remote/1; abort x/remote/1"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				tc.set(r)
				run := begin(t, engine(t), effect(r), "x", 1)
				time.Sleep(90 * time.Second)
				asked := time.Now()
				require.NoError(t, run.Cancel(t.Context(), "alice", "mistake"))
				s := finish(t, run)
				require.Equal(t, "canceled remote=canceled", statusOf(s))
				require.Equal(t, "cancelled by alice: mistake", s.Reason)
				require.Equal(t, tc.want, r.said())
				require.Less(t, time.Since(asked), time.Second, "nobody waits for a poll's timer")
				require.NoError(t, run.Cancel(t.Context(), "alice", "again"))
			})
		})
	}
}

// While a stage waits for a retry, for people or for time, there is nothing to abort.
func TestCancelWhileWaiting(t *testing.T) {
	for name, add := range map[string]func(b *pipeline.Builder, in pipeline.Ref[int]){
		"backoff": func(b *pipeline.Builder, in pipeline.Ref[int]) {
			stage.Run(b, "s", failing("no"), in, stage.Retry(9, time.Hour))
		},
		"gate": func(b *pipeline.Builder, in pipeline.Ref[int]) { stage.Approve(b, "s", stage.Approval{}) },
		"wait": func(b *pipeline.Builder, in pipeline.Ref[int]) { stage.Wait(b, "s", 100*time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				run := begin(t, engine(t), single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
					add(b, in)
					return in
				}), "x", 1)
				time.Sleep(time.Minute)
				require.NoError(t, run.Cancel(t.Context(), "alice", ""))
				require.Equal(t, "canceled s=canceled", statusOf(finish(t, run)))
			})
		})
	}
}

// An effect that cannot be aborted is reported as unknown, not as cancelled.
func TestAbortThatNeverSucceeds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = running
		r.abort = func(*stage.Ctx) error { return errors.New("500") }
		run := begin(t, engine(t), effect(r, stage.Tolerance(time.Minute)), "x", 1)
		time.Sleep(time.Hour)
		require.NoError(t, run.Cancel(t.Context(), "alice", ""))
		st := stageOf(t, finish(t, run), "remote")
		require.Equal(t, pipeline.StageFailed, st.Status)
		require.True(t, st.Unknown)
	})
}

func TestPanicIsRecorded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			boom := stage.Func("boom/v1", func(*stage.Ctx, int) (int, error) { panic("kaboom") })
			stage.Run(b, "mapped", add(1), pipeline.Map(in, func(int) int { panic("in map") }), stage.OnFailure(pipeline.FailAtEnd))
			return stage.Run(b, "boom", boom, in, stage.Retry(5, 0), stage.OnFailure(pipeline.FailAtEnd))
		})
		run := begin(t, engine(t), p, "x", 1)
		s := finish(t, run)
		st := stageOf(t, s, "boom")
		require.Equal(t, "panic: kaboom", st.Failure.Message)
		require.Contains(t, st.Failure.Detail, "effect_test.go")
		require.Equal(t, 1, st.Attempt, "a panic is not retried")
		require.Contains(t, stageOf(t, s, "mapped").Failure.Message, "input: panic: in map")
	})
}

// unruly is an error whose methods panic.
type unruly struct{ what string }

func (u *unruly) Error() string {
	if u.what == "Error" {
		panic("in Error")
	}
	return "unruly"
}

func (u *unruly) Detail() string {
	if u.what == "Detail" {
		panic("in Detail")
	}
	return ""
}

func (u *unruly) RetryAfter() time.Duration {
	if u.what == "RetryAfter" {
		panic("in RetryAfter")
	}
	return 0
}

// An error that panics when it is asked, such as a nil pointer in an error, fails its
// stage and nothing else.
func TestErrorsThatPanic(t *testing.T) {
	for _, bad := range []error{(*unruly)(nil), &unruly{"Error"}, &unruly{"Detail"}, &unruly{"RetryAfter"}} {
		bubble(t, func(t *testing.T) {
			r := newRemote()
			r.poll = func(*stage.Ctx) (stage.Status[int], error) { return stage.Failed[int](bad), nil }
			lost := newRemote()
			lost.start = func(*stage.Ctx) error { return bad }
			p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
				alone := stage.OnFailure(pipeline.FailAtEnd)
				stage.Start(b, "ended", r, in, alone)
				stage.Start(b, "start", lost, in, alone)
				return stage.Run(b, "task", stage.Func("task/v1", func(*stage.Ctx, int) (int, error) { return 0, bad }), in, alone)
			})
			s := finish(t, begin(t, engine(t), p, "x", 1))
			for _, id := range []string{"ended", "start", "task"} {
				require.Contains(t, stageOf(t, s, id).Failure.Message, "panic", id)
			}
		})
	}
}

// An effect whose code panics once it has started something has an unknown outcome,
// which is undone.
func TestPanicsOfAnEffectLeaveItsOutcomeUnknown(t *testing.T) {
	boom := func(*stage.Ctx) error { panic("kaboom") }
	for name, bad := range map[string]func(r *remote){
		"start": func(r *remote) { r.started = boom },
		"poll": func(r *remote) {
			r.poll = func(c *stage.Ctx) (stage.Status[int], error) { return stage.Status[int]{}, boom(c) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				bad(r)
				p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
					return stage.Start(b, "remote", r, in, stage.Retry(5, 0))
				}, pipeline.UndoOnFailure())
				st := stageOf(t, finish(t, begin(t, engine(t), p, "x", 1)), "remote")
				require.True(t, st.Unknown)
				require.Contains(t, st.Failure.Message, "kaboom")
				require.Equal(t, "start x/remote/1; undo x/remote/1 unknown", r.said())
			})
		})
	}
}

// wordless is an effect whose handle cannot be kept.
type wordless struct{ *remote }

func (w wordless) Start(c *stage.Ctx, in int) (chan int, error) {
	_, err := w.remote.Start(c, in)
	return nil, err
}

func (w wordless) Find(c *stage.Ctx, in int) (chan int, bool, error) {
	_, found, err := w.remote.Find(c, in)
	return nil, found, err
}

func (w wordless) Poll(c *stage.Ctx, _ *chan int) (stage.Status[int], error) { return running(c) }
func (w wordless) Abort(*stage.Ctx, chan int) error                          { return nil }

func TestHandleThatCannotBeKept(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Start(b, "remote", wordless{r}, in)
		}, pipeline.UndoOnFailure())
		st := stageOf(t, finish(t, begin(t, engine(t), p, "x", 1)), "remote")
		require.True(t, st.Unknown)
		require.Contains(t, st.Failure.Message, "cannot be stored as JSON")
		require.Equal(t, "start x/remote/1; undo x/remote/1 unknown", r.said())
	})
}

// An effect that has failed without an error has not succeeded.
func TestFailedWithoutAnError(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		r.poll = func(*stage.Ctx) (stage.Status[int], error) { return stage.Failed[int](nil), nil }
		s := finish(t, begin(t, engine(t), effect(r), "x", 1))
		require.Equal(t, "failed remote=failed", statusOf(s))
		require.Contains(t, s.Reason, "gives no reason")
	})
}

// The reason for a skip is kept as short as every message.
func TestReasonsAreCut(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "skip", stage.Func("skip/v1", func(*stage.Ctx, int) (int, error) {
				return 0, stage.Skip(strings.Repeat("x", 20<<20))
			}), in)
		})
		st := stageOf(t, finish(t, begin(t, engine(t), p, "x", 1)), "skip")
		require.Equal(t, pipeline.StageSkipped, st.Status)
		require.Less(t, len(st.Reason), 4096)
	})
}

func TestGoexitIsRecorded(t *testing.T) {
	bubble(t, func(t *testing.T) {
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "exit", stage.Func("exit/v1", func(*stage.Ctx, int) (int, error) { runtime.Goexit(); return 0, nil }), in)
		})
		s := finish(t, begin(t, engine(t), p, "x", 1))
		require.Contains(t, s.Reason, "ended its goroutine")
	})
}

func TestOutputTooLarge(t *testing.T) {
	big := strings.Repeat("x", pipeline.MaxPayload)
	bubble(t, func(t *testing.T) {
		e := engine(t)
		p := pipeline.Define("big", 1, func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[string] {
			return stage.Run(b, "big", stage.Func("big/v1", func(*stage.Ctx, int) (string, error) { return big, nil }), in)
		})
		s := finish(t, begin(t, e, p, "x", 1))
		require.Contains(t, s.Reason, "larger than 1048576 bytes")
		in := pipeline.Define("in", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[int] {
			return stage.Run(b, "len", stage.Func("len/v1", func(_ *stage.Ctx, s string) (int, error) { return len(s), nil }),
				pipeline.Map(in, func(s string) string { return strings.Repeat(s, 1<<20) }))
		})
		_, err := pipeline.Start(t.Context(), e, in, "y", big)
		require.ErrorIs(t, err, pipeline.ErrTooLarge)
		require.Contains(t, finish(t, begin(t, e, in, "z", "ab")).Reason, "input: larger than")
	})
}

// What a task has stored does not run again after a crash or a shutdown.
func TestCheckpointsSurvive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		store, steps, entered := pipeline.NewMemory(), 0, 0
		p := single(func(b *pipeline.Builder, in pipeline.Ref[int]) pipeline.Ref[int] {
			return stage.Run(b, "steps", stage.Func("steps/v1", func(c *stage.Ctx, in int) (int, error) {
				entered++
				n, err := stage.Step(c, "one", func(*stage.Ctx) (int, error) { steps++; return in + 1, nil })
				if err != nil {
					return 0, err
				}
				return n, stage.Sleep(c, "nap", time.Hour)
			}), in)
		})
		e, stop := pipelinetest.On(t, store, pipeline.Options{}, p)
		begun := time.Now()
		begin(t, e, p, "x", 1)
		time.Sleep(30 * time.Minute)
		stop()
		e, stop = pipelinetest.On(t, store, pipeline.Options{}, p)
		defer stop()
		out, err := pipeline.Attach(e, p, "x").Wait(t.Context())
		require.NoError(t, err)
		require.Equal(t, 2, out)
		require.Equal(t, 1, steps)
		require.Equal(t, 2, entered)
		require.Equal(t, time.Hour, time.Since(begun).Truncate(time.Minute), "the sleep went on where it was")
	})
}
