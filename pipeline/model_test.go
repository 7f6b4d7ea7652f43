package pipeline_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// scene is a random execution: a graph, what becomes of each stage, who does
// what from outside, and when the process dies.
type scene struct {
	Stages []actor
	Acts   []act // in the order of their times
	Crash  int   // at this write; 0 means never
	Death  storetest.Fate
}

// act is what somebody does from outside, and does twice.
type act struct {
	At    time.Duration // no two acts have the same fraction of a second
	Kind  pipeline.SignalKind
	Stage int           // of a skip or a force
	For   time.Duration // of a pause
}

// hold is how long the stages wait until all decisions are in.
const hold = time.Second

// actor is one stage. Lengths are such that no two sums of them are equal, so
// that nothing but gates happens at the same moment.
type actor struct {
	Type   pipeline.StageType
	Needs  []int // whose values it uses
	After  []int
	Policy pipeline.OnFailure
	Always bool
	If     int           // 0 none, 1 true, 2 false
	Fate   string        // ok, fail, skip
	Flaky  int           // attempts that fail first, of three
	Length time.Duration // of a task, an effect, or the longest item
	Items  []string      // fates of an Each
	Budget int
}

var anyScene = rapid.Custom(func(t *rapid.T) scene {
	var s scene
	crash := rapid.Bool().Draw(t, "crash")
	for i := range rapid.IntRange(1, 8).Draw(t, "stages") {
		a := actor{
			Type:   rapid.SampledFrom([]pipeline.StageType{pipeline.TypeTask, pipeline.TypeEffect, pipeline.TypeGate, pipeline.TypeEach}).Draw(t, "type"),
			Policy: rapid.SampledFrom([]pipeline.OnFailure{pipeline.FailAtEnd, pipeline.Ignore, pipeline.HaltBranch, pipeline.Halt}).Draw(t, "policy"),
			Always: rapid.IntRange(0, 4).Draw(t, "always") == 4,
			If:     rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "if"),
			Fate:   rapid.SampledFrom([]string{"ok", "ok", "ok", "fail", "skip"}).Draw(t, "fate"),
			Length: time.Duration(rapid.IntRange(1, 5).Draw(t, "hours"))*time.Hour + time.Second<<i,
		}
		if crash { // when things happen is not what they would without a crash
			a.Flaky = rapid.IntRange(0, 3).Draw(t, "flaky")
			if a.Policy == pipeline.Halt {
				a.Policy = pipeline.FailAtEnd
			}
		}
		if a.Type != pipeline.TypeTask && a.Fate == "skip" || a.Type == pipeline.TypeEach {
			a.Fate = "ok"
		}
		for d := range i {
			switch rapid.IntRange(0, 5).Draw(t, "edge") {
			case 4:
				a.After = append(a.After, d)
			case 5:
				if a.Type != pipeline.TypeGate && len(a.Needs) < 2 {
					a.Needs = append(a.Needs, d)
				}
			}
		}
		if a.Type == pipeline.TypeEach {
			a.Items = rapid.SliceOfN(rapid.SampledFrom([]string{"ok", "ok", "fail"}), 1, 3).Draw(t, "items")
			a.Budget = rapid.IntRange(0, 1).Draw(t, "budget")
		}
		s.Stages = append(s.Stages, a)
	}
	if crash {
		s.Crash = rapid.IntRange(1, 12).Draw(t, "write")
		s.Death = rapid.SampledFrom([]storetest.Fate{storetest.CrashBefore, storetest.CrashAfter, storetest.CrashLate, storetest.Lose, storetest.LoseUnwritten}).Draw(t, "death")
		return s
	}
	at := time.Duration(0)
	for k := range rapid.SampledFrom([]int{0, 0, 1, 1, 2, 3}).Draw(t, "acts") {
		at += time.Duration(rapid.IntRange(1, 8).Draw(t, "when")) * 40 * time.Minute
		s.Acts = append(s.Acts, act{
			At:    at + time.Duration(k+1)*100*time.Millisecond,
			Kind:  rapid.SampledFrom([]pipeline.SignalKind{pipeline.SignalCancel, pipeline.SignalPause, pipeline.SignalSkip, pipeline.SignalForce}).Draw(t, "act"),
			Stage: rapid.IntRange(0, 7).Draw(t, "of"),
			For:   time.Duration(rapid.IntRange(1, 200).Draw(t, "for")) * time.Minute,
		})
	}
	return s
})

// The statuses of random executions are those of the reference model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := anyScene.Draw(rt, "scene")
		want := s.expect()
		var got []string
		var problem error
		synctest.Test(t, func(t *testing.T) { got, problem = s.play(t) })
		if problem != nil {
			rt.Fatal(problem)
		}
		if !slices.Equal(want, got) {
			rt.Fatalf("want %v\ngot  %v", want, got)
		}
	})
}

// expect is the reference model: a simulation that knows nothing of records.
func (s scene) expect() []string {
	m := &model{scene: s, now: hold, status: make([]pipeline.StageStatus, len(s.Stages)), ends: make([]time.Duration, len(s.Stages))}
	for m.begin() {
		if !m.next() {
			break
		}
	}
	result := pipeline.Succeeded
	for i, st := range m.status {
		if st == pipeline.StageFailed && (s.Stages[i].Policy == pipeline.Halt || s.Stages[i].Policy == pipeline.FailAtEnd) {
			result = pipeline.Failed
		}
	}
	if m.canceled {
		result = pipeline.Canceled
	}
	out := []string{string(result)}
	for _, st := range m.status {
		out = append(out, string(st))
	}
	return out
}

