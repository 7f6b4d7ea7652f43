package pipeline

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// Engine runs executions. Embedded is the one of this package.
type Engine interface {
	// Start starts an execution of d under id, which is the idempotency key: if an
	// execution of the same pipeline with the same input has that id, Start changes
	// nothing and returns nil; any other gives ErrExists. input is JSON.
	Start(ctx context.Context, d Definition, id string, input []byte, o StartOptions) error
	// Signal delivers a decision and returns when it is durable; see Signal.
	Signal(ctx context.Context, id string, s Signal) error
	// Get returns the state of an execution, or ErrNotFound.
	Get(ctx context.Context, id string) (Snapshot, error)
	// List returns up to limit executions after the given id, in the order of ids.
	// 0 means 100.
	List(ctx context.Context, after string, limit int) ([]Snapshot, error)
	// Watch yields the events after number after, then those to come, until the
	// execution has ended or ctx does. Progress is yielded as it comes, unnumbered;
	// a slow reader misses progress but no event.
	Watch(ctx context.Context, id string, after uint64) iter.Seq2[Event, error]
	// Run works on executions until ctx ends, and returns when everything that it
	// started has come to rest.
	Run(ctx context.Context) error
}

// StartOptions are what else is known when an execution starts.
type StartOptions struct {
	Actor string // who or what starts it; may not approve its gates
	// Labels are found by Search: at most 32, with names of 1 to 63 letters, digits,
	// '.', '_', '/' and '-' and values of at most 256 bytes.
	Labels map[string]string
}

// Options are the settings of an Embedded engine. The zero value is good.
type Options struct {
	// Observer is told what happens; nil means nobody is.
	Observer Observer
	// Authorize is asked before a signal is recorded; nil accepts every actor that
	// the gate accepts, and nobody who skips a stage or forces its success. Its
	// error is returned to whoever sent the signal.
	Authorize func(ctx context.Context, s Snapshot, sig Signal) error
	// MaxConcurrent is how many calls of stages run at the same time; default 1024.
	MaxConcurrent int
	// DrainTimeout is how long Run waits, once its context has ended, for tasks and
	// for effects that are being started, before their contexts end with
	// ErrShutdown; default 10 s.
	DrainTimeout time.Duration
	// PollBudget is how long a call of Poll may block on a watch; default 20 s.
	PollBudget time.Duration
	// LeaseTTL is how long a process that shares its store with others may be out of
	// touch with it before they take over its executions, which begins after 1.2 to
	// 1.4 of it and takes as long as reading all executions; default 15 s. All
	// processes on a store must have the same. It costs a write every third of it and
	// a List of the leases every sixth. A store that is not shared needs none.
	LeaseTTL time.Duration
	// HintPoll is how often a process that shares its store looks for what others
	// have left for it: signals, new executions; default 1 s. It costs two Lists of
	// few keys.
	HintPoll time.Duration
	// Retention says what becomes of executions that have ended; nil keeps them all
	// where they are. With it, Run also collects blobs that nothing refers to.
	Retention *Retention
}

// Embedded is the engine that runs inside the program. It keeps executions in
// a Store and works on them while Run runs.
//
// If the store is shared, any number of processes may Start and Signal, and any
// number may Run. Each of those has a lease, and works on the executions that it
// has started and on those that nobody else works on.
type Embedded struct {
	store  Store
	shared bool                   // several processes may use the store
	worker atomic.Pointer[worker] // what Run is in a shared store, nil while it does not run

	running atomic.Bool
	o       Options
	slots   chan struct{}
	writer  string
	seq     atomic.Uint64
	commit  committer

	mu    sync.Mutex
	defs  map[string]*definition // by name, the newest
	exact map[string]*definition // by hash of the plan
	plans map[string]*Plan       // by hash
	execs map[string]*execution
	begun map[string]int // ids that Start is about to write
	state runState
	calls context.Context // of the calls of stages
	polls context.Context // of Poll, which ends as soon as Run's context does
	herd  herd            // executions in the middle of their work that are taken up
	turns tracker         // turns and calls that are going on

	orphans map[string]time.Time // blobs without an execution, and since when; guarded by mu

	buffers    sync.Pool     // of *[]byte, for records on their way to the store
	registered atomic.Uint64 // rises when code is registered that was not there before
}

