package pipeline

import (
	"context"
	"fmt"
	"time"
)

// activity is what runs, or is about to, for one stage of an execution. Turns
// own it; calls touch only what is passed to them.
type activity struct {
	token    token
	op       string // of the call that is going on, "" if none is
	cancel   context.CancelCauseFunc
	timer    *time.Timer     // until the next call
	doubt    bool            // Start may have been called before, so Find comes first
	aborting bool            // Abort has been called
	polls    context.Context // of all calls of Poll; nil before the first
	unpoll   context.CancelCauseFunc
	heard    int           // the newest thing said that a poll knows
	wake     chan struct{} // wakes the poll that goes on
	// An effect in trouble: since when in a row, and how often.
	troubled time.Time
	troubles int
}

// token names one attempt, so that a call's outcome is not taken for another's.
type token struct {
	gen, try int
	undo     bool
}

func (rt *activity) stop(cause error) {
	if rt.timer != nil {
		rt.timer.Stop()
		rt.timer = nil
	}
	if rt.cancel != nil {
		rt.cancel(cause)
	}
	if rt.unpoll != nil {
		rt.unpoll(cause)
	}
}

// wanted returns the operation that stage i needs now, "" if none.
func (r *record) wanted(i int) (string, token) {
	s := &r.Stages[i]
	t := token{gen: s.Gen, try: s.Attempt}
	if u := s.Undo; u != nil && u.Status == StageRunning {
		if u.Due.IsZero() {
			return opUndo, token{gen: s.Gen, try: u.Attempt, undo: true}
		}
		return "", t
	}
	if s.Status != StageRunning {
		return "", t
	}
	switch s.Phase {
	case phaseExec:
		return opExec, t
	case phaseStart:
		return opStart, t
	case phasePoll:
		return opPoll, t
	case phaseAbort:
		return opAbort, t
	case phaseStop:
		return opStop, t
	}
	return "", t
}

// The operations on a stage's work.
const (
	opExec  = "exec"
	opStart = "start"
	opPoll  = "poll"
	opAbort = "abort"
	opStop  = "stop"
	opUndo  = "undo"
)

// doubt marks the starts that an earlier process may have made, and lets what an
// earlier process was at wait for its turn.
func (x *execution) doubt() {
	x.rt = map[int]*activity{}
	for i := range x.m.r.Stages {
		op, t := x.m.r.wanted(i)
		if op == "" {
			continue
		}
		rt := &activity{token: t, doubt: op == opStart}
		x.rt[i] = rt
		x.later(i, rt, share(x.e.herd.window(time.Now()), x.m.r.key(i)))
	}
}

// reconcile brings the calls that run in line with what the record wants.
func (x *execution) reconcile() {
	if x.guest || x.e.resting() {
		return
	}
	if len(x.m.r.Locks) > 0 {
		x.workLocks()
	}
	for i := range x.m.r.Stages {
		op, t := x.m.r.wanted(i)
		rt := x.rt[i]
		if rt != nil && rt.token == t && op == opPoll {
			rt.hear(x.m.r.Stages[i].Told)
		}
		switch {
		case rt == nil && op == "":
			continue
		case rt != nil && rt.op != "" && (op == "" || op == opStop || op == opAbort && rt.op != opAbort || rt.token != t):
			rt.stop(ErrStopped) // its return comes back here
			continue
		case rt != nil && rt.op != "":
			continue
		case op == "":
			rt.stop(ErrStopped)
			delete(x.rt, i)
			continue
		}
		if rt == nil || rt.token != t {
			if rt != nil {
				rt.stop(ErrStopped)
			}
			rt = &activity{token: t}
			x.rt[i] = rt
		}
		switch {
		case op == opStop: // nothing of it runs any more
			x.post(input{kind: inAborted, stage: i, gen: t.gen, try: t.try})
		case op == opAbort && rt.timer != nil && !rt.aborting:
			rt.stop(nil) // the timer of a poll
			x.launch(i, rt, op)
		case rt.timer == nil:
			x.launch(i, rt, op)
		}
	}
}

// later lets the stage's work be called again after d.
func (x *execution) later(i int, rt *activity, d time.Duration) {
	if d <= 0 {
		return // reconcile calls it at once
	}
	rt.timer = time.AfterFunc(d, func() { x.post(input{kind: inTimer, ret: &returned{stage: i, rt: rt, woken: true}}) })
}

// returned tells a turn that a call of a stage's work has ended, or that the
// wait before the next one has.
type returned struct {
	stage int
	rt    *activity
	woken bool
	doubt bool          // Start may have had an effect
	next  time.Duration // before the next call
	err   error         // trouble: the call saw nothing
}

// take brings the runtime up to date and, when an effect has been in trouble
// for too long, makes its input the end of the stage.
func (x *execution) take(in *input, now time.Time) {
	x.takeLock(in)
	ret := in.ret
	if ret == nil || x.rt[ret.stage] != ret.rt {
		return
	}
	rt := ret.rt
	if ret.woken {
		rt.timer = nil
		return
	}
	rt.op, rt.cancel = "", nil
	rt.doubt = rt.doubt || ret.doubt
	if ret.err == nil {
		rt.troubled, rt.troubles = time.Time{}, 0
		x.later(ret.stage, rt, ret.next)
		return
	}
	if isWaiting(ret.err) && !isPermanent(ret.err) && x.m.r.Stages[ret.stage].Phase != phaseAbort {
		rt.troubled, rt.troubles = time.Time{}, 0
		x.progress(ret.stage, x.m.r.Pipeline, x.m.r.Stages[ret.stage].ID, ret.err.Error())
		x.later(ret.stage, rt, max(spread(time.Second, x.id), retryAfter(ret.err)))
		return
	}
	if rt.troubles == 0 {
		rt.troubled = now
	}
	rt.troubles++
	tolerance := x.m.v.insts[ret.stage].n.Tolerance
	if tolerance == 0 {
		tolerance = DefaultTolerance
	}
	if now.Sub(rt.troubled) < tolerance && !isPermanent(ret.err) {
		x.progress(ret.stage, x.m.r.Pipeline, x.m.r.Stages[ret.stage].ID, fmt.Sprintf("%v; tried again until %s",
			ret.err, rt.troubled.Add(tolerance).UTC().Format(time.TimeOnly+" MST")))
		d := min(time.Second<<min(rt.troubles-1, 5), 30*time.Second)
		x.later(ret.stage, rt, max(spread(d, x.id), retryAfter(ret.err)))
		return
	}
	in.kind, in.stage, in.gen, in.try = inResult, ret.stage, rt.token.gen, rt.token.try
	if x.m.r.Stages[ret.stage].Phase == phaseAbort {
		in.kind = inAborted
	}
	in.failure, in.unknown = failureOf(ret.err), true
	in.failure.Message = "its outcome is unknown: " + in.failure.Message
}
