package pipeline

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// MaxPayload is how many bytes the output, the handle or a checkpoint of a stage
// may have; larger things belong in an artifact store.
const MaxPayload = 1 << 20

// abortTimeout bounds one call of Abort or Undo; see unfinished.
const abortTimeout = 2 * time.Minute

// minPoll is the least wait between two calls of Poll that change nothing.
const minPoll = 10 * time.Millisecond

// launch lets one operation of a stage's work run when the turn is over.
func (x *execution) launch(i int, rt *activity, op string) {
	ctx, cancel := rt.context(x.e, op)
	if op == opAbort && !rt.aborting { // what was wrong with polls does not count
		rt.aborting, rt.troubles = true, 0
	}
	rt.op, rt.cancel = op, cancel
	l := &launched{x: x, i: i, rt: rt, op: op, t: rt.token, doubt: rt.doubt, rec: x.m.r}
	l.work = x.m.v.insts[i].n.work
	l.c = x.newCall(ctx, i, rt.token, op)
	if op == opPoll {
		rt.listen(l.c, x.m.r.Stages[i].Told)
	}
	l.cancel = cancel
	x.e.turns.add()
	x.calls = append(x.calls, l)
}

// do makes the call and returns its outcome, for the execution's next turn.
func (l *launched) do() (in input) {
	x := l.x
	in = input{kind: inTimer, ret: &returned{stage: l.i, rt: l.rt}}
	returned := false
	defer func() {
		if !returned { // the stage's code ends the goroutine
			x.post(in)
			x.e.turns.done()
		}
	}()
	if l.op != opPoll {
		defer l.cancel(nil)
	}
	select {
	case x.e.slots <- struct{}{}:
		defer func() { <-x.e.slots }()
		if !x.e.trusted(l.c.Context) {
			break
		}
		start := time.Now()
		in = l.goexit()
		in = l.run()
		x.e.o.Observer.OnCall(CallInfo{
			Execution: x.id, Pipeline: l.c.Pipeline, Stage: l.c.Stage, Op: l.op, Generation: l.t.gen,
			Attempt: l.c.Attempt, Duration: time.Since(start), Err: l.err,
		})
	case <-l.c.Context.Done():
	}
	returned = true
	return in
}

// context returns the context of a call. All calls of Poll of an attempt have
// one context, so that what they watch may stay open in between.
func (rt *activity) context(e *Embedded, op string) (context.Context, context.CancelCauseFunc) {
	if op != opPoll {
		return context.WithCancelCause(e.calls)
	}
	if rt.polls == nil {
		rt.polls, rt.unpoll = context.WithCancelCause(e.polls)
	}
	return rt.polls, rt.unpoll
}

// goexit is the outcome of code that ends its goroutine, as FailNow of a test does.
func (l *launched) goexit() input {
	in := input{stage: l.i, gen: l.t.gen, try: l.t.try, ret: &returned{stage: l.i, rt: l.rt}, kind: inResult}
	in.failure = &Failure{Message: "the stage's code ended its goroutine, as runtime.Goexit and FailNow do", Permanent: true}
	in.unknown = l.op != opExec
	if l.op == opUndo {
		in.kind = inUndone
	}
	return in
}

// launched is one call that goes on.
type launched struct {
	x     *execution
	i     int
	rt    *activity
	op    string
	t     token
	doubt bool
	rec   *record
	work  Work
	c     *Call
	err   error

	cancel context.CancelCauseFunc
}

// run performs the operation and turns its outcome into an input.
func (l *launched) run() input {
	in := input{stage: l.i, gen: l.t.gen, try: l.t.try, ret: &returned{stage: l.i, rt: l.rt}}
	switch l.op {
	case opExec:
		l.exec(&in)
	case opStart:
		l.start(&in)
	case opPoll:
		l.poll(&in)
	case opAbort:
		l.abort(&in)
	case opUndo:
		l.undo(&in)
	}
	switch {
	case in.raw != nil && !validJSON(in.raw):
		in.unknown = in.kind == inHandle
		in.kind, in.raw = inResult, nil
		in.failure = &Failure{Permanent: true, Message: "its result is not JSON"}
	case len(in.raw) > MaxPayload:
		in.unknown = in.kind == inHandle // what has that handle goes on
		in.kind, in.raw = inResult, nil
		in.failure = &Failure{Permanent: true, Message: fmt.Sprintf(
			"its result is larger than %d bytes; keep it in an artifact store and return a reference", MaxPayload)}
	}
	return in
}

// interrupted reports whether err is no more than the consequence of the
// process shutting down, or of the stage having been told to stop.
func (l *launched) interrupted(cause error) bool {
	return l.err != nil && errors.Is(context.Cause(l.c.Context), cause)
}

// nothing makes the input tell only that the call has ended.
func nothing(in *input) { in.kind = inTimer }

func (l *launched) fail(in *input) {
	in.kind, in.failure, in.after = inResult, failureOf(l.err), retryAfter(l.err)
}

