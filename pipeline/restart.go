package pipeline

import (
	"slices"
	"time"
)

// restart resets a stage and everything behind it to run again, and what never
// ran because the execution ended.
func (m *machine) restart(sig *Signal) (bool, error) {
	if !m.r.Status.Final() {
		return m.refuse(sig, ErrInvalid, "the execution has not ended; cancel it first or let it end")
	}
	i := m.r.find(sig.Stage)
	if i < 0 {
		return m.noStage(sig, "stage", func(int) bool { return true })
	}
	if !m.r.Stages[i].Status.Final() {
		return m.refuse(sig, ErrInvalid, "the stage has not ended")
	}
	reset := m.behind(i)
	for j, in := range m.v.insts {
		if why := in.n.lacks(); reset[j] && why != "" {
			return m.refuse(sig, ErrParked, "%s", why)
		}
	}
	in := m.v.insts[i]
	for _, w := range in.n.waits {
		d := in.scope.index(w)
		s := &m.r.Stages[d]
		lacks := slices.Contains(in.n.needs, w) && s.Status != StageSucceeded
		if !reset[d] && (lacks || s.stops(w) && !in.n.Always) {
			return m.refuse(sig, ErrInvalid, "stage %q before it %s, so it could not run; restart that one", s.ID, s.Status)
		}
	}
	m.r.Restarts++
	m.r.Status, m.r.Halted, m.r.Reason, m.r.Cancel, m.r.Undoing = Running, "", "", nil, false
	m.r.Output = nil
	m.r.Ended = time.Time{}
	m.r.event(m.now, EventRestarted, sig.Stage, sig.Reason, sig.Actor)
	for j := range reset {
		if reset[j] {
			m.reset(j)
		}
	}
	held := m.locked(reset)
	m.reopen(m.v.insts[i].scope)
	m.dropOrphans()
	m.relock(held)
	return true, nil
}

// behind marks stage i, everything that waits for a marked stage, in its own
// scope or around it, and everything that was stopped, cancelled or undone, of
// the groups that run again.
func (m *machine) behind(i int) []bool {
	mark := make([]bool, len(m.v.insts))
	mark[i] = true
	for j := range m.v.insts {
		if m.r.Stages[j].Undo != nil {
			mark[m.outermost(j, i)] = true
		}
	}
	for again := true; again; {
		again = false
		for j, in := range m.v.insts {
			if mark[j] {
				continue
			}
			s := m.r.Stages[j].Status
			hit := (s == StageStopped || s == StageCanceled) && m.outermost(j, i) == j
			for _, w := range in.n.waits {
				d := in.scope.index(w)
				hit = hit || mark[d] || m.holds(d, i)
			}
			if hit && !m.holds(j, i) {
				mark[j], again = true, true
			}
		}
	}
	return mark
}

// outermost returns stage j, or the group around it that must be reset as a whole
// if j is to run again, because a restart of stage i does not reopen it.
func (m *machine) outermost(j, i int) int {
	found := j
	for sc := m.v.insts[j].scope; sc.owner >= 0; sc = sc.parent {
		reopened := m.holds(sc.owner, i) && m.r.Stages[sc.owner].Items[sc.item].Status == StageCanceled
		if !reopened && !m.v.insts[i].scope.inside(sc) {
			found = sc.owner
		}
	}
	if m.holds(found, i) {
		return j
	}
	return found
}

// holds reports whether stage j is a group around stage i.
func (m *machine) holds(j, i int) bool {
	for sc := m.v.insts[i].scope; sc.owner >= 0; sc = sc.parent {
		if sc.owner == j {
			return true
		}
	}
	return false
}

// reset makes a stage pending again, as a new generation: decisions about the
// one that has ended count no more. History has those that began.
func (m *machine) reset(j int) {
	s := &m.r.Stages[j]
	if s.Attempt > 0 {
		m.newGeneration(j)
	} else {
		s.Gen++
	}
	*s = stageRec{
		ID: s.ID, Status: StagePending, Gen: s.Gen, History: s.History, Base: s.Base,
		Items: s.Items, extra: s.extra,
	}
	if len(s.Items) > 0 { // a group reads its items anew; its stages' keys must not come again
		for _, sc := range m.v.insts[j].groups {
			s.Base = max(s.Base, m.newest(sc))
		}
		s.Items = nil
	}
}

func (m *machine) newest(sc *scopeInst) int {
	gen := 0
	for _, j := range sc.insts {
		gen = max(gen, m.r.Stages[j].Gen, m.r.Stages[j].Base)
		for _, inner := range m.v.insts[j].groups {
			gen = max(gen, m.newest(inner))
		}
	}
	return gen
}

// reopen makes the groups around a restarted stage run again.
func (m *machine) reopen(sc *scopeInst) {
	for ; sc.owner >= 0; sc = sc.parent {
		s := &m.r.Stages[sc.owner]
		s.Status, s.Phase, s.Halted, s.Failure, s.Output = StageRunning, phaseGroup, "", nil, nil
		s.Ended, s.Reason = time.Time{}, ""
		s.Items = slices.Clone(s.Items)
		for k := range s.Items {
			switch it := &s.Items[k]; {
			case k == sc.item:
				it.Status, it.Halted, it.Past = StageRunning, "", false
			case it.Status == StageCanceled: // begins when MaxParallel allows it
				it.Status, it.Halted = StagePending, ""
			case it.Status == StageFailed:
				it.Past = true
			}
		}
	}
}

// dropOrphans removes the records of stages whose group has lost its items, and
// builds the view again.
func (m *machine) dropOrphans() {
	keep := make([]bool, len(m.v.insts))
	var visit func(sc *scopeInst)
	visit = func(sc *scopeInst) {
		for _, j := range sc.insts {
			keep[j] = true
			if len(m.r.Stages[j].Items) > 0 {
				for _, inner := range m.v.insts[j].groups {
					visit(inner)
				}
			}
		}
	}
	visit(m.v.root)
	stages := make([]stageRec, 0, len(m.r.Stages))
	for j := range m.r.Stages {
		if keep[j] {
			stages = append(stages, m.r.Stages[j])
		}
	}
	m.r.Stages = stages
	m.v = newView(m.v.plan, m.v.root.def, m.r)
}
