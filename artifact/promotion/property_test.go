package promotion_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
)

// model is a world in which several processes, each with a clock of its own that may step, promote three sets. It keeps its
// own account of what is true, by true time, and judges every entry by that.
type model struct {
	t       *rapid.T
	w       *witness
	records []promotion.Record
	proof   map[int][]evidence.Verified // by set
	now     time.Time                   // true time
	clocks  []time.Duration             // by how much each process is ahead
	spans   []span                      // of test, by true time
	held    bool                        // prod
	bad     map[int]bool                // failed in prod, or were taken back there
	good    []int                       // verified good in prod, oldest first, without those taken back
	runs    int                         // in prod
	entries int
	denied  int
}

// span is a time during which a set ran in test since it was verified.
type span struct {
	set               int
	begin, end        time.Time
	fastBegin, endsBy time.Duration // the clocks that said so
	open, void        bool
}

func (m *model) clock(p int) time.Time { return m.now.Add(m.clocks[p]) }

func (m *model) add(p int, r promotion.Record) {
	r.Seq, r.At = uint64(len(m.records)+1), m.clock(p)
	m.records = append(m.records, r)
}

func (m *model) history(n int) promotion.History {
	return promotion.History{Application: "shop", Records: m.records, Evidence: m.proof[n]}
}

func (m *model) process() int { return rapid.IntRange(0, len(m.clocks)-1).Draw(m.t, "process") }
func (m *model) set() int     { return rapid.IntRange(1, 3).Draw(m.t, "set") }

func (m *model) endSpan(p int) {
	for i := range m.spans {
		if m.spans[i].open {
			m.spans[i].open, m.spans[i].end, m.spans[i].endsBy = false, m.now, m.clocks[p]
		}
	}
}

func (m *model) deployTest(*rapid.T) {
	m.deployToTest(m.process(), m.set(), rapid.Bool().Draw(m.t, "verified"))
}

func (m *model) deployToTest(p, n int, verified bool) {
	m.endSpan(p)
	m.add(p, promotion.Record{Event: promotion.Deployed, Environment: "test", Set: aSet(n).Digest()})
	if verified {
		m.add(p, promotion.Record{Event: promotion.Verified, Environment: "test", Set: aSet(n).Digest()})
		m.spans = append(m.spans, span{set: n, begin: m.now, fastBegin: m.clocks[p], open: true})
	}
}

func (m *model) demoteTest(*rapid.T) {
	n := m.set()
	m.add(m.process(), promotion.Record{Event: promotion.Demoted, Environment: "test", Set: aSet(n).Digest()})
	for i := range m.spans {
		if m.spans[i].set == n {
			m.spans[i].void, m.spans[i].open = true, false
		}
	}
}

// attest adds evidence, which may be dated in the past: it comes late.
func (m *model) attest(*rapid.T) {
	n, at := m.set(), m.clock(m.process()).Add(-time.Duration(rapid.IntRange(0, 90).Draw(m.t, "late"))*time.Minute)
	m.proof[n] = append(m.proof[n], m.w.says(aSet(n), drawPredicate(m.t, at)))
}

func drawPredicate(t *rapid.T, at time.Time) evidence.Predicate {
	people := []string{"alice", "bob", "carol", "mallory"}
	who := people[rapid.IntRange(0, 3).Draw(t, "who")]
	return []evidence.Predicate{passed("smoke", at), passed("smoke", at), failed("smoke", at), canary("pass", at), canary("pass", at), canary("no data", at),
		provenance("x:ci"), provenance("x:laptop"), approved(who, at), approved(who, at), approved(who, at), rejected(who, at),
	}[rapid.IntRange(0, 11).Draw(t, "predicate")]
}

// allOf makes a set complete at once, so that long sequences of luck are not needed.
func (m *model) allOf(*rapid.T) { m.complete(m.set(), m.clock(m.process())) }

// wholeRoad takes a set all the way, as long as nothing that was before is in its way.
func (m *model) wholeRoad(*rapid.T) {
	p, n := m.process(), m.set()
	m.deployToTest(p, n, true)
	m.now = m.now.Add(time.Duration(rapid.IntRange(55, 65).Draw(m.t, "soak")) * time.Minute)
	m.complete(n, m.clock(p))
	m.enter(p, n)
}

func (m *model) complete(n int, at time.Time) {
	for _, p := range []evidence.Predicate{passed("smoke", at), canary("pass", at), provenance("x:ci"), approved("alice", at), approved("bob", at)} {
		m.proof[n] = append(m.proof[n], m.w.says(aSet(n), p))
	}
}

func (m *model) enterProd(*rapid.T) { m.enter(m.process(), m.set()) }

