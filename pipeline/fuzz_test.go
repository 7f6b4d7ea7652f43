package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Stubs of work; the fuzz tests never call it.
type stubTask struct{ Work }

func (stubTask) Kind() string                        { return "task/v1" }
func (stubTask) Exec(*Call) (json.RawMessage, error) { return json.RawMessage("1"), nil }
func (stubTask) Undo(*Call, json.RawMessage) error   { return nil }

type stubEffect struct{ EffectWork }

func (stubEffect) Kind() string { return "effect/v1" }

// everything has a stage of every type.
func everything() *Pipeline[int, json.RawMessage] {
	inner := Define("inner", 1, func(b *Builder, in Ref[int]) Ref[int] {
		return Add[int](b, Node{ID: "one", Work: stubTask{}, Input: in})
	})
	return Define("everything", 1, func(b *Builder, in Ref[int]) Ref[json.RawMessage] {
		build := Add[int](b, Node{ID: "build", Work: stubEffect{}, Input: in, Options: StageOptions{Retry: Retry{Attempts: 3}, Timeout: time.Hour}})
		unit := Add[int](b, Node{ID: "unit", Work: stubTask{}, Input: Map(build, func(i int) int { return i + 1 }), Options: StageOptions{OnFailure: FailAtEnd, Deadline: time.Hour}})
		ok := Add[Decision](b, Node{ID: "ok", Gate: &Gate{Quorum: 2}, Options: StageOptions{After: []Dep{unit}}})
		Add[any](b, Node{ID: "soak", Wait: time.Hour, Options: StageOptions{After: []Dep{ok}, If: []Ref[bool]{Map(unit, func(i int) bool { return i > 0 })}}})
		each := AddEach(b, "all", Const([]string{"eu", "us"}), func(s string) string { return s }, func(b *Builder, item Ref[string]) Ref[int] {
			d := Add[int](b, Node{ID: "deploy", Work: stubEffect{}, Input: item})
			Add[int](b, Node{ID: "tidy", Work: stubTask{}, Input: Optional(d), Options: StageOptions{Always: true}})
			return AddSub(b, "sub", inner, d, StageOptions{OnFailure: Ignore})
		}, EachOptions{MaxParallel: 1, FailureBudget: 1}, StageOptions{})
		lock := Add[Held](b, Node{ID: "lock", Lock: true, Input: Const("env"), Options: StageOptions{After: []Dep{unit}}})
		Add[any](b, Node{ID: "unlock", Unlock: true, Input: lock, Options: StageOptions{After: []Dep{each}}})
		Add[int](b, Node{ID: "clean", Work: stubTask{}, Options: StageOptions{Always: true}})
		return Add[json.RawMessage](b, Node{ID: "out", Value: true, Input: each})
	}, UndoOnFailure())
}

// drive lets a machine go on as if all work succeeded or failed, and records
// valid states of an execution on the way.
func drive(t testing.TB, fail bool, visit func(*record)) {
	def := everything().def
	require.NoError(t, def.err)
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	r := &record{Format: 1, MinReader: 1, Rev: 1, ID: "x", Pipeline: "everything", Plan: def.hash, Status: Running, Created: now, Input: json.RawMessage("1")}
	r.Locks = []lockRec{r.place(Limit{Max: 1})}
	m := &machine{r: r, v: newView(def.plan, def.root, r), now: now}
	m.apply(nil)
	for range 200 {
		visit(m.r)
		if m.r.Status.Final() {
			return
		}
		next := &machine{r: m.r.clone(), v: m.v, now: m.now.Add(time.Minute)}
		if due := m.r.due(); !due.IsZero() && due.After(next.now) {
			next.now = due
		}
		next.apply(answers(m, fail))
		m = next
	}
	t.Fatal("it does not end")
}

