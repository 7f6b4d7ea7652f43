package pipeline_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// A store that fails just when a worker has fenced another one delays the take-over
// by no more than its own trouble.
func TestTakeOverDespiteTrouble(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newRemote()
		hour(r)
		p := effect(r)
		below := pipeline.NewMemory()
		a := share(t, below, p)
		store := storetest.NewFaulty(storetest.Shared(below))
		var fenced atomic.Int64
		store.OnWrite = func(w storetest.Write) storetest.Fault {
			if strings.HasPrefix(w.Key, "w/") && strings.Contains(string(w.Value), "fenced") {
				fenced.CompareAndSwap(0, time.Now().UnixNano())
			}
			return storetest.Fault{}
		}
		const trouble = 8 * time.Second // longer than a list is tried for
		store.OnRead = func(key string) error {
			if at := fenced.Load(); key == "x/" && at > 0 && time.Since(time.Unix(0, at)) < trouble {
				return errors.New("out of reach")
			}
			return nil
		}
		b, stop := pipelinetest.On(t, store, pipeline.Options{DrainTimeout: time.Second}, p)
		defer stop()
		time.Sleep(time.Minute)
		begin(t, a, p, "x", 1)
		time.Sleep(time.Minute)
		a.crash()
		crashed := time.Now()
		for !strings.Contains(status(t, b, "x"), "succeeded") && time.Since(crashed) < 2*time.Hour {
			if s, err := below.Get(t.Context(), "x/x"); err == nil && strings.Contains(string(s.Value), `"epoch":2`) {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		require.Less(t, time.Since(crashed), 2*ttl)
		require.NotZero(t, fenced.Load())
		require.Equal(t, pipeline.Succeeded, finish(t, pipeline.Attach(b, p, "x")).Status)
	})
}
