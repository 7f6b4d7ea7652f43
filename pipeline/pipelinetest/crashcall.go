package pipelinetest

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gennaker/gennaker/pipeline"
)

// starts counts the starts of effects that have succeeded, by key, over all the
// processes of an execution.
type starts struct {
	mu    sync.Mutex
	byKey map[string]int
}

func (s *starts) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byKey[key]++
}

func (s *starts) problems(o CrashOptions) (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(s.byKey)) {
		if n := s.byKey[key]; n > 1 && !o.Idempotent {
			all = append(all, fmt.Sprintf("the effect %s was started %d times", key, n))
		}
	}
	return all
}

// tappedEngine gives the engine pipelines whose calls go through the process.
type tappedEngine struct {
	*pipeline.Embedded
	p *process
}

func (e tappedEngine) Start(ctx context.Context, d pipeline.Definition, id string, input []byte, o pipeline.StartOptions) error {
	return e.Embedded.Start(ctx, e.p.tapped(d), id, input, o)
}

// tapped returns the pipeline with every call of its stages' code counted, and
// the process's fate at the call where it has its point.
func (p *process) tapped(d pipeline.Definition) pipeline.Definition {
	return pipeline.Replaced(d, func(s pipeline.Stage, w pipeline.Work) pipeline.Work {
		if effect, ok := w.(pipeline.EffectWork); ok && s.Type == pipeline.TypeEffect {
			tapped := tappedEffect{tappedWork{w, p}, effect}
			if h, ok := w.(pipeline.HearWork); ok {
				return hearing{tapped, h}
			}
			return tapped
		}
		return tappedTask{tappedWork{w, p}, w.(pipeline.TaskWork)}
	})
}

type tappedWork struct {
	pipeline.Work
	p *process
}

// call makes a call, unless the process dies at it.
func (w tappedWork) call(c *pipeline.Call, f func()) error {
	p := w.p
	p.mu.Lock()
	p.calls++
	here := p.point.call > 0 && p.calls == p.point.call && !isClosed(p.over)
	p.mu.Unlock()
	switch {
	case isClosed(p.gone) || isClosed(p.frozen): // a process that is gone makes no calls
		<-c.Context.Done()
		return context.Cause(c.Context)
	case !here:
		f()
		return nil
	case p.point.made:
		f()
	}
	if !p.point.late {
		p.store.Crash()
		if !p.point.made {
			<-c.Context.Done()
			return context.Cause(c.Context)
		}
		return nil
	}
	close(p.frozen)
	<-p.thaw
	if !p.point.made {
		f()
	}
	return nil
}

// Undo implements pipeline.UndoWork; the plan says whether the work is one.
func (w tappedWork) Undo(c *pipeline.Call, output json.RawMessage) (err error) {
	return first(w.call(c, func() { err = w.Work.(pipeline.UndoWork).Undo(c, output) }), &err)
}

// first returns why a call was not made, or else its own error.
func first(died error, own *error) error {
	if died != nil {
		return died
	}
	return *own
}

type tappedTask struct {
	tappedWork
	task pipeline.TaskWork
}

func (w tappedTask) Exec(c *pipeline.Call) (out json.RawMessage, err error) {
	err = first(w.call(c, func() { out, err = w.task.Exec(c) }), &err)
	return out, err
}

type tappedEffect struct {
	tappedWork
	effect pipeline.EffectWork
}

func (w tappedEffect) Start(c *pipeline.Call) (h json.RawMessage, err error) {
	err = first(w.call(c, func() {
		if h, err = w.effect.Start(c); err == nil {
			w.p.starts.add(c.Key)
		}
	}), &err)
	return h, err
}

func (w tappedEffect) Find(c *pipeline.Call) (h json.RawMessage, found bool, err error) {
	err = first(w.call(c, func() { h, found, err = w.effect.Find(c) }), &err)
	return h, found, err
}

func (w tappedEffect) Poll(c *pipeline.Call, h json.RawMessage) (r pipeline.PollResult, err error) {
	err = first(w.call(c, func() { r, err = w.effect.Poll(c, h) }), &err)
	return r, err
}

func (w tappedEffect) Abort(c *pipeline.Call, h json.RawMessage) (err error) {
	return first(w.call(c, func() { err = w.effect.Abort(c, h) }), &err)
}