// New returns an engine on store. It starts nothing: call Run.
func New(store Store, o Options) *Embedded {
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = 1024
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = 10 * time.Second
	}
	if o.PollBudget <= 0 {
		o.PollBudget = 20 * time.Second
	}
	if o.LeaseTTL <= 0 {
		o.LeaseTTL = 15 * time.Second
	}
	if o.HintPoll <= 0 {
		o.HintPoll = time.Second
	}
	if o.Observer == nil {
		o.Observer = noObserver{}
	}
	e := &Embedded{
		store: store, shared: store.Info().Shared, o: o, slots: make(chan struct{}, o.MaxConcurrent), writer: newWriterID(),
		defs: map[string]*definition{}, exact: map[string]*definition{}, plans: map[string]*Plan{}, execs: map[string]*execution{}, begun: map[string]int{},
	}
	e.commit = committer{store: store, observe: o.Observer.OnWrite}
	return e
}

// Register makes pipelines known, so that Run can go on with their executions.
// Start does so too. Executions of pipelines that are not registered are parked
// until they are. Of two pipelines with the same name, executions that were
// started by neither go on with the one registered last.
func (e *Embedded) Register(ds ...Definition) error {
	var errs []error
	for _, d := range ds {
		var def *definition
		if !isNil(d) {
			def = d.definition()
		}
		if def == nil {
			errs = append(errs, errors.New("pipeline: nil cannot be registered: make it with Define"))
			continue
		}
		if def.err != nil {
			errs = append(errs, def.err)
			continue
		}
		e.learn(def)
	}
	return errors.Join(errs...)
}

// learn takes in a definition and tries again what was parked.
func (e *Embedded) learn(def *definition) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.exact[def.hash] == def && e.defs[def.plan.Name] == def {
		return
	}
	e.exact[def.hash], e.defs[def.plan.Name] = def, def
	e.registered.Add(1)
	for _, x := range e.execs {
		if x.parked.Load() != nil && e.state == working {
			x.post(input{kind: inTimer})
		}
	}
}

var execIDPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$`)

const (
	execPrefix = "x/"
	planPrefix = "p/"
)

// Start implements Engine.
func (e *Embedded) Start(ctx context.Context, d Definition, id string, input []byte, o StartOptions) error {
	def := d.definition()
	if err := e.Register(d); err != nil {
		return err
	}
	if !execIDPattern.MatchString(id) {
		return fmt.Errorf("execution id %q: want 1 to 200 letters, digits, '.', '_', ':', '-': %w", id, ErrInvalid)
	}
	input, err := def.check(input)
	if err != nil {
		return fmt.Errorf("execution %q: %w", id, err)
	}
	if len(input) > MaxPayload {
		return fmt.Errorf("execution %q: its input has %d bytes, at most %d are allowed: %w", id, len(input), MaxPayload, ErrTooLarge)
	}
	if err := checkLabels(o.Labels); err != nil {
		return fmt.Errorf("execution %q: %w", id, err)
	}
	if _, err := e.store.Get(ctx, archivePrefix+id); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = e.same(ctx, id, def.plan.Name, input)
		}
		return err
	}
	if err := e.keepPlan(ctx, def.hash, def.plan); err != nil {
		return fmt.Errorf("execution %q: plan: %w", id, err)
	}
	now := time.Now().UTC()
	r := &record{
		Format: recordFormat, MinReader: recordFormat, Rev: 1, Epoch: 1, ID: id, Pipeline: def.plan.Name,
		Version: def.plan.Version, Plan: def.hash, Status: Running, StartedBy: o.Actor, Labels: maps.Clone(o.Labels), Created: now, Input: input,
		Owner: e.self(),
	}
	if l := def.plan.Limit; l != nil {
		if r.LimitKey, err = def.limitKey(input); err != nil {
			return fmt.Errorf("execution %q: %w", id, err)
		}
		r.Locks = []lockRec{r.place(*l)}
	}
	if err := e.refused(ctx, r); err != nil {
		return err
	}
	r.expect(len(def.root.nodes))
	r.event(now, EventStarted, "", "", o.Actor)
	x := &execution{e: e, id: id, rt: map[int]*activity{}}
	x.m = &machine{r: r, v: newView(def.plan, def.root, r), now: now}
	x.m.apply(nil)
	defer e.beginning(id)()
	version, err := e.write(ctx, r, "")
	if errors.Is(err, ErrConflict) {
		return e.same(ctx, id, def.plan.Name, input)
	}
	if err != nil {
		if errors.Is(err, ErrUnknown) {
			e.adopt(&execution{e: e, id: id}) // it goes on if it is there
		}
		return fmt.Errorf("execution %q: %w", id, err)
	}
	x.version = version
	x.cur.Store(r)
	x.rev.Store(r.Rev)
	admitted := e.admit(ctx, r)
	if admitted != nil && admitted.lock.refused != nil { // another one was faster
		l := r.Locks[0]
		refusal := &LimitError{Execution: id, Limit: l.Name, Max: l.Max, Holders: admitted.lock.refused}
		return errors.Join(refusal, e.deliver(ctx, id, Signal{ID: "limit", Kind: SignalCancel, Actor: "limit", Reason: refusal.Error()}))
	}
	if y := e.adopt(x); y != nil && admitted != nil {
		y.post(*admitted)
	}
	if e.shared && r.Owner == "" && !r.Status.Final() {
		e.hint(ctx, "", "x/"+id)
	}
	e.observe(r, 0)
	return nil
}

// trusted reports whether this engine may start something, which it may not while
// another process may have taken over from it. It waits for a lease that is late.
func (e *Embedded) trusted(ctx context.Context) bool {
	w := e.worker.Load()
	return w == nil || w.wait(ctx)
}

// self returns the worker to which new executions belong: this one if it is one.
func (e *Embedded) self() string {
	if w := e.worker.Load(); w != nil && w.trusted() {
		return w.id
	}
	return ""
}

// beginning keeps Run from taking up an execution between its first write and
// the moment from which this engine works on it.
func (e *Embedded) beginning(id string) (done func()) {
	add := func(n int) {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.begun[id] += n; e.begun[id] == 0 {
			delete(e.begun, id)
		}
	}
	add(1)
	return func() { add(-1) }
}

// same says whether the execution that has the id already is the one wanted.
func (e *Embedded) same(ctx context.Context, id, pipeline string, input []byte) error {
	r, _, _, err := e.fetch(ctx, id)
	if errors.Is(err, ErrNotFound) {
		return fmt.Errorf("execution %q has been deleted; its id can be used again an hour later, or choose another: %w", id, ErrExists)
	}
	if err != nil {
		return fmt.Errorf("execution %q: %w", id, err)
	}
	if r.Pipeline != pipeline || string(r.Input) != string(input) {
		return fmt.Errorf("execution %q was started with pipeline %q, version %d and other input; choose another id or give the same input: %w",
			id, r.Pipeline, r.Version, ErrExists)
	}
	if !r.Status.Final() {
		e.adopt(&execution{e: e, id: id})
		if e.shared && r.Owner == "" { // whoever started it may not have come to this
			e.hint(ctx, "", "x/"+id)
		}
	}
	return nil
}

// keepPlan stores a plan under its hash, once per process.
func (e *Embedded) keepPlan(ctx context.Context, hash string, p *Plan) error {
	e.mu.Lock()
	_, known := e.plans[hash]
	e.mu.Unlock()
	if known {
		return nil
	}
	for try := 1; ; try++ {
		_, err := e.store.Put(ctx, planPrefix+hash, p.JSON(), "")
		if err == nil || errors.Is(err, ErrConflict) {
			break
		}
		if !errors.Is(err, ErrUnknown) || try == unknownTries {
			return err
		}
	}
	e.mu.Lock()
	e.plans[hash] = p
	e.mu.Unlock()
	return nil
}