// answers are what the work that the record wants returns.
func answers(m *machine, fail bool) []input {
	var ins []input
	for _, l := range m.r.wants() {
		a := lockAnswer{placing: placing{state: lockHeld}, gone: l.State == lockReleasing}
		if l.State == lockWanted {
			a.placing = placing{state: lockQueued, place: 1, behind: "y"}
		}
		ins = append(ins, input{kind: inLock, name: l.Ticket, lock: a})
	}
	for i := range m.r.Stages {
		op, tok := m.r.wanted(i)
		in := input{stage: i, gen: tok.gen, try: tok.try, raw: json.RawMessage("1")}
		switch op {
		case opExec, opPoll:
			in.kind = inResult
			if fail && op == opPoll {
				in.failure, in.raw = &Failure{Message: "no"}, nil
			}
		case opStart:
			in.kind = inHandle
		case opAbort, opStop:
			in.kind = inAborted
		case opUndo:
			in.kind = inUndone
		default:
			if m.r.Stages[i].Phase == phaseGate {
				for _, actor := range []string{"a", "b"} {
					ins = append(ins, input{kind: inSignal, signal: &Signal{ID: actor, Kind: SignalApprove, Stage: m.r.Stages[i].ID, Actor: actor}})
				}
			}
			continue
		}
		ins = append(ins, in)
	}
	return ins
}