func (m *model) enter(p, n int) {
	automatic := rapid.Bool().Draw(m.t, "automatic")
	now := m.clock(p)
	v := promotion.Eligible(aSet(n), prodEnv, m.history(n), now)
	if automatic && !v.Automatic() || !automatic && !v.Eligible() {
		m.denied++
		return
	}
	m.entries++
	m.judge(n, now, m.clocks[p], automatic, v)
	d := aSet(n).Digest()
	m.add(p, promotion.Record{Event: promotion.Started, Environment: "prod", Set: d, Key: fmt.Sprint(len(m.records))})
	switch rapid.IntRange(0, 2).Draw(m.t, "outcome") {
	case 0:
		m.add(p, promotion.Record{Event: promotion.Failed, Environment: "prod", Set: d})
		m.bad[n] = true
	case 1:
		m.add(p, promotion.Record{Event: promotion.Deployed, Environment: "prod", Set: d})
		m.runs = n
	default:
		m.add(p, promotion.Record{Event: promotion.Deployed, Environment: "prod", Set: d})
		m.add(p, promotion.Record{Event: promotion.Verified, Environment: "prod", Set: d})
		m.runs, m.good = n, append(m.good, n)
		delete(m.bad, n)
	}
}

// judge holds an entry against the model's own account. It reads the statements anew, and not as Eligible does.
func (m *model) judge(n int, now time.Time, fast time.Duration, automatic bool, v promotion.Verdict) {
	newest := func(match func(p evidence.Predicate) (at time.Time, good, ok bool)) bool {
		var best time.Time
		good, found := false, false
		for _, e := range m.proof[n] {
			at, ok1, ok := match(e.Predicate())
			if !ok || ok1 && at.After(now) {
				continue
			}
			if !found || at.After(best) || at.Equal(best) && !ok1 {
				best, good, found = at, ok1, true
			}
		}
		return good
	}
	if !newest(func(p evidence.Predicate) (time.Time, bool, bool) {
		r, ok := p.(evidence.TestResult)
		return r.Finished(), r.Result != evidence.Failed, ok && r.Suite() == "smoke"
	}) {
		m.t.Fatalf("set %d enters without its test", n)
	}
	if !newest(func(p evidence.Predicate) (time.Time, bool, bool) {
		c, ok := p.(evidence.Canary)
		return c.At, c.Outcome == "pass", ok
	}) {
		m.t.Fatalf("set %d enters without its canary", n)
	}
	if !slices.ContainsFunc(m.proof[n], func(e evidence.Verified) bool {
		p, ok := e.Predicate().(evidence.Provenance)
		return ok && p.RunDetails.Builder.ID == "x:ci"
	}) {
		m.t.Fatalf("set %d enters without its provenance", n)
	}
	approvals := 0
	for _, person := range []string{"alice", "bob", "carol"} {
		if newest(func(p evidence.Predicate) (time.Time, bool, bool) {
			a, ok := p.(evidence.Approval)
			return a.At, a.Approved, ok && a.Approver == person
		}) {
			approvals++
		}
	}
	if approvals < 2 {
		m.t.Fatalf("set %d enters with %d approvals", n, approvals)
	}
	if !slices.ContainsFunc(m.spans, func(s span) bool { return s.set == n && !s.void && m.soaked(s, fast) }) {
		m.t.Fatalf("set %d enters without its soak: %v", n, m.spans)
	}
	switch {
	case !automatic:
	case m.held:
		m.t.Fatalf("automation promotes set %d in spite of a hold", n)
	case m.bad[n] || m.runs == n:
		m.t.Fatalf("automation promotes set %d, which has failed or runs", n)
	}
	require.NotEmpty(m.t, v.Evidence)
}

// soaked reports whether a span lasted an hour of true time, but for what a clock that is ahead at its end takes off.
func (m *model) soaked(s span, fast time.Duration) bool {
	end, ends := m.now, fast
	if !s.open {
		end, ends = s.end, s.endsBy
	}
	return end.Sub(s.begin) >= time.Hour-max(0, ends-s.fastBegin)
}

func (m *model) rollbackProd(*rapid.T) {
	d, ok := m.history(0).LastGood("prod")
	target := 0
	for _, n := range slices.Backward(m.good) {
		if n != m.runs {
			target = n
			break
		}
	}
	if ok != (target != 0) {
		m.t.Fatalf("there is something to go back to: %v; by the model: set %d", ok, target)
	}
	if !ok {
		return
	}
	require.Equal(m.t, aSet(target).Digest(), d, "the last set that was verified good")
	p, taken := m.process(), m.runs
	m.add(p, promotion.Record{Event: promotion.RolledBack, Environment: "prod", Set: d, Previous: aSet(taken).Digest()})
	m.add(p, promotion.Record{Event: promotion.Held, Environment: "prod"})
	m.good = slices.DeleteFunc(m.good, func(n int) bool { return n == taken })
	m.good, m.runs, m.held, m.bad[taken] = append(m.good, target), target, true, true
}

func (m *model) hold(*rapid.T) {
	m.held = rapid.Bool().Draw(m.t, "hold")
	event := promotion.Released
	if m.held {
		event = promotion.Held
	}
	m.add(m.process(), promotion.Record{Event: event, Environment: "prod"})
}

