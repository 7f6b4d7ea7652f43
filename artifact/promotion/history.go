package promotion

import (
	"slices"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// History is what is known when a question is asked: all records of a ledger, in order, and the verified evidence about the
// set in question. It is a value; nothing here changes it.
type History struct {
	// Application is whose ledger it is. Evidence about a place counts only if it names this application.
	Application string
	Records     []Record
	Evidence    []evidence.Verified
	// Refused is why other evidence about the set was not verified. It does not count, but a denial that is on record keeps its
	// set out as long as it is not among Evidence; see [Eligible].
	Refused []*evidence.Error
}

// State is what runs in an environment, and what is about to.
type State struct {
	Environment string          `json:"environment"`
	Set         artifact.Digest `json:"set,omitempty"` // empty if nothing is known to run
	Since       time.Time       `json:"since,omitzero"`
	By          string          `json:"by,omitempty"`
	Verified    time.Time       `json:"verified,omitzero"` // when it was found to be good; zero if it was not
	// Located is the set with the locations it was copied to, if it was.
	Located artifact.Digest `json:"located,omitempty"`
	// Running is the promotion that has started and not ended.
	Running *Record `json:"running,omitempty"`
	// Waiting are the requests that have not started, those who are next first.
	Waiting []Record `json:"waiting,omitempty"`
	// Holds are the holds that nobody has released; some may have expired.
	Holds []Record `json:"holds,omitempty"`
}

// tenure is a time during which a set ran somewhere.
type tenure struct {
	set      artifact.Digest
	located  artifact.Digest
	by       string
	from     time.Time
	verified time.Time // zero: not verified, or demoted since
	until    time.Time
	ended    bool
}

// place is an environment's part of the records, read once.
type place struct {
	state   State
	tenures []tenure
	failed  map[artifact.Digest]Record    // the sets that have failed, or were taken back, and not run well since
	lost    map[artifact.Digest]time.Time // when sets were demoted last
}

// State returns what runs in an environment.
func (h History) State(env string) State { return h.place(env).state }

func (h History) place(env string) *place {
	p := &place{state: State{Environment: env}, failed: map[artifact.Digest]Record{}, lost: map[artifact.Digest]time.Time{}}
	for _, r := range h.Records {
		if r.Environment == env {
			p.take(r)
		}
	}
	if len(p.state.Waiting) == 0 {
		p.state.Waiting = nil // and not an empty slice, whatever came and went
	}
	if n := len(p.tenures); n > 0 {
		t := p.tenures[n-1]
		p.state.Set, p.state.Since, p.state.By, p.state.Verified, p.state.Located = t.set, t.from, t.by, t.verified, t.located
	}
	return p
}

func (p *place) take(r Record) {
	s := &p.state
	switch r.Event {
	case Requested:
		s.Waiting = slices.DeleteFunc(s.Waiting, func(w Record) bool { return slices.Contains(r.Supersedes, w.Key) })
		i := len(s.Waiting)
		if r.Rollback { // it goes before all promotions
			i = slices.IndexFunc(s.Waiting, func(w Record) bool { return !w.Rollback })
			if i < 0 {
				i = len(s.Waiting)
			}
		}
		s.Waiting = slices.Insert(s.Waiting, i, r)
	case Started:
		p.leave(r.Key)
		s.Running = &r
	case Deployed:
		p.enter(r, time.Time{})
	case Verified:
		if n := len(p.tenures); n > 0 && p.tenures[n-1].set == r.Set {
			if p.tenures[n-1].verified.IsZero() {
				p.tenures[n-1].verified = r.At
			}
			delete(p.failed, r.Set)
		}
	case Demoted:
		p.demote(r.Set, r)
	case RolledBack:
		p.demote(r.Previous, r)
		var verified time.Time
		if p.good(r.Set) {
			verified = r.At
		}
		p.enter(r, verified)
	case Failed:
		p.failed[r.Set] = r
	case Held:
		s.Holds = append(s.Holds, r)
	case Released:
		s.Holds = nil
	}
	if r.ends() {
		p.leave(r.Key)
	}
}

// leave takes a promotion out of the queue and off the lane.
func (p *place) leave(key string) {
	s := &p.state
	if s.Running != nil && s.Running.Key == key {
		s.Running = nil
	}
	s.Waiting = slices.DeleteFunc(s.Waiting, func(w Record) bool { return w.Key == key })
}

func (p *place) enter(r Record, verified time.Time) {
	if n := len(p.tenures); n > 0 {
		p.tenures[n-1].until, p.tenures[n-1].ended = r.At, true
	}
	p.tenures = append(p.tenures, tenure{set: r.Set, located: r.Located, by: r.By, from: r.At, verified: verified})
}

func (p *place) demote(set artifact.Digest, why Record) {
	for i := range p.tenures {
		if p.tenures[i].set == set {
			p.tenures[i].verified = time.Time{}
		}
	}
	p.failed[set], p.lost[set] = why, why.At
}

// good reports whether the set was verified good here and has not been demoted since.
func (p *place) good(set artifact.Digest) bool {
	return slices.ContainsFunc(p.tenures, func(t tenure) bool { return t.set == set && !t.verified.IsZero() })
}

// soak returns for how long the set has run here at most, in one go, since it was verified.
func (p *place) soak(set artifact.Digest, now time.Time) time.Duration {
	since, until := p.longest(set, now)
	return until.Sub(since)
}

// longest returns the longest time in which the set has run here in one go since it was verified.
func (p *place) longest(set artifact.Digest, now time.Time) (since, until time.Time) {
	for _, t := range p.tenures {
		if t.set != set || t.verified.IsZero() {
			continue
		}
		end := now
		if t.ended {
			end = t.until
		}
		if end.Sub(t.verified) > until.Sub(since) {
			since, until = t.verified, end
		}
	}
	return since, until
}

// runs reports whether the set runs here and is verified, so that its soak grows.
func (p *place) runs(set artifact.Digest) bool {
	return p.state.Set == set && !p.state.Verified.IsZero()
}

// Good reports whether a set was verified good in an environment, and has not been demoted there since.
func (h History) Good(env string, set artifact.Digest) bool { return h.place(env).good(set) }

// Soak returns for how long a set has run in an environment since it was verified there, in one go; the longest time counts.
// It is never negative.
func (h History) Soak(env string, set artifact.Digest, now time.Time) time.Duration {
	return h.place(env).soak(set, now)
}

// LastGood returns the set to go back to: the last one before the one that runs that was verified good in the environment
// and has not been demoted since. It reports false if there is none.
func (h History) LastGood(env string) (artifact.Digest, bool) { return h.place(env).lastGood() }

func (p *place) lastGood() (artifact.Digest, bool) {
	for _, t := range slices.Backward(p.tenures) {
		if t.set != p.state.Set && !t.verified.IsZero() {
			return t.set, true
		}
	}
	return "", false
}

// candidates returns the candidates, newest first.
func (h History) candidates() []Record {
	var all []Record
	for _, r := range slices.Backward(h.Records) {
		if r.Event == Candidate {
			all = append(all, r)
		}
	}
	return all
}

// age returns the place of a set among the candidates, and whether it is one.
func (h History) age(set artifact.Digest) (uint64, bool) {
	for _, r := range h.Records {
		if r.Event == Candidate && r.Set == set {
			return r.Seq, true
		}
	}
	return 0, false
}
