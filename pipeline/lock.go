package pipeline

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// lockAnswer is what the document of a lock said about a ticket.
type lockAnswer struct {
	placing
	refused []string // by the policy Reject: the executions that are under way
	gone    bool     // the ticket has been given back
}

// admitted reports whether stages may start.
func (r *record) admitted() bool {
	for k := range r.Locks {
		if l := &r.Locks[k]; l.Whole && l.State != lockHeld {
			return false
		}
	}
	return true
}

// lock changes the lock with this ticket.
func (m *machine) lock(ticket string, change func(*lockRec)) {
	m.r.Locks = slices.Clone(m.r.Locks)
	for k := range m.r.Locks {
		if m.r.Locks[k].Ticket == ticket {
			change(&m.r.Locks[k])
		}
	}
}

func (r *record) lockOf(ticket string) *lockRec {
	for k := range r.Locks {
		if r.Locks[k].Ticket == ticket {
			return &r.Locks[k]
		}
	}
	return nil
}

// answered takes what a lock's document said into the record.
func (m *machine) answered(in *input) bool {
	l, a := m.r.lockOf(in.name), in.lock
	switch {
	case l == nil:
		return false
	case l.State == lockReleasing:
		if a.gone {
			m.r.Locks = slices.DeleteFunc(slices.Clone(m.r.Locks), func(o lockRec) bool { return o.Ticket == in.name })
		}
		return a.gone
	case l.State == lockHeld:
		return false
	case a.refused != nil:
		m.giveUp(in.name, (&LimitError{Execution: m.r.ID, Limit: l.Name, Max: l.Max, Holders: a.refused}).Error())
		return true
	case a.by != "":
		m.giveUp(in.name, "superseded by "+a.by)
		return true
	case a.state == lockHeld:
		m.lock(in.name, func(l *lockRec) { l.State, l.Place, l.Behind = lockHeld, 0, "" })
		m.r.event(m.now, EventAdmitted, l.Stage, l.Name, "")
		if i := m.r.find(l.Stage); !l.Whole && i >= 0 && m.r.Stages[i].Phase == phaseLock && m.r.key(i) == in.name {
			m.r.Stages[i].Output = mustJSON(Held{Mutex: l.mutex(), Stage: l.Stage})
			m.end(i, StageSucceeded, "")
		}
		return true
	case a.state == lockQueued && l.State == lockWanted:
		m.lock(in.name, func(l *lockRec) { l.State, l.Place, l.Behind = lockQueued, a.place, a.behind })
		m.r.event(m.now, EventQueued, l.Stage, m.r.lockOf(in.name).queued().String()+" for "+l.Name, "")
		return true
	}
	return false
}

// giveUp cancels the execution, which will never be admitted.
func (m *machine) giveUp(ticket, why string) {
	m.lock(ticket, func(l *lockRec) { l.State = lockReleasing })
	m.cancel(&Signal{Actor: "limit", Reason: why})
}

// mutex is the name that the pipeline gave the mutex.
func (l *lockRec) mutex() string { return l.Name[len(mutexName("")):] }

func (l *lockRec) queued() Queued {
	return Queued{For: l.Name, Stage: l.Stage, Place: l.Place, Behind: l.Behind}
}

// beginLock lets a stage wait for its mutex.
func (m *machine) beginLock(i int) {
	s := &m.r.Stages[i]
	name, err := lockName(m.v.input(m.r, i))
	if err == nil && slices.ContainsFunc(m.r.Locks, func(l lockRec) bool { return l.Name == mutexName(name) && l.State != lockReleasing }) {
		err = fmt.Errorf("mutex %q has been taken by this execution already, and would wait for itself", name)
	}
	if !m.evaluated(i, "lock", err) {
		return
	}
	s.Phase = phaseLock
	m.r.Locks = append(slices.Clone(m.r.Locks), lockRec{
		Name: mutexName(name), Ticket: m.r.key(i), Stage: s.ID, State: lockWanted, Limit: Limit{Max: 1},
	})
}

// unlock gives back the mutex that another stage has taken.
func (m *machine) unlock(i int) {
	var h Held
	if err := json.Unmarshal(m.v.input(m.r, i), &h); !m.evaluated(i, "input", err) {
		return
	}
	m.r.Locks = slices.Clone(m.r.Locks)
	for k := range m.r.Locks {
		if l := &m.r.Locks[k]; l.Stage == h.Stage && l.Stage != "" {
			l.State = lockReleasing
		}
	}
	m.r.Stages[i].Output = []byte("null")
	m.end(i, StageSucceeded, "")
}

// dropLocks gives back what stages wait for that have ended without it.
func (m *machine) dropLocks() (changed bool) {
	for k := range m.r.Locks {
		l := m.r.Locks[k]
		if l.Whole || l.State != lockWanted && l.State != lockQueued {
			continue
		}
		if i := m.r.find(l.Stage); i < 0 || m.r.Stages[i].Status.Final() {
			m.lock(l.Ticket, func(l *lockRec) { l.State = lockReleasing })
			changed = true
		}
	}
	return changed
}

