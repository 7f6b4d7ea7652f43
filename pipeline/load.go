package pipeline

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// parking is why this program cannot go on with an execution.
type parking struct {
	err  error
	at   uint64 // Embedded.registered when it was found: code that came later may help
	ever bool   // no code helps
}

// parking returns why the execution is parked, nil if it is not, or if code has
// been registered since and it is to be tried again.
func (x *execution) parking() error {
	p := x.parked.Load()
	if p == nil || !p.ever && p.at != x.e.registered.Load() {
		return nil
	}
	return p.err
}

// park leaves the execution alone until a program that can go on with it runs.
func (x *execution) park(p parking) error {
	x.parked.Store(&p)
	x.wake(true)
	x.e.o.Observer.OnEvent(x.id, "", Event{At: time.Now().UTC(), Kind: EventParked, Detail: p.err.Error()})
	return p.err
}

// load brings a cold execution's record into memory. A parked one is tried again
// when code has been registered, or when it could not even be read.
func (x *execution) load() error {
	if x.dropped != nil {
		return x.dropped
	}
	for {
		if x.m != nil && x.parked.Load() == nil {
			return nil
		}
		if err := x.parking(); err != nil && x.m != nil {
			return err
		}
		at := x.e.registered.Load()
		err := x.read(at)
		if !errors.Is(err, ErrParked) || at == x.e.registered.Load() {
			return err
		}
	}
}

func (x *execution) read(at uint64) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	unusable := func(err error) error {
		return x.park(parking{at: at, err: fmt.Errorf("execution %q: %w: %w", x.id, err, ErrParked)})
	}
	r, item, archived, err := x.e.fetch(ctx, x.id)
	var bad *RecordError
	switch {
	case errors.As(err, &bad):
		return unusable(err)
	case archived:
		x.leaveAlone()
		x.e.forget(x)
		return fmt.Errorf("execution %q: %w", x.id, ErrArchived)
	case errors.Is(err, ErrNotFound):
		x.leaveAlone()
		x.e.forget(x)
		return fmt.Errorf("execution %q: %w", x.id, err)
	case err != nil:
		return fmt.Errorf("execution %q: %w", x.id, err)
	}
	plan, err := x.e.plan(ctx, r.Plan)
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrCorrupt), errors.Is(err, ErrParked):
		return unusable(fmt.Errorf("its plan: %w", err))
	case err != nil:
		return fmt.Errorf("execution %q: plan: %w", x.id, err)
	}
	def := x.e.code(r)
	if def != nil && def.hash == r.Plan {
		plan = def.plan
	}
	v := newView(plan, bind(plan, r.Plan, def), r)
	if err := v.check(r); err != nil {
		return unusable(&RecordError{Key: item.Key, Err: ErrCorrupt, Problem: err.Error() + "; restore it from a backup or delete it"})
	}
	x.m, x.rt, x.version = &machine{r: r, v: v}, nil, item.Version
	x.cur.Store(r)
	x.parked.Store(nil)
	if why := x.m.missing(); why != "" {
		return x.park(parking{at: at, err: fmt.Errorf("execution %q: %s: %w", x.id, why, ErrParked)})
	}
	x.m.r = r.clone()
	x.rev.Store(r.Rev)
	if err := x.claim(ctx); err != nil {
		x.m = nil
		return err
	}
	x.fresh, x.misses = true, 0
	if x.rt = nil; !x.guest {
		x.doubt()
	}
	return nil
}

// again lets the engine try later what a store in trouble has kept it from.
func (x *execution) again() {
	if x.e.resting() {
		return
	}
	if x.timer != nil {
		x.timer.Stop()
	}
	d := min(time.Second<<min(x.misses, 5), 30*time.Second)
	x.misses++
	x.timer = time.AfterFunc(spread(d, x.id), func() { x.post(input{kind: inTimer}) })
}

// missing says why this program cannot go on with the execution.
func (m *machine) missing() string {
	if m.r.Status.Final() {
		return ""
	}
	for i, in := range m.v.insts {
		undo := m.v.plan.UndoOnFailure && in.n.Undo && m.r.Stages[i].Undo == nil
		if m.r.Stages[i].Status.Final() && !undo {
			continue
		}
		if why := in.n.lacks(); why != "" {
			return why
		}
	}
	return ""
}

// lacks says what this program has not got of the stage and those inside it.
func (n *node) lacks() string {
	if n.missing != "" || n.body == nil {
		return n.missing
	}
	for _, inner := range n.body.nodes {
		if why := inner.lacks(); why != "" {
			return why
		}
	}
	return ""
}

// busy reports whether work was going on when the record was written.
func (m *machine) busy() bool {
	for i := range m.r.Stages {
		s := &m.r.Stages[i]
		if s.Status == StageRunning && (s.Phase == phaseExec || s.Phase == phaseStart || s.Phase == phasePoll || s.Phase == phaseAbort) ||
			s.Undo != nil && s.Undo.Status == StageRunning {
			return true
		}
	}
	return false
}

// code returns the definition to go on with: the one with the same plan, if it
// is registered, or else the newest one of that name.
func (e *Embedded) code(r *record) *definition {
	e.mu.Lock()
	defer e.mu.Unlock()
	if def := e.exact[r.Plan]; def != nil {
		return def
	}
	return e.defs[r.Pipeline]
}

// plan returns a frozen plan.
func (e *Embedded) plan(ctx context.Context, hash string) (*Plan, error) {
	e.mu.Lock()
	p := e.plans[hash]
	e.mu.Unlock()
	if p != nil {
		return p, nil
	}
	item, err := e.store.Get(ctx, planPrefix+hash)
	if err != nil {
		return nil, err
	}
	p = &Plan{}
	sum := sha256.Sum256(item.Value)
	if err := json.Unmarshal(item.Value, p); err != nil || hex.EncodeToString(sum[:]) != hash {
		return nil, &RecordError{Key: item.Key, Err: ErrCorrupt, Problem: "is not what was written; restore it from a backup"}
	}
	if p.Hash() != hash { // it has fields that this program does not know
		return nil, &RecordError{Key: item.Key, Err: ErrParked, Problem: "was written by a newer program"}
	}
	e.mu.Lock()
	e.plans[hash] = p
	e.mu.Unlock()
	return p, nil
}