func (l *launched) exec(in *input) {
	w, ok := l.work.(TaskWork)
	if !ok {
		l.err = fmt.Errorf("kind %q is no task in this program", l.work.Kind())
		l.fail(in)
		return
	}
	var out json.RawMessage
	out, l.err = protect(func() (json.RawMessage, error) { return w.Exec(l.c) })
	var skip *SkipError
	switch {
	case l.err == nil:
		in.kind, in.raw = inResult, out
	case l.interrupted(ErrShutdown):
		nothing(in)
	case errors.As(l.err, &skip):
		in.kind, in.skip = inResult, truncate(skip.Reason, maxMessage)
	default:
		l.fail(in)
	}
}

func (l *launched) effect() EffectWork {
	w, ok := l.work.(EffectWork)
	if !ok {
		return notEffect{l.work}
	}
	return w
}

func (l *launched) find(w EffectWork) (handle json.RawMessage, found bool) {
	_, l.err = protect(func() (_ json.RawMessage, err error) {
		handle, found, err = w.Find(l.c)
		return nil, err
	})
	return handle, found && l.err == nil
}

func (l *launched) start(in *input) {
	w := l.effect()
	if l.doubt {
		handle, found := l.find(w)
		if found {
			in.kind, in.raw = inHandle, handle
			return
		}
		if l.err != nil {
			l.trouble(in)
			return
		}
	}
	if l.c.Context.Err() != nil || !l.x.e.trusted(l.c.Context) {
		nothing(in)
		return
	}
	var handle json.RawMessage
	handle, l.err = protect(func() (json.RawMessage, error) { return w.Start(l.c) })
	switch {
	case l.err == nil:
		in.kind, in.raw = inHandle, handle
	case isPermanent(l.err):
		l.fail(in)
		in.unknown = isUnknown(l.err)
	default:
		in.ret.doubt = true
		l.trouble(in)
	}
}

// trouble says that the call saw nothing and is to be made again.
func (l *launched) trouble(in *input) {
	nothing(in)
	if !l.interrupted(ErrShutdown) && !l.interrupted(ErrStopped) {
		in.ret.err = l.err
	}
}

func (l *launched) poll(in *input) {
	w := l.effect()
	handle := l.rec.Stages[l.i].Handle
	var p PollResult
	_, l.err = protect(func() (_ json.RawMessage, err error) {
		p, err = w.Poll(l.c, handle)
		ask(p.Err)
		return nil, err
	})
	if l.err != nil {
		l.trouble(in)
		if isPermanent(l.err) && in.ret.err != nil {
			in.ret.err = nil
			l.fail(in)
			in.unknown = isUnknown(l.err)
		}
		return
	}
	if p.Detail != "" {
		l.c.Progress(p.Detail)
	}
	switch {
	case p.Done && p.Err != nil:
		l.err = p.Err
		l.fail(in)
	case p.Done:
		in.kind, in.raw = inResult, p.Output
	case !bytes.Equal(p.Handle, handle):
		in.kind, in.raw, in.ret.next = inHandle, p.Handle, p.Next
	default:
		nothing(in)
		in.ret.next = max(p.Next, minPoll)
	}
}

func (l *launched) abort(in *input) {
	ctx, cancel := context.WithTimeout(l.c.Context, abortTimeout)
	defer cancel()
	l.c.Context = ctx
	w := l.effect()
	handle := l.rec.Stages[l.i].Handle
	if handle == nil {
		found := false
		handle, found = l.find(w)
		if l.err != nil {
			l.trouble(in)
			return
		}
		if !found {
			in.kind = inAborted
			return
		}
	}
	if _, l.err = protect(func() (json.RawMessage, error) { return nil, w.Abort(l.c, handle) }); l.err != nil {
		if !l.unfinished(in) {
			l.trouble(in)
		}
		return
	}
	in.kind = inAborted
}

// unfinished reports whether the time of a call is over and its work asks for another
// one: it goes on, and no failure counts.
func (l *launched) unfinished(in *input) bool {
	d := retryAfter(l.err)
	if d <= 0 || isPermanent(l.err) || !l.interrupted(context.DeadlineExceeded) {
		return false
	}
	nothing(in)
	in.ret.next = d
	return true
}

func (l *launched) undo(in *input) {
	ctx, cancel := context.WithTimeout(l.c.Context, abortTimeout)
	defer cancel()
	l.c.Context = ctx
	s := &l.rec.Stages[l.i]
	var out json.RawMessage
	if s.Status == StageSucceeded {
		out = s.Output
	}
	w, ok := l.work.(UndoWork)
	if !ok {
		l.err = &panicError{value: fmt.Sprintf("kind %q cannot be undone in this program", l.work.Kind())}
	} else {
		_, l.err = protect(func() (json.RawMessage, error) { return nil, w.Undo(l.c, out) })
	}
	switch {
	case l.interrupted(ErrShutdown):
		nothing(in)
	case l.unfinished(in):
	case l.err != nil:
		in.kind, in.failure, in.after = inUndone, failureOf(l.err), retryAfter(l.err)
	default:
		in.kind = inUndone
	}
}
