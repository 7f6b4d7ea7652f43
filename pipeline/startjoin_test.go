package pipeline_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// lateReply keeps back the reply to the first write of a key.
type lateReply struct {
	pipeline.Store
	key string
	may chan struct{}
}

func (s *lateReply) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	v, err := s.Store.Put(ctx, key, value, want)
	if key == s.key && want == "" {
		<-s.may
	}
	return v, err
}

// An execution that is started while its engine is not yet the worker that it is when
// Start returns belongs to whoever claims it, like any other.
func TestStartedBeforeItWasAWorker(t *testing.T) {
	for _, joined := range []bool{false, true} {
		t.Run(map[bool]string{false: "no worker yet", true: "another worker"}[joined], func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newRemote()
				hour(r)
				p := effect(r)
				below := pipeline.NewMemory()
				late := &lateReply{Store: below, key: "x/x", may: make(chan struct{})}
				reply := sync.OnceFunc(func() { close(late.may) })
				defer reply()
				a := &process{}
				if joined {
					a = share(t, late, p)
				} else {
					a.Embedded = pipeline.New(storetest.Shared(late), pipeline.Options{DrainTimeout: time.Second})
				}
				started := make(chan error, 1)
				go func() {
					_, err := pipeline.Start(t.Context(), a, p, "x", 1)
					started <- err
				}()
				time.Sleep(time.Second)
				b := share(t, below, p)
				defer b.stop()
				if joined {
					resume := a.pause()
					time.Sleep(3 * ttl) // it is taken over from, and joins anew
					resume()
				} else {
					ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
					done := make(chan error)
					go func() { done <- a.Run(ctx) }()
					a.stop = func() { cancel(); require.NoError(t, <-done) }
				}
				defer a.stop()
				time.Sleep(5 * time.Second)
				require.Contains(t, r.said(), "start x/remote/1", "the other process works on it")
				said := r.said()
				reply()
				require.NoError(t, <-started)
				require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(a, p, "x")).Status)
				require.Equal(t, said, r.said())
			})
		})
	}
}
