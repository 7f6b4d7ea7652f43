package pipeline

import (
	"encoding/json"
	"fmt"
	"regexp"
)

var keyPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// openGroup reads the items of a group that begins, and adds their stages.
func (m *machine) openGroup(i int) {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	if n.Type == TypeSub {
		s.Items = []itemRec{{Value: s.Input, Status: StagePending}}
	} else {
		items, err := m.items(i)
		if err != nil {
			s.Failure = failureOf(err)
			s.Failure.Permanent = true
			m.end(i, StageFailed, "")
			return
		}
		s.Items = items
	}
	s.Input = nil
	m.v.expand(m.r, i)
}

func (m *machine) items(i int) ([]itemRec, error) {
	s, n := &m.r.Stages[i], m.v.insts[i].n
	var raws []json.RawMessage
	if err := json.Unmarshal(s.Input, &raws); err != nil {
		return nil, fmt.Errorf("items: %w", err)
	}
	seen := make(map[string]bool, len(raws))
	items := make([]itemRec, len(raws))
	for k, raw := range raws {
		var key string
		_, err := protect(func() (_ json.RawMessage, err error) { key, err = n.key(raw); return nil, err })
		switch {
		case err != nil:
			return nil, fmt.Errorf("key of item %d: %w", k, err)
		case !keyPattern.MatchString(key):
			return nil, fmt.Errorf("key %q of item %d: want 1 to 63 letters, digits, '.', '_', '-'", key, k)
		case seen[key]:
			return nil, fmt.Errorf("two items have the key %q", key)
		}
		seen[key] = true
		items[k] = itemRec{Key: key, Value: raw, Status: StagePending}
	}
	return items, nil
}

// group starts and ends the items of a running group, and the group with them.
func (m *machine) group(i int) bool {
	in := m.v.insts[i]
	changed := false
	running, failed := 0, 0 // failures from before a restart count at the end
	for k := range m.r.Stages[i].Items {
		if m.r.Stages[i].Items[k].Status == StageRunning && m.endItem(i, k) {
			changed = true
		}
		switch m.r.Stages[i].Items[k].Status {
		case StageRunning:
			running++
		case StageFailed:
			if !m.r.Stages[i].Items[k].Past {
				failed++
			}
		}
	}
	s := &m.r.Stages[i]
	if failed > in.n.Budget && s.Halted == "" {
		s.Halted = m.tooManyFailed(i, failed)
		for _, sc := range in.groups {
			m.stopInside(sc, s.Halted)
		}
		changed = true
	}
	why := m.groupHalted(i)
	for k := range s.Items {
		if s.Items[k].Status != StagePending {
			continue
		}
		switch {
		case why != "":
			m.setItem(i, k, func(it *itemRec) { it.Status = StageCanceled })
			changed = true
		case m.r.Status != Paused && (in.n.MaxParallel == 0 || running < in.n.MaxParallel):
			m.setItem(i, k, func(it *itemRec) { it.Status = StageRunning })
			running++
			changed = true
		}
	}
	return m.endGroup(i) || changed
}

// groupHalted returns why no further item of group i begins, "" if they do.
func (m *machine) groupHalted(i int) string {
	if h := m.r.Stages[i].Halted; h != "" {
		return h
	}
	return m.v.halted(m.r, i)
}

func (m *machine) tooManyFailed(i, failed int) string {
	s := &m.r.Stages[i]
	if m.v.insts[i].n.Type == TypeSub {
		return s.Items[0].Halted
	}
	why := fmt.Sprintf("%d of %d items of %q failed", failed, len(s.Items), s.ID)
	for _, it := range s.Items {
		if it.Status == StageFailed {
			return why + ": " + it.Halted
		}
	}
	return why
}

// endItem ends an item all of whose stages have ended.
func (m *machine) endItem(i, k int) bool {
	sc := m.v.insts[i].groups[k]
	for _, j := range sc.insts {
		if !m.r.Stages[j].Status.Final() {
			return false
		}
	}
	it := m.r.Stages[i].Items[k]
	status, why := m.outcome(sc, it.Halted)
	for _, j := range sc.insts {
		if status == StageSucceeded && m.r.Stages[j].Status == StageCanceled {
			status = StageCanceled
		}
	}
	m.setItem(i, k, func(it *itemRec) {
		it.Status = status
		if it.Halted == "" {
			it.Halted = why
		}
	})
	return true
}

// endGroup ends a group all of whose items have ended.
func (m *machine) endGroup(i int) bool {
	s, in := &m.r.Stages[i], m.v.insts[i]
	canceled, failed := false, 0
	for k := range s.Items {
		switch s.Items[k].Status {
		case StagePending, StageRunning:
			return false
		case StageCanceled:
			canceled = true
		case StageFailed:
			failed++
		}
	}
	for _, sc := range in.groups {
		for _, j := range sc.insts {
			if !m.r.Stages[j].Status.Final() {
				return false // stages of items that never began are still to be ended
			}
		}
	}
	if s.Halted == "" && failed > in.n.Budget {
		s.Halted = m.tooManyFailed(i, failed)
	}
	switch {
	case s.Halted != "":
		s.Failure = m.groupFailure(i)
		m.end(i, StageFailed, "")
	case canceled:
		m.end(i, StageCanceled, m.v.halted(m.r, i))
	default:
		m.groupOutput(i)
	}
	return true
}

// groupFailure takes over the evidence of the first stage that failed.
func (m *machine) groupFailure(i int) *Failure {
	f := &Failure{Message: m.r.Stages[i].Halted}
	if own := m.r.Stages[i].Failure; own != nil { // its deadline passed
		f = &Failure{Message: own.Message, Timeout: own.Timeout}
	}
	for _, sc := range m.v.insts[i].groups {
		for _, j := range sc.insts {
			if d := m.r.Stages[j].Failure; d != nil && m.r.Stages[j].Status == StageFailed && f.Detail == "" {
				f.Detail = d.Detail
			}
		}
	}
	return f
}

func (m *machine) groupOutput(i int) {
	s, in := &m.r.Stages[i], m.v.insts[i]
	outs := []json.RawMessage{}
	for k, sc := range in.groups {
		if s.Items[k].Status != StageSucceeded {
			continue
		}
		out, err := m.v.value(m.r, sc, sc.def.output)
		if err == nil {
			outs = append(outs, out)
		}
	}
	if in.n.Type == TypeEach {
		s.Output, _ = json.Marshal(outs) // every element is JSON already
		m.end(i, StageSucceeded, "")
		return
	}
	if len(outs) == 0 {
		m.end(i, StageSkipped, "the stage that makes its output did not run")
		return
	}
	s.Output = outs[0]
	m.end(i, StageSucceeded, "")
}
