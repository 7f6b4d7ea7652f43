package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// The cases of this file run an engine on the store: what the store promises must
// be enough for what the engine promises.

// script is an effect that is counted by key, and a task.
type script struct {
	mu     sync.Mutex
	starts map[string]int
	size   int // of what the task returns
}

func (s *script) Kind() string { return "storetest.effect/v1" }

func (s *script) Start(c *pipeline.Call) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starts[c.Key]++
	return json.Marshal(c.Key)
}

func (s *script) Find(c *pipeline.Call) (json.RawMessage, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, err := json.Marshal(c.Key)
	return h, s.starts[c.Key] > 0, err
}

func (s *script) Poll(_ *pipeline.Call, h json.RawMessage) (pipeline.PollResult, error) {
	return pipeline.PollResult{Done: true, Output: h, Handle: h}, nil
}

func (s *script) Abort(*pipeline.Call, json.RawMessage) error { return nil }

type task struct{ s *script }

func (t task) Kind() string { return "storetest.task/v1" }

func (t task) Exec(c *pipeline.Call) (json.RawMessage, error) {
	return json.Marshal(strings.Repeat("large.", t.s.size/6))
}

func (s *script) pipeline(gated bool) *pipeline.Pipeline[string, string] {
	return pipeline.Define("storetest", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		var after []pipeline.Dep
		if gated {
			after = append(after, pipeline.Add[pipeline.Decision](b, pipeline.Node{ID: "gate", Gate: &pipeline.Gate{}}))
		}
		one := pipeline.Add[string](b, pipeline.Node{ID: "one", Work: s, Input: in, Options: pipeline.StageOptions{After: after}})
		two := pipeline.Add[string](b, pipeline.Node{ID: "two", Work: task{s}, Input: one})
		return pipeline.Add[string](b, pipeline.Node{ID: "three", Work: s, Input: two})
	})
}

// runEngine lets an engine work on the store until the test ends or stop is called.
func runEngine(t *testing.T, s pipeline.Store, p pipeline.Definition) (e *pipeline.Embedded, stop func()) {
	t.Helper()
	e = pipeline.New(s, pipeline.Options{HintPoll: 20 * time.Millisecond})
	if err := e.Register(p); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("engine: %v", err)
		}
	})
	t.Cleanup(stop)
	return e, stop
}

// testLostReplies loses the replies to some writes, which took effect, and to
// others, which did not: the engine reads back, and finds its own by their id.
func testLostReplies(t *testing.T, s pipeline.Store) {
	faulty := NewFaulty(s)
	faulty.OnWrite = func(w Write) Fault {
		switch w.N % 3 {
		case 1:
			return Fault{Fate: Lose}
		case 2:
			return Fault{Fate: LoseUnwritten}
		}
		return Fault{}
	}
	work := &script{starts: map[string]int{}}
	p := work.pipeline(false)
	e, _ := runEngine(t, faulty, p)
	for i := range 5 {
		id := fmt.Sprint("lost-", i)
		run, err := pipeline.Start(t.Context(), e, p, id, "in")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := run.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{id + "/one/1", id + "/three/1"} {
			if n := work.starts[key]; n != 1 {
				t.Errorf("effect %s was started %d times", key, n)
			}
		}
		n := uint64(0)
		for ev, err := range e.Watch(t.Context(), id, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; ev.N != n {
				t.Fatalf("event %d has the number %d", n, ev.N)
			}
		}
	}
}

// testBlobs keeps values that are larger than what a record holds.
func testBlobs(t *testing.T, s pipeline.Store) {
	work := &script{starts: map[string]int{}, size: 900 << 10}
	p := work.pipeline(false)
	e, stop := runEngine(t, s, p)
	input := strings.Repeat("in.", 100<<10)
	run, err := pipeline.Start(t.Context(), e, p, "large", input)
	if err != nil {
		t.Fatal(err)
	}
	out, err := run.Wait(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	stop()
	it, err := s.Get(t.Context(), "x/large")
	if err != nil || len(it.Value) > pipeline.BlobThreshold {
		t.Fatalf("the record has %d bytes, error %v; what is large belongs beside it", len(it.Value), err)
	}
	snap, err := pipeline.New(s, pipeline.Options{}).Get(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	two, _ := snap.Stage("two")
	if string(snap.Output) != `"`+out+`"` || string(snap.Input) != `"`+input+`"` || len(two.Output) < 900<<10-6 {
		t.Fatalf("input of %d, output of stage %d, output of %d bytes are not what was stored", len(snap.Input), len(two.Output), len(snap.Output))
	}
}

// testUnusableRecords leaves alone what it cannot read, and says why.
func testUnusableRecords(t *testing.T, s pipeline.Store) {
	p := (&script{starts: map[string]int{}}).pipeline(true)
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		want   error
	}{
		"truncated": {func(b []byte) []byte { return b[:len(b)/2] }, pipeline.ErrCorrupt},
		"empty":     {func([]byte) []byte { return nil }, pipeline.ErrCorrupt},
		"corrupt":   {func(b []byte) []byte { return bytes.Replace(b, []byte(`"running"`), []byte(`"rummage"`), 1) }, pipeline.ErrCorrupt},
		"newer":     {func(b []byte) []byte { return bytes.Replace(b, []byte(`"minReader":1`), []byte(`"minReader":99`), 1) }, pipeline.ErrParked},
	} {
		if _, err := pipeline.Start(t.Context(), pipeline.New(s, pipeline.Options{}), p, name, "in"); err != nil {
			t.Fatal(err)
		}
		it, err := s.Get(t.Context(), "x/"+name)
		if err != nil {
			t.Fatal(err)
		}
		bad := c.damage(bytes.Clone(it.Value))
		v, err := s.Put(t.Context(), it.Key, bad, it.Version)
		if err != nil {
			t.Fatal(err)
		}
		e, stop := runEngine(t, s, p)
		if _, err := e.Get(t.Context(), name); !errors.Is(err, c.want) {
			t.Errorf("%s: Get: %v, want %v", name, err, c.want)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		err = e.Signal(ctx, name, pipeline.Signal{ID: "1", Kind: pipeline.SignalApprove, Stage: "gate", Actor: "alice"})
		cancel()
		if !errors.Is(err, pipeline.ErrParked) {
			t.Errorf("%s: Signal: %v, want it parked", name, err)
		}
		eventually(t, s, func() error {
			all, err := e.List(t.Context(), "", 0)
			if err != nil {
				return err
			}
			for _, x := range all {
				if x.ID == name && x.Parked != "" {
					return nil
				}
			}
			return fmt.Errorf("%s: it is not listed as parked", name)
		})
		stop()
		wantItem(t, s, it.Key, string(bad), v)
	}
}
