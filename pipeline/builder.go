package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Builder collects the stages of a pipeline while its build function runs.
type Builder struct {
	scope *scopeDef
	errs  *[]error // of the whole definition
}

// scopeDef is a set of stages that succeed or fail together: a pipeline, or the
// body of a group.
type scopeDef struct {
	group  *node // nil for the pipeline itself
	nodes  []*node
	output *expr
	flat   atomic.Pointer[view] // see newView
}

// node is a stage's plan with the code behind it.
type node struct {
	Stage
	scope *scopeDef
	work  Work
	input *expr
	when  *expr
	after []*expr
	key   func(item json.RawMessage) (string, error) // of an Each
	open  *window                                    // compiled Stage.Window, nil if it has none
	body  *scopeDef                                  // of a group
	// derived from the expressions:
	pos      int                                            // among the nodes of its scope
	needs    []*node                                        // whose values are required
	waits    []*node                                        // which must have ended
	missing  string                                         // why this program cannot run it, "" if it can
	checkOut func(json.RawMessage) (json.RawMessage, error) // whether JSON is an output of the stage
}

// StageOptions are the settings that every stage has. Package stage offers them
// as options.
type StageOptions struct {
	After     []Dep         // stages that must have ended well, besides those whose values are used
	If        []Ref[bool]   // all must be true, else the stage is skipped
	OnFailure OnFailure     // what a failure means; default Halt
	Always    bool          // run even if the pipeline has failed or is cancelled
	Retry     Retry         // default: one attempt
	Timeout   time.Duration // of one attempt; 0 means none
	Deadline  time.Duration // of all attempts and waits together, pauses excluded; 0 means none
	// Tolerance is how long an Effect's Start, Find and Poll may fail in a row
	// before the stage fails with an unknown outcome; 0 means 15 min. Errors that say
	// Waiting() do not count.
	Tolerance time.Duration
	// Window is when the stage may begin; the zero value is always open. Until then
	// it waits, which costs one write; its Deadline does not run meanwhile.
	Window Window
}

// Node describes a stage to Add.
type Node struct {
	ID      string
	Work    Work          // for tasks and effects
	Gate    *Gate         // for gates
	Wait    time.Duration // for waits
	Value   bool          // for values
	Lock    bool          // takes the mutex that Input names, a string
	Unlock  bool          // gives back the mutex of Input, a Held
	Input   Dep           // nil means the constant null
	Options StageOptions
	Config  any // settings that are frozen with the plan and come back as Call.Config; may be nil
}

// DefaultTolerance is the default of StageOptions.Tolerance.
const DefaultTolerance = 15 * time.Minute

// Add adds a stage and returns the value that it will produce. Packages that
// offer ready-made stages call it; pipelines use those.
func Add[O any](b *Builder, n Node) Ref[O] {
	nd := b.add(n.ID, n.Options)
	nd.input = b.use(nd, n.Input)
	nd.work, nd.Gate, nd.Wait, nd.checkOut = n.Work, n.Gate, n.Wait, outputCheck[O]()
	switch {
	case n.Work != nil:
		nd.setWork(b)
	case n.Gate != nil:
		nd.Type, nd.Kind = TypeGate, "gate/v1"
		if problem := n.Gate.problem(); problem != "" {
			b.failStage(nd.ID, problem)
		}
	case n.Lock:
		nd.Type, nd.Kind = TypeLock, "lock/v1"
		nd.checkLock(b)
	case n.Unlock:
		nd.Type, nd.Kind = TypeUnlock, "unlock/v1"
		nd.checkUnlock(b)
	case n.Value:
		nd.Type, nd.Kind = TypeValue, "value/v1"
	case n.Wait > 0:
		nd.Type, nd.Kind = TypeWait, "wait/v1"
	default:
		b.failStage(nd.ID, "nothing to do: needs work, a gate or a wait of more than zero")
	}
	if n.Config != nil {
		raw, err := json.Marshal(n.Config)
		if err != nil {
			b.failStage(nd.ID, fmt.Sprintf("config: %v", err))
		}
		nd.Config = raw
	}
	nd.checkRetry(b)
	return Ref[O]{&expr{kind: exprStage, scope: b.scope, stage: nd}}
}

// checkLock refuses a name that is known to be none.
func (n *node) checkLock(b *Builder) {
	if n.input != nil && n.input.kind == exprConst {
		if _, err := lockName(n.input.value); err != nil {
			b.failStage(n.ID, err.Error())
		}
	}
}

// checkUnlock refuses to give back twice what is held once. One of two stages with
// conditions may be skipped.
func (n *node) checkUnlock(b *Builder) {
	if n.input == nil || n.input.kind != exprStage {
		return
	}
	for _, o := range b.scope.nodes {
		twice := o != n && o.Type == TypeUnlock && o.input != nil && o.input.kind == exprStage && o.input.stage == n.input.stage
		if twice && (!o.Conditional || !n.Conditional) {
			b.failStage(n.ID, fmt.Sprintf("stage %q gives back what stage %q has taken; it is held once, so one Unlock is enough", o.ID, n.input.stage.ID))
		}
	}
}

// checkRetry refuses a policy that would have no effect.
func (n *node) checkRetry(b *Builder) {
	if n.Retry.Attempts > 1 && n.work == nil {
		b.failStage(n.ID, fmt.Sprintf("a stage of type %q cannot be retried; give Retry to tasks and effects", n.Type))
	}
}

func (n *node) setWork(b *Builder) {
	n.Kind = n.work.Kind()
	switch n.work.(type) {
	case EffectWork:
		n.Type = TypeEffect
	case TaskWork:
		n.Type = TypeTask
	default:
		b.failStage(n.ID, fmt.Sprintf("work of type %T is neither TaskWork nor EffectWork", n.work))
	}
	if n.Kind == "" {
		b.failStage(n.ID, "its work has an empty kind; want a name such as \"smoke/v1\"")
	}
	_, n.Undo = n.work.(UndoWork)
}