// model is the state of the reference model.
type model struct {
	scene
	now              time.Duration
	status           []pipeline.StageStatus // "" is pending
	ends             []time.Duration        // of what runs
	acts             int                    // that have been done
	paused           bool
	resumes          []time.Duration // when somebody ends whatever pause there is
	halted, canceled bool
}

// begin begins and ends what can. It reports whether anything is left.
func (m *model) begin() (left bool) {
	for again := true; again; {
		again = false
		for i := range m.status {
			end := func(st pipeline.StageStatus) { m.end(i, st) }
			if m.status[i] == "" && m.scene.begin(i, m.status, m.halted, m.paused, end) {
				m.ends[i], again = m.now+m.Stages[i].lasts(), true
			}
		}
	}
	return slices.Contains(m.status, "") || slices.Contains(m.status, pipeline.StageRunning)
}

func (m *model) end(i int, st pipeline.StageStatus) {
	m.status[i] = st
	if a := m.Stages[i]; st == pipeline.StageFailed && a.Policy == pipeline.Halt && !a.Always {
		m.halt()
	}
}

func (m *model) halt() {
	m.halted = true
	for j := range m.status {
		if m.status[j] == pipeline.StageRunning && !m.Stages[j].Always {
			m.status[j] = pipeline.StageCanceled
		}
	}
}

// next lets happen what comes next. It reports whether there was anything.
func (m *model) next() bool {
	at, do := time.Duration(-1), func() {}
	first := func(t time.Duration, f func()) {
		if at < 0 || t < at {
			at, do = t, f
		}
	}
	for i := range m.status {
		if m.status[i] == pipeline.StageRunning {
			first(m.ends[i], func() { m.end(i, m.Stages[i].outcome()) })
		}
	}
	for k, t := range m.resumes {
		first(t, func() { m.paused, m.resumes = false, slices.Delete(m.resumes, k, k+1) })
	}
	if m.acts < len(m.Acts) {
		a := m.Acts[m.acts]
		first(a.At, func() { m.acts++; m.act(a) })
	}
	if at < 0 {
		return false
	}
	m.now = at
	do()
	return true
}

// act is what somebody does.
func (m *model) act(a act) {
	switch a.Kind {
	case pipeline.SignalPause:
		m.paused, m.resumes = true, append(m.resumes, m.now+a.For)
	case pipeline.SignalCancel:
		m.canceled, m.paused = true, false
		m.halt()
	default:
		i := a.Stage % len(m.Stages)
		st, what := m.status[i], m.Stages[i]
		group := what.Type == pipeline.TypeEach && st == pipeline.StageRunning
		if st != "" && st != pipeline.StageRunning || m.halted && !what.Always || group {
			return // refused
		}
		m.status[i] = pipeline.StageSkipped
		if a.Kind == pipeline.SignalForce {
			m.status[i] = pipeline.StageSucceeded
		}
	}
}

// begin starts or ends stage i if it is ready, and reports whether it did.
func (s scene) begin(i int, status []pipeline.StageStatus, halted, paused bool, end func(pipeline.StageStatus)) bool {
	a := s.Stages[i]
	if halted && !a.Always {
		end(pipeline.StageCanceled)
		return true
	}
	deps := append(slices.Clone(a.Needs), a.After...)
	for _, d := range deps {
		if status[d] == "" || status[d] == pipeline.StageRunning {
			return false
		}
	}
	if paused {
		return false
	}
	for _, d := range deps {
		good := status[d] == pipeline.StageSucceeded || status[d] == pipeline.StageSkipped ||
			status[d] == pipeline.StageFailed && s.Stages[d].Policy == pipeline.Ignore
		if !good && !a.Always {
			end(pipeline.StageStopped)
			return true
		}
	}
	for _, d := range a.Needs {
		if status[d] != pipeline.StageSucceeded {
			end(pipeline.StageSkipped)
			return true
		}
	}
	switch {
	case a.If == 2:
		end(pipeline.StageSkipped)
	case a.Type == pipeline.TypeGate:
		end(a.outcome())
	default:
		status[i] = pipeline.StageRunning
	}
	return true
}

func (a actor) outcome() pipeline.StageStatus {
	failed := 0
	for _, f := range a.Items {
		if f == "fail" {
			failed++
		}
	}
	retried := a.Type == pipeline.TypeTask || a.Type == pipeline.TypeEffect
	switch {
	case a.Fate == "skip":
		return pipeline.StageSkipped
	case a.Type == pipeline.TypeEach && failed > a.Budget, a.Fate == "fail", retried && a.Flaky >= 3:
		return pipeline.StageFailed
	}
	return pipeline.StageSucceeded
}

// lasts is how long the stage runs. Items end one after the other, a part of the
// length each; one failure too many ends all.
func (a actor) lasts() time.Duration {
	failed := 0
	for k, f := range a.Items {
		if f == "fail" {
			if failed++; failed > a.Budget {
				return a.item(k)
			}
		}
	}
	if a.Items != nil {
		return a.item(len(a.Items) - 1)
	}
	return a.Length
}

func (a actor) item(k int) time.Duration { return a.Length - time.Duration(2-k)*10*time.Minute }
