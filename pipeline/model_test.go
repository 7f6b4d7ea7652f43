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

// scene is a random execution: a graph, what becomes of each stage, and when the
// execution is cancelled or the process dies.
type scene struct {
	Stages []actor
	Cancel time.Duration // 0 means never
	Crash  int           // at this write; 0 means never
	Death  storetest.Fate
}

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
	} else if rapid.IntRange(0, 3).Draw(t, "cancelled") == 3 {
		s.Cancel = time.Duration(rapid.IntRange(1, 15).Draw(t, "when")) * 40 * time.Minute
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
	n := len(s.Stages)
	status, ends := make([]pipeline.StageStatus, n), make([]time.Duration, n)
	halted, now := false, time.Duration(0)
	end := func(i int, st pipeline.StageStatus) {
		status[i] = st
		a := s.Stages[i]
		if st != pipeline.StageFailed || a.Policy != pipeline.Halt || a.Always {
			return
		}
		halted = true
		for j := range status {
			if status[j] == pipeline.StageRunning && !s.Stages[j].Always {
				status[j] = pipeline.StageCanceled
			}
		}
	}
	for {
		for again := true; again; {
			again = false
			for i := range status {
				if status[i] == "" && s.begin(i, status, halted, func(st pipeline.StageStatus) { end(i, st) }) {
					ends[i], again = now+s.Stages[i].lasts(), true
				}
			}
		}
		next := -1
		for i := range status {
			if status[i] == pipeline.StageRunning && (next < 0 || ends[i] < ends[next]) {
				next = i
			}
		}
		if s.Cancel > 0 && s.Cancel > now && (next < 0 && slices.Contains(status, "") || next >= 0 && s.Cancel < ends[next]) {
			now, halted = s.Cancel, true
			for j := range status {
				if status[j] == pipeline.StageRunning && !s.Stages[j].Always {
					status[j] = pipeline.StageCanceled
				}
			}
			continue
		}
		if next < 0 {
			break
		}
		now = ends[next]
		end(next, s.Stages[next].outcome())
	}
	result := pipeline.Succeeded
	for i, st := range status {
		if st == pipeline.StageFailed && (s.Stages[i].Policy == pipeline.Halt || s.Stages[i].Policy == pipeline.FailAtEnd) {
			result = pipeline.Failed
		}
	}
	if s.Cancel > 0 && s.Cancel <= now {
		result = pipeline.Canceled
	}
	out := []string{string(result)}
	for _, st := range status {
		out = append(out, string(st))
	}
	return out
}

// begin starts or ends stage i if it is ready, and reports whether it did.
func (s scene) begin(i int, status []pipeline.StageStatus, halted bool, end func(pipeline.StageStatus)) bool {
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
