package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
)

// takeUp makes every execution that has not ended one that this engine works on.
// Of one that waits it looks at the beginning of the record only, and keeps no
// more of it in memory than its id and when it is due; the others are loaded, a
// bounded number at the same time.
func (e *Embedded) takeUp(ctx context.Context) error {
	slots := make(chan struct{}, loadAtOnce)
	after := execPrefix
	for {
		items, err := e.page(ctx, after)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("list of executions: %w", err)
		}
		if len(items) == 0 {
			return nil
		}
		after = items[len(items)-1].Key
		for _, item := range items {
			h := peek(item.Value)
			id := strings.Clone(item.Key[len(execPrefix):])
			if h.Status.Final() || e.isBeginning(id) || e.waits(id, h) {
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				return nil
			}
			e.resume(id, slots)
		}
	}
}

// loadAtOnce is how many executions a start of the engine loads at the same time.
const loadAtOnce = 256

// resume loads an execution and goes on with it. It frees a slot when that is done.
func (e *Embedded) resume(id string, slots <-chan struct{}) {
	e.adopt(&execution{e: e, id: id})
	e.mu.Lock()
	x := e.execs[id]
	e.mu.Unlock()
	if x == nil {
		<-slots
		return
	}
	x.post(input{kind: inTimer, done: func(error) { <-slots }})
}

// waits adopts an execution that has nothing to do but to wait, without loading
// it. It reports false for one that must be loaded: because it has work to do, or
// because this program may lack its code or may not understand the record.
func (e *Embedded) waits(id string, h glance) bool {
	now := time.Now()
	if !h.Idle || h.MinReader > readFormat || !h.Due.IsZero() && !h.Due.After(now) {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.exact[h.Plan] == nil || e.state != working {
		return false
	}
	if e.execs[id] != nil {
		return false
	}
	x := &execution{e: e, id: id, adopted: true}
	if !h.Due.IsZero() {
		x.timer = time.AfterFunc(h.Due.Sub(now), func() { x.post(input{kind: inTimer}) })
	}
	e.execs[id] = x
	return true
}

// glance is what a restart needs of a record, from its beginning.
type glance struct {
	MinReader int
	Plan      string
	Status    Status
	Idle      bool
	Due       time.Time
}

var errEnough = errors.New("the rest of the record is of no interest")

// peek looks at no more of a record than it must. Of one that it does not
// understand it returns the zero glance.
func peek(raw []byte) glance {
	var h glance
	err := scanObject(raw, func(name, v []byte) error {
		switch string(name) {
		case `"minReader"`:
			return setInt(&h.MinReader, v)
		case `"plan"`:
			return setText(&h.Plan, v)
		case `"status"`:
			return setText(&h.Status, v)
		case `"idle"`:
			return json.Unmarshal(v, &h.Idle)
		case `"due"`:
			return setTime(&h.Due, v)
		case `"created"`: // which comes behind all these
			if h.Status != "" {
				return errEnough
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return glance{}
	}
	return h
}

// idle reports whether the execution waits for people or for time and for nothing
// else: no call is wanted, and no turn but one for a signal or at due would change
// anything. due is zero if only a signal will do.
func (r *record) idle() (idle bool, due time.Time) {
	if r.Status.Final() || r.Undoing || len(r.wants()) > 0 {
		return false, time.Time{}
	}
	for i := range r.Stages {
		s := &r.Stages[i]
		if op, _ := r.wanted(i); op != "" {
			return false, time.Time{}
		}
		if s.Status != StageRunning {
			continue
		}
		switch s.Phase {
		case phaseGate, phaseWait, phaseWindow, phaseBackoff:
			idle = true
		case phaseGroup:
		default:
			return false, time.Time{}
		}
	}
	if idle {
		due = r.due()
	}
	return idle, due
}

// herd counts executions that are taken up in the middle of their work, as after
// the death of a process, so that their effects' systems are not all called at once.
type herd struct {
	mu   sync.Mutex
	n    int
	last time.Time
}

// Calls of a herd are spread over herdPace each, over herdLimit at most; a few do
// not make one. It has passed when nobody has joined it for herdLimit.
const (
	herdPace  = 500 * time.Microsecond
	herdFew   = 64
	herdLimit = 5 * time.Second
)

// window is within what time another call of the herd is to be made.
func (h *herd) window(now time.Time) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Sub(h.last) > herdLimit {
		h.n = 0
	}
	h.n, h.last = h.n+1, now
	if h.n <= herdFew {
		return 0
	}
	return min(time.Duration(h.n)*herdPace, herdLimit)
}