// Fail reports a problem of a stage's definition. Like every other mistake it is
// returned by Plan and Start, with all the others.
func (b *Builder) Fail(stage string, problem error) {
	b.fail(&StageError{Stage: stage, Problem: problem.Error(), Err: problem})
}

func (b *Builder) fail(err error) { *b.errs = append(*b.errs, err) }

func (b *Builder) failStage(id, problem string) { b.fail(&StageError{Stage: id, Problem: problem}) }

// add makes a node with its id, options and edges checked.
func (b *Builder) add(id string, o StageOptions) *node {
	full := id
	if b.scope.group != nil {
		full = b.scope.group.ID + "/" + id
	}
	n := &node{scope: b.scope, Stage: Stage{
		ID: full, OnFailure: o.OnFailure, Always: o.Always, Retry: o.Retry,
		Timeout: o.Timeout, Deadline: o.Deadline, Tolerance: o.Tolerance,
	}}
	if !validID(id) {
		b.failStage(full, "id: want 1 to 63 of a-z, 0-9, '.', '_', '-', first a letter or digit")
	}
	for _, other := range b.scope.nodes {
		if other.ID == full {
			b.failStage(full, "duplicate id; every stage of a pipeline needs its own")
		}
	}
	switch o.OnFailure {
	case Halt, HaltBranch, FailAtEnd, Ignore:
	default:
		b.failStage(full, fmt.Sprintf("unknown failure policy %q", o.OnFailure))
	}
	if o.Timeout < 0 || o.Deadline < 0 || o.Tolerance < 0 || o.Retry.Attempts < 0 || o.Retry.Backoff < 0 || o.Retry.MaxBackoff < 0 {
		b.failStage(full, "negative duration or number of attempts")
	}
	if o.Deadline > 0 && o.Timeout > o.Deadline {
		b.failStage(full, fmt.Sprintf("timeout %v of one attempt exceeds the deadline %v of all", o.Timeout, o.Deadline))
	}
	if len(o.Window.Hours)+len(o.Window.Freezes) > 0 {
		n.Window = &o.Window
		if err := n.openWindow(); err != nil {
			b.failStage(full, fmt.Sprintf("window: %v", err))
		}
	}
	for _, d := range o.After {
		if x := b.use(n, d); x != nil {
			n.after = append(n.after, x)
		}
	}
	n.when = b.condition(n, o.If)
	n.Conditional = n.when != nil
	b.scope.nodes = append(b.scope.nodes, n)
	return n
}

// condition joins conditions with "and".
func (b *Builder) condition(n *node, conds []Ref[bool]) *expr {
	var all *expr
	for _, c := range conds {
		x := b.use(n, c)
		if x == nil {
			continue
		}
		if all == nil {
			all = x
			continue
		}
		all = Map2(Ref[bool]{all}, Ref[bool]{x}, func(a, b bool) bool { return a && b }).x
	}
	return all
}

// use checks that n may refer to d and returns its expression.
func (b *Builder) use(n *node, d Dep) *expr {
	if d == nil {
		return &expr{kind: exprConst, value: json.RawMessage("null")}
	}
	if isNil(d) {
		b.failStage(n.ID, "uses a nil Ref, which refers to no stage")
		return nil
	}
	x := d.expr()
	if !b.known(x, func(problem string) { b.failStage(n.ID, problem) }) {
		return nil
	}
	return x
}

// known checks that an expression may be used in this scope, and tells bad why not.
func (b *Builder) known(x *expr, bad func(problem string)) bool {
	switch {
	case x == nil:
		bad("uses the zero Ref, which refers to no stage")
	case x.err != nil:
		bad(x.err.Error())
	case (x.kind == exprInput || x.kind == exprStage) && !b.scope.within(x.scope):
		bad(fmt.Sprintf("uses %s, which is unknown here: it belongs to another pipeline or to the inside of a group", x.describe()))
	default:
		ok := true
		for _, a := range x.args {
			ok = b.known(a, bad) && ok
		}
		return ok
	}
	return false
}

// output turns any expression into one that is a scope's input, a constant or a
// stage of the scope, by adding a value stage where it is not.
func (b *Builder) output(x *expr) *expr {
	if x != nil && x.scope == b.scope && (x.kind == exprStage || x.kind == exprInput) {
		return x
	}
	if !b.known(x, b.failResult) {
		return nil
	}
	id := "output"
	for k := 2; b.taken(id); k++ {
		id = fmt.Sprintf("output-%d", k)
	}
	return Add[json.RawMessage](b, Node{ID: id, Value: true, Input: anyDep{x}}).x
}

// failResult reports what is wrong with the value that the function of a pipeline or a group returns.
func (b *Builder) failResult(problem string) {
	problem = "what its function returns " + problem + "; return the Ref of one of its stages, or its input"
	if b.scope.group != nil {
		b.failStage(b.scope.group.ID, problem)
		return
	}
	b.fail(errors.New(problem))
}

func (b *Builder) taken(id string) bool {
	return slices.ContainsFunc(b.scope.nodes, func(n *node) bool { return localID(n) == id })
}

type anyDep struct{ x *expr }

func (d anyDep) expr() *expr { return d.x }

// within reports whether s is outer or lies inside it.
func (s *scopeDef) within(outer *scopeDef) bool {
	for {
		if s == outer {
			return true
		}
		if s.group == nil {
			return false
		}
		s = s.group.scope
	}
}

func (x *expr) describe() string {
	if x.kind == exprStage {
		return fmt.Sprintf("stage %q", x.stage.ID)
	}
	return "an input"
}