// releaseAll gives everything back at the end. It reports whether something still
// is to be given back, and whether the record has changed.
func (m *machine) releaseAll() (busy, changed bool) {
	if len(m.r.Locks) == 0 {
		return false, false
	}
	m.r.Locks = slices.Clone(m.r.Locks)
	for k := range m.r.Locks {
		if l := &m.r.Locks[k]; l.State != lockReleasing {
			l.State, changed = lockReleasing, true
		}
	}
	return true, changed
}

// relock makes an execution that is restarted take again what it held: its place
// under the limit, and the mutexes of stages that stay as they are. Nothing starts
// before it has all of them, which it takes in a fixed order.
func (m *machine) relock(held []Held) {
	if l := m.v.plan.Limit; l != nil {
		m.r.Locks = append(m.r.Locks, m.r.place(*l))
	}
	slices.SortFunc(held, func(a, b Held) int {
		switch {
		case a.Mutex < b.Mutex:
			return -1
		case a.Mutex > b.Mutex:
			return 1
		}
		return 0
	})
	for _, h := range held {
		if i := m.r.find(h.Stage); i >= 0 && m.r.Stages[i].Status == StageSucceeded {
			m.r.Locks = append(m.r.Locks, lockRec{
				Name: mutexName(h.Mutex), Ticket: fmt.Sprintf("%s/%d", m.r.key(i), m.r.Restarts), State: lockWanted,
				Stage: h.Stage, Whole: true, Limit: Limit{Max: 1},
			})
		}
	}
}

// queueAgain makes an execution that comes from another store ask in this one for
// what it held there.
func (r *record) queueAgain() {
	r.Locks = slices.Clone(r.Locks)
	for k := range r.Locks {
		if l := &r.Locks[k]; l.State == lockHeld {
			l.State, l.Whole, l.Policy, l.CancelRunning = lockWanted, true, Queue, false
		}
	}
}

// place is the execution's place under its pipeline's limit.
func (r *record) place(l Limit) lockRec {
	return lockRec{
		Name: limitName(r.Pipeline, r.LimitKey), Ticket: fmt.Sprintf("%s/@/%d", r.ID, r.Restarts),
		State: lockWanted, Whole: true, Limit: l,
	}
}

// locked lists the mutexes that were held to the end, or would have been, by
// stages that a restart leaves as they are.
func (m *machine) locked(reset []bool) (held []Held) {
	given := map[string]bool{}
	for i, in := range m.v.insts {
		var h Held
		if s := &m.r.Stages[i]; in.n.Type == TypeUnlock && s.Status == StageSucceeded && !reset[i] && json.Unmarshal(m.v.input(m.r, i), &h) == nil {
			given[h.Stage] = true
		}
	}
	for i, in := range m.v.insts {
		var h Held
		s := &m.r.Stages[i]
		if in.n.Type == TypeLock && s.Status == StageSucceeded && !reset[i] && !given[s.ID] && json.Unmarshal(s.Output, &h) == nil && h.Mutex != "" {
			held = append(held, Held{Mutex: h.Mutex, Stage: s.ID})
		}
	}
	return held
}

// wants lists the locks about which something is to be done now. Of those without
// which nothing starts it is one after the other.
func (r *record) wants() (list []*lockRec) {
	first := true
	for k := range r.Locks {
		l := &r.Locks[k]
		if l.Whole && (l.State == lockWanted || l.State == lockQueued) {
			if !first {
				continue
			}
			first = false
		}
		if l.State != lockHeld {
			list = append(list, l)
		}
	}
	return list
}

// lookAtLocks is how often an execution that is queued looks at the document by
// itself, in case whoever should have told it died. One at a place behind lookNear
// does so less often, in proportion, down to once in lookFar times that.
const (
	lookAtLocks = time.Minute
	lookNear    = 8
	lookFar     = 30
)

func (r *record) isQueued() bool {
	return slices.ContainsFunc(r.Locks, func(l lockRec) bool { return l.State == lockQueued })
}

// checkLocks refuses locks that make no sense.
func (r *record) checkLocks() error {
	for k := range r.Locks {
		l := &r.Locks[k]
		known := l.State == lockWanted || l.State == lockQueued || l.State == lockHeld || l.State == lockReleasing
		switch {
		case !known || l.Ticket == "" || l.Name == "" || l.Max < 1 || r.lockOf(l.Ticket) != l || l.Stage == "" && !l.Whole:
			return fmt.Errorf("lock %q makes no sense", l.Ticket)
		case l.Stage != "" && len(l.Name) <= len(mutexName("")):
			return fmt.Errorf("lock %q has no name", l.Ticket)
		case r.Status.Final():
			return fmt.Errorf("it has ended and has the lock %q", l.Ticket)
		}
	}
	return nil
}
