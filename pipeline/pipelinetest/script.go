package pipelinetest

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Script says what becomes of stages, by their ids, instead of what their code
// does. "prod[eu]/deploy" is the stage of one item, "prod/deploy" those of all
// items that have no outcome of their own.
type Script map[string]Outcome

// Outcome is what becomes of a stage's attempts. Make it with Returns or Fails.
type Outcome struct {
	value any
	err   error
	takes time.Duration
	next  *Outcome
}

// Returns is success with an output.
func Returns(output any) Outcome { return Outcome{value: output} }

// Fails is failure. stage.Permanent and stage.Skip have their meaning.
func Fails(err error) Outcome { return Outcome{err: err} }

// Takes makes every attempt last for d, which passes at once in a bubble.
func (o Outcome) Takes(d time.Duration) Outcome {
	o.takes = d
	if o.next != nil {
		n := o.next.Takes(d)
		o.next = &n
	}
	return o
}

// Then is what becomes of the attempts after the first.
func (o Outcome) Then(next Outcome) Outcome {
	if o.next != nil {
		next = o.next.Then(next)
	}
	o.next = &next
	return o
}

// of returns the outcome of an attempt; the last one repeats itself.
func (o Outcome) of(attempt int) Outcome {
	for ; attempt > 1 && o.next != nil; attempt-- {
		o = *o.next
	}
	return o
}

func (o Outcome) result() (json.RawMessage, error) {
	if o.err != nil {
		return nil, o.err
	}
	return json.Marshal(o.value)
}

// scene is the system outside that scripted effects are started in.
type scene struct {
	mu    sync.Mutex
	begun map[string]time.Time // by key
}

// start begins an effect, or says when it was begun.
func (s *scene) start(key string) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.begun[key]; !ok {
		s.begun[key] = time.Now()
	}
	return s.begun[key]
}

func (s *scene) find(key string) (time.Time, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.begun[key]
	return t, ok
}

// Stub returns p with the stages that the script names replaced; the others run
// their own code. A scripted effect is begun once under each key and found again
// after a crash, as long as the pipeline that Stub returned is used. It fails the
// test if the script names a stage that p has not. Nothing is left to undo of a
// stage that is replaced. What can be told something still can, by SignalTell, and
// refuses the same words; it does not change what the script says.
func Stub[I, O any](t *testing.T, p *pipeline.Pipeline[I, O], s Script) *pipeline.Pipeline[I, O] {
	t.Helper()
	plan, err := p.Plan()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	plan.All(func(st *pipeline.Stage, _ int) {
		known[st.ID] = st.Type == pipeline.TypeTask || st.Type == pipeline.TypeEffect
	})
	for id := range s {
		if !known[planID(id)] {
			t.Fatalf("script: pipeline %q has no task or effect %q", plan.Name, id)
		}
	}
	world := &scene{begun: map[string]time.Time{}}
	return p.Replace(func(st pipeline.Stage, w pipeline.Work) pipeline.Work {
		stub := stub{w, s, st.ID, world}
		if !stub.scripted() {
			return w
		}
		if h, ok := w.(pipeline.HearWork); ok && st.Type == pipeline.TypeEffect {
			return hearing{effectStub{stub}, h}
		}
		if st.Type == pipeline.TypeEffect {
			return effectStub{stub}
		}
		return taskStub{stub}
	})
}

// planID is the id in the plan of a stage inside groups.
func planID(id string) string {
	out, inside := make([]byte, 0, len(id)), false
	for _, c := range []byte(id) {
		switch {
		case c == '[':
			inside = true
		case c == ']':
			inside = false
		case !inside:
			out = append(out, c)
		}
	}
	return string(out)
}

// stub is a stage's work replaced by its script. It keeps the kind.
type stub struct {
	pipeline.Work
	script Script
	id     string
	world  *scene
}

func (s stub) scripted() bool {
	for id := range s.script {
		if planID(id) == s.id {
			return true
		}
	}
	return false
}

func (s stub) outcome(c *pipeline.Call) (Outcome, bool) {
	o, ok := s.script[c.Stage]
	if !ok {
		o, ok = s.script[s.id]
	}
	return o.of(c.Attempt), ok
}

func (s stub) Undo(*pipeline.Call, json.RawMessage) error { return nil }

type taskStub struct{ stub }

func (s taskStub) Exec(c *pipeline.Call) (json.RawMessage, error) {
	o, ok := s.outcome(c)
	if !ok { // another item is scripted, this one is not
		return s.Work.(pipeline.TaskWork).Exec(c)
	}
	select {
	case <-time.After(o.takes):
		return o.result()
	case <-c.Context.Done():
		return nil, context.Cause(c.Context)
	}
}

// hearing is an effect in place of another that understands what it is told.
type hearing struct {
	effect
	as pipeline.HearWork
}

// effect is what is in place of an effect; whether it is undone is in the plan.
type effect interface {
	pipeline.EffectWork
	pipeline.UndoWork
}

// Hears implements pipeline.HearWork.
func (h hearing) Hears(say string) error { return h.as.Hears(say) }

type effectStub struct{ stub }

func (s effectStub) work() pipeline.EffectWork { return s.Work.(pipeline.EffectWork) }

func (s effectStub) Start(c *pipeline.Call) (json.RawMessage, error) {
	if _, ok := s.outcome(c); !ok {
		return s.work().Start(c)
	}
	return json.Marshal(s.world.start(c.Key))
}

func (s effectStub) Find(c *pipeline.Call) (json.RawMessage, bool, error) {
	if _, ok := s.outcome(c); !ok {
		return s.work().Find(c)
	}
	begun, found := s.world.find(c.Key)
	if !found {
		return nil, false, nil
	}
	h, err := json.Marshal(begun)
	return h, true, err
}

func (s effectStub) Poll(c *pipeline.Call, handle json.RawMessage) (pipeline.PollResult, error) {
	o, ok := s.outcome(c)
	if !ok {
		return s.work().Poll(c, handle)
	}
	var begun time.Time
	if err := json.Unmarshal(handle, &begun); err != nil {
		return pipeline.PollResult{}, err
	}
	if left := time.Until(begun.Add(o.takes)); left > 0 {
		return pipeline.PollResult{Handle: handle, Next: left}, nil
	}
	out, err := o.result()
	return pipeline.PollResult{Done: true, Output: out, Err: err}, nil
}

func (s effectStub) Abort(c *pipeline.Call, handle json.RawMessage) error {
	if _, ok := s.outcome(c); !ok {
		return s.work().Abort(c, handle)
	}
	return nil
}
