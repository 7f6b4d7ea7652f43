package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// lockPage is a document that counts limits and mutexes: those whose names have the
// same lockKey. It is changed by compare-and-set only, so a place is never given
// twice. There are so few pages that none is ever deleted: a store cannot delete a
// value on condition, and whoever deleted an empty document could delete the place
// that somebody else has just taken in it. A name that nobody holds or waits for is
// in none.
type lockPage struct {
	Format    int        `json:"format"`
	MinReader int        `json:"minReader"`
	Rev       uint64     `json:"rev"`
	Locks     []*lockDoc `json:"locks,omitempty"`
}

// lockDoc is one limit or mutex: those who are admitted and those who wait, in the
// order in which they came.
type lockDoc struct {
	Name    string   `json:"name"`
	Tickets []ticket `json:"tickets"`
}

// ticket is one place, or the wish for one.
type ticket struct {
	ID        string `json:"id"` // of the wish, unique for ever
	Execution string `json:"execution"`
	Max       int    `json:"max"`
	Held      bool   `json:"held,omitempty"`
	By        string `json:"by,omitempty"` // the execution that supersedes it
}

const lockPrefix = "m/"

// lockKey is the key of the page that counts a lock, one of 4096. Names may have any
// bytes.
func lockKey(name string) string {
	sum := sha256.Sum256([]byte(name))
	return lockPrefix + hex.EncodeToString(sum[:2])[:3]
}

func decodeLocks(item Item) (*lockPage, error) {
	p := &lockPage{}
	err := json.Unmarshal(item.Value, p)
	if err == nil && p.MinReader > recordFormat {
		return nil, &RecordError{Key: item.Key, Err: ErrParked, Problem: "was written by a newer program"}
	}
	if err != nil || slices.ContainsFunc(p.Locks, func(d *lockDoc) bool { return d == nil || lockKey(d.Name) != item.Key }) {
		return nil, &RecordError{Key: item.Key, Err: ErrCorrupt, Problem: "does not count limits and mutexes; delete it when nothing is under way"}
	}
	return p, nil
}

// lock returns the lock of that name. It is in the page even if it has no tickets.
func (p *lockPage) lock(name string) *lockDoc {
	for _, d := range p.Locks {
		if d.Name == name {
			return d
		}
	}
	d := &lockDoc{Name: name}
	p.Locks = append(p.Locks, d)
	return d
}

// placing is what a document says about a ticket.
type placing struct {
	state  lockState // wanted if it is not there
	place  int
	behind string
	by     string // the execution that supersedes it
}

func (d *lockDoc) find(id string) int {
	return slices.IndexFunc(d.Tickets, func(t ticket) bool { return t.ID == id })
}

func (d *lockDoc) placing(id string) placing {
	k := d.find(id)
	if k < 0 {
		return placing{state: lockWanted}
	}
	p := placing{state: lockQueued, place: 1, by: d.Tickets[k].By}
	if d.Tickets[k].Held {
		p.state, p.place = lockHeld, 0
		return p
	}
	for _, t := range d.Tickets[:k] {
		switch {
		case t.Held && p.place == 1:
			p.behind = t.Execution
		case !t.Held && t.By == "":
			p.place++
			p.behind = t.Execution
		}
	}
	return p
}

// acquire adds a ticket, unless it is there or the policy refuses it, and reports
// whether the document has changed.
func (d *lockDoc) acquire(execution string, l *lockRec) bool {
	if d.find(l.Ticket) >= 0 {
		return false
	}
	full := d.held() >= l.Max || slices.ContainsFunc(d.Tickets, func(t ticket) bool { return !t.Held && t.By == "" })
	if full && l.Policy == Reject {
		return false
	}
	if full && l.Policy == NewestWins {
		for k := range d.Tickets {
			if t := &d.Tickets[k]; t.By == "" && (!t.Held || l.CancelRunning) {
				t.By = execution
			}
		}
	}
	d.Tickets = append(d.Tickets, ticket{ID: l.Ticket, Execution: execution, Max: l.Max})
	d.grant()
	return true
}

func (d *lockDoc) held() int {
	n := 0
	for _, t := range d.Tickets {
		if t.Held {
			n++
		}
	}
	return n
}

// holders lists the executions that are admitted.
func (d *lockDoc) holders() []string {
	return d.admittedSince(nil)
}

// heldTickets are the ids of the tickets that are held.
func (d *lockDoc) heldTickets() map[string]bool {
	held := map[string]bool{}
	for _, t := range d.Tickets {
		if t.Held {
			held[t.ID] = true
		}
	}
	return held
}

// admittedSince lists the executions of the tickets that are held and were not.
func (d *lockDoc) admittedSince(before map[string]bool) []string {
	ids := []string{}
	for _, t := range d.Tickets {
		if t.Held && !before[t.ID] {
			ids = append(ids, t.Execution)
		}
	}
	return ids
}

// grant admits those whose turn it is.
func (d *lockDoc) grant() {
	held := d.held()
	for k := range d.Tickets {
		t := &d.Tickets[k]
		if t.Held || t.By != "" {
			continue
		}
		if held >= t.Max {
			break
		}
		t.Held = true
		held++
	}
}

// release removes tickets, and admits those whose turn it is then. It reports
// whether there were any.
func (d *lockDoc) release(gone func(ticket) bool) bool {
	n := len(d.Tickets)
	d.Tickets = slices.DeleteFunc(d.Tickets, gone)
	if len(d.Tickets) == n {
		return false
	}
	d.grant()
	return true
}