// Whatever is stored, reading it gives a typed error, or a record on which the
// machine works without a panic, whatever happens next.
func FuzzDecodeRecord(f *testing.F) {
	for _, fail := range []bool{false, true} {
		drive(f, fail, func(r *record) { f.Add(r.encode(nil)) })
	}
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"minReader":9}`))
	f.Fuzz(func(t *testing.T, raw []byte) { survive(t, raw) })
}

// Records that are valid in their form and senseless in their content.
func TestMutatedRecords(t *testing.T) {
	var states []*record
	for _, fail := range []bool{false, true} {
		drive(t, fail, func(r *record) { states = append(states, r) })
	}
	phases := []phase{"", phaseExec, phaseStart, phasePoll, phaseAbort, phaseStop, phaseBackoff, phaseGate, phaseWait, phaseGroup, "odd"}
	rapid.Check(t, func(t *rapid.T) {
		r := rapid.SampledFrom(states).Draw(t, "state").clone()
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			s := &r.Stages[rapid.IntRange(0, len(r.Stages)-1).Draw(t, "stage")]
			switch rapid.IntRange(0, 8).Draw(t, "what") {
			case 0:
				s.Status = anyStatus.Draw(t, "status")
			case 1:
				s.Phase = rapid.SampledFrom(phases).Draw(t, "phase")
			case 2:
				s.Items = rapid.SliceOfN(anyItem, 0, 2).Draw(t, "items")
			case 3:
				s.Undo = &undoRec{Status: anyStatus.Draw(t, "undo"), Attempt: rapid.IntRange(-1, 70).Draw(t, "attempt")}
			case 4:
				s.Attempt, s.Gen = rapid.Int().Draw(t, "attempt"), rapid.Int().Draw(t, "gen")
			case 5:
				s.ID = anyText.Draw(t, "id")
			case 6:
				r.Status = rapid.SampledFrom([]Status{Running, Paused, Succeeded, Failed, Canceled}).Draw(t, "st")
			case 7:
				s.Due, s.Deadline, s.Expires = anyTime.Draw(t, "due"), anyTime.Draw(t, "deadline"), anyTime.Draw(t, "expires")
			case 8:
				r.Stages = r.Stages[:rapid.IntRange(1, len(r.Stages)).Draw(t, "cut")]
			}
		}
		survive(t, r.encode(nil))
	})
}

// A group that has items before it has begun would get others when it begins, but
// not their stages.
func TestItemsBeforeTheGroupBegins(t *testing.T) {
	def := everything().def
	seen := map[StageStatus]bool{}
	drive(t, false, func(r *record) {
		r = r.clone()
		i := r.find("all")
		require.NoError(t, newView(def.plan, def.root, r).check(r))
		if seen[r.Stages[i].Status] = true; r.Stages[i].Status == StagePending {
			r.Stages[i].Items = []itemRec{{Key: "eu", Status: StagePending}}
			require.ErrorContains(t, newView(def.plan, def.root, r).check(r), `"all" has items before`)
		}
	})
	require.True(t, seen[StagePending] && seen[StageRunning] && seen[StageSucceeded])
}

// survive checks what becomes of stored bytes.
func survive(t require.TestingT, raw []byte) {
	def := everything().def
	r, err := decodeRecord("x/x", raw)
	if err != nil {
		var typed *RecordError
		require.ErrorAs(t, err, &typed)
		require.True(t, errors.Is(err, ErrCorrupt) || errors.Is(err, ErrParked))
		return
	}
	again, err := decodeRecord("x/x", r.encode(nil))
	require.NoError(t, err, "what was read can be written")
	require.Equal(t, string(r.encode(nil)), string(again.encode(nil)))
	v := newView(def.plan, def.root, r)
	if v.check(r) != nil {
		return
	}
	work(&machine{r: r, v: v, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
}

// work lets the machine go on for some turns.
func work(m *machine) {
	r := m.r
	for k := range 12 {
		next := &machine{r: m.r.clone(), v: m.v, now: m.now.Add(time.Hour)}
		ins := answers(m, k%2 == 0)
		if k == 5 {
			ins = append(ins, input{kind: inSignal, signal: &Signal{ID: "c", Kind: SignalCancel, Actor: "a"}})
		}
		if k == 9 {
			ins = append(ins, input{kind: inSignal, signal: &Signal{ID: "r", Kind: SignalRestart, Stage: r.Stages[len(r.Stages)-1].ID, Actor: "a"}})
		}
		next.apply(ins)
		_ = next.r.snapshot().Err()
		next.r.due()
		m = next
	}
}

// A signal is data from outside, too.
func FuzzSignal(f *testing.F) {
	for _, kind := range []SignalKind{SignalApprove, SignalReject, SignalCancel, SignalPause, SignalResume, SignalRestart, SignalSkip, SignalForce, "odd"} {
		f.Add([]byte(mustJSON(Signal{ID: "1", Kind: kind, Stage: "ok", Actor: "alice", Reason: "because", Generation: 1, Output: json.RawMessage("1")})), 3)
	}
	var states []*record
	drive(f, false, func(r *record) { states = append(states, r) })
	def := everything().def
	f.Fuzz(func(t *testing.T, raw []byte, k int) {
		var s Signal
		if json.Unmarshal(raw, &s) != nil {
			return
		}
		r := states[max(k, 0)%len(states)].clone()
		m := &machine{r: r, v: newView(def.plan, def.root, r), now: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC)}
		before := len(m.r.Signals)
		ins := []input{{kind: inSignal, signal: &s}, {kind: inSignal, signal: &s}}
		m.apply(ins)
		if ins[0].err != nil {
			var typed *SignalError
			require.ErrorAs(t, ins[0].err, &typed)
			require.NotEmpty(t, typed.Error())
		}
		require.LessOrEqual(t, len(m.r.Signals), before+1, "the same signal counts once")
		_, err := decodeRecord("x/x", m.r.encode(nil))
		require.NoError(t, err)
	})
}

// A file from outside is refused with a typed error, or is an execution on which
// the machine works.
func FuzzImport(f *testing.F) {
	def := everything().def
	for _, fail := range []bool{false, true} {
		drive(f, fail, func(r *record) { f.Add(def.plan.JSON(), r.encode(nil), 1) })
	}
	f.Add([]byte(`{"name":"x","version":1,"stages":[{"id":"a","type":"task","needs":["a"]}]}`), []byte(`{}`), 1)
	f.Fuzz(func(t *testing.T, plan, rec []byte, format int) {
		e := New(NewMemory(), Options{})
		require.NoError(t, e.Register(everything()))
		file := exportFile{Gennaker: exportKind, Format: format, Plan: plan, Record: rec}
		var fields map[string]json.RawMessage
		if small, err := compact(plan); err == nil && json.Unmarshal(rec, &fields) == nil && fields != nil {
			sum := sha256.Sum256(small)
			fields["plan"] = mustJSON(hex.EncodeToString(sum[:]))
			file.Plan, file.Record = small, mustJSON(fields)
			file.Sum = file.sum()
		}
		raw, err := json.Marshal(file)
		if err != nil {
			return
		}
		id, err := e.Import(t.Context(), raw, ImportOptions{Live: true})
		if err != nil {
			var typed *ImportError
			require.ErrorAs(t, err, &typed)
			require.Error(t, typed.Unwrap())
			return
		}
		r, _, _, err := e.fetch(t.Context(), id)
		require.NoError(t, err)
		again, err := e.Export(t.Context(), id)
		require.NoError(t, err)
		_, _, err = e.readImport(again)
		require.NoError(t, err, "what was exported can be imported")
		p, err := e.plan(t.Context(), r.Plan)
		require.NoError(t, err)
		v := newView(p, bind(p, r.Plan, e.code(r)), r)
		work(&machine{r: r, v: v, now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	})
}