func (m *model) passTime(*rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 50).Draw(m.t, "minutes")) * time.Minute)
}

func (m *model) stepClock(*rapid.T) {
	m.clocks[m.process()] = time.Duration(rapid.IntRange(-120, 120).Draw(m.t, "step")) * time.Minute
}

func newModel(t *rapid.T, w *witness) *model {
	m := &model{t: t, w: w, proof: map[int][]evidence.Verified{}, now: noon, clocks: make([]time.Duration, 2), bad: map[int]bool{}}
	for n := 1; n <= 3; n++ {
		m.records = append(m.records, promotion.Record{Seq: uint64(n), Event: promotion.Candidate, Set: aSet(n).Digest(), At: noon})
	}
	return m
}

func (m *model) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"deploy to test": m.deployTest, "demote in test": m.demoteTest, "evidence": m.attest, "all evidence": m.allOf, "enter prod": m.enterProd, "enter prod again": m.enterProd, "whole road": m.wholeRoad,
		"roll back": m.rollbackProd, "hold": m.hold, "time": m.passTime, "more time": m.passTime, "clock": m.stepClock,
	}
}

// Whatever is promoted, held, rolled back and said, in whatever order, late and by clocks that step: no set enters prod
// without its evidence, automation heeds every hold, and a rollback goes to the last set that was verified good.
func TestNoEntryWithoutEvidence(t *testing.T) {
	w, entries, denied := newWitness(t), 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, w)
		t.Repeat(m.actions())
		entries, denied = entries+m.entries, denied+m.denied
	})
	t.Logf("%d entries, %d denied", entries, denied)
	require.Positive(t, entries, "the sequences must lead somewhere")
	require.Positive(t, denied)
}

// More supporting evidence never removes eligibility, more denials never create it, and neither does time remove it.
func TestEligibleIsMonotone(t *testing.T) {
	w, yes := newWitness(t), 0
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t, w)
		actions := m.actions()
		actions["check"] = func(t *rapid.T) {
			n, now := m.set(), m.clock(m.process())
			env := prodEnv
			env.Rules.AnyFrom = rapid.Bool().Draw(t, "any")
			env.Rules.From = append(slices.Clone(env.Rules.From), promotion.Upstream{Environment: "prod"})[:rapid.IntRange(1, 2).Draw(t, "upstreams")]
			env.Rules.Approvals = rapid.IntRange(0, 3).Draw(t, "approvals")
			h := m.history(n)
			before := promotion.Eligible(aSet(n), env, h, now)
			if before.Eligible() {
				yes++
			}
			at := now.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "at")) * time.Minute)
			more := m.w.says(aSet(n), drawPredicateOrSoak(t, at))
			h.Evidence = append(slices.Clone(h.Evidence), more)
			after := promotion.Eligible(aSet(n), env, h, now)
			lost := before.Eligible() && !after.Eligible() || before.Automatic() && !after.Automatic()
			won := !before.Eligible() && after.Eligible() || !before.Automatic() && after.Automatic()
			if promotion.Denies(more) && won || !promotion.Denies(more) && lost {
				t.Fatalf("with %v: %v; before: %v", more.Predicate(), after, before)
			}
			later := promotion.Eligible(aSet(n), env, m.history(n), now.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "later"))*time.Minute))
			if before.Eligible() && !later.Eligible() || before.Automatic() && !later.Automatic() {
				t.Fatalf("later: %v", later)
			}
			if until, ok := before.Until(false); ok && !promotion.Eligible(aSet(n), env, m.history(n), until).Eligible() && !until.Before(now) {
				t.Fatalf("eligible at %v, it said: %v; but then: %v", until, before, promotion.Eligible(aSet(n), env, m.history(n), until))
			}
		}
		t.Repeat(actions)
	})
	require.Positive(t, yes)
}

func drawPredicateOrSoak(t *rapid.T, at time.Time) evidence.Predicate {
	if rapid.IntRange(0, 3).Draw(t, "soak") == 0 {
		return evidence.Soak{Application: "shop", Environment: "test", Since: at.Add(-time.Hour), Until: at}
	}
	return drawPredicate(t, at)
}

// Whatever is in a log, reading it does not fail but with an error, and what was read is written back the same.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"seq":1,"id":"x","at":"2026-05-04T12:00:00Z","event":"deployed","environment":"prod","set":"` + string(artifact.FromBytes(nil)) + `"}`))
	f.Add([]byte(`{"seq":0}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := promotion.ParseRecord(data)
		if err != nil {
			return
		}
		h := promotion.History{Records: []promotion.Record{r, r, {Event: promotion.RolledBack, Environment: r.Environment, Set: r.Set}}}
		h.State(r.Environment)
		h.LastGood(r.Environment)
		promotion.Eligible(aSet(1), prodEnv, h, noon)
	})
}
