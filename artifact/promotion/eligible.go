package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// Eligible says whether a set may enter an environment, given what is known, at a time. It is the only place where that is
// decided. It is pure: no clock, no input or output, and the same answer to the same question.
func Eligible(set artifact.Set, env Environment, h History, now time.Time) Verdict {
	q := &question{set: set, id: set.Digest(), env: env, h: h, now: now, used: map[artifact.Digest]bool{}}
	q.here = h.place(env.Name)
	q.gather()
	if set.IsZero() {
		q.missing(RuleProvenance, "the set is empty")
	}
	q.denials()
	q.provenance()
	q.tests()
	q.canaries()
	q.upstream()
	q.approvals()
	q.holds()
	q.automation()
	v := Verdict{Environment: env.Name, Set: q.id, At: now, Reasons: q.reasons, Approvers: q.approvers, Refused: q.refused}
	for _, r := range h.Refused {
		v.Refused = append(v.Refused, r.Error())
	}
	for d := range q.used {
		v.Evidence = append(v.Evidence, d)
	}
	slices.Sort(v.Evidence)
	return v
}

// Returnable says whether an environment may go back to a set: whether it is the last one that was verified good there, as
// [History.LastGood] has it. Neither holds nor the queue of promotions stand in the way of a rollback, and the evidence was
// asked for when the set entered first.
func Returnable(set artifact.Set, env Environment, h History, now time.Time) Verdict {
	v := Verdict{Environment: env.Name, Set: set.Digest(), At: now}
	good, found := h.LastGood(env.Name)
	switch {
	case !found:
		v.Reasons = []Reason{{Rule: RuleRollback, Text: "no other set was verified good in " + env.Name}}
	case good != v.Set:
		v.Reasons = []Reason{{Rule: RuleRollback, Text: fmt.Sprintf("the last set that was verified good in %s is %s", env.Name, good.Short())}}
	}
	return v
}

type question struct {
	set       artifact.Set
	id        artifact.Digest
	env       Environment
	h         History
	now       time.Time
	here      *place
	evidence  []evidence.Verified // about the set, and not about another application
	refused   []string
	reasons   []Reason
	used      map[artifact.Digest]bool
	approvers []string
}

func (q *question) missing(rule Rule, format string, args ...any) {
	q.reasons = append(q.reasons, Reason{Rule: rule, Text: fmt.Sprintf(format, args...)})
}

func (q *question) until(rule Rule, t time.Time, format string, args ...any) {
	q.reasons = append(q.reasons, Reason{Rule: rule, Text: fmt.Sprintf(format, args...), Until: t})
}

// gather takes the evidence that may count. What was said of a place of another application was not said of this one, also
// when the set is the same and the environments have the same name.
func (q *question) gather() {
	for _, e := range q.h.Evidence {
		if e.Set() != q.id {
			continue
		}
		if app := evidence.ApplicationOf(e.Predicate()); app != "" && app != q.h.Application {
			other := evidence.Error{Evidence: e.Digest(), Err: evidence.ErrOtherSubject, Detail: fmt.Sprintf("application %q, and not %q", app, q.h.Application)}
			q.refused = append(q.refused, other.Error())
			continue
		}
		q.evidence = append(q.evidence, e)
	}
}

// whole yields the evidence about the set as a whole.
func (q *question) whole(yield func(evidence.Verified) bool) {
	for _, e := range q.evidence {
		if e.Whole() && !yield(e) {
			return
		}
	}
}

func (q *question) provenance() {
	if len(q.env.Rules.Builders) == 0 {
		return
	}
	for a := range q.set.All() {
		if a.Kind != artifact.KindImage && a.Kind != artifact.KindChart && a.Kind != artifact.KindManifests {
			continue
		}
		built := false
		for _, e := range q.evidence {
			p, ok := e.Predicate().(evidence.Provenance)
			if ok && e.Covers(a.Digest) && slices.Contains(q.env.Rules.Builders, p.RunDetails.Builder.ID) {
				q.used[e.Digest()], built = true, true
			}
		}
		if !built {
			q.missing(RuleProvenance, "missing provenance of %s %s by %s", a.Kind, a.Name, strings.Join(q.env.Rules.Builders, " or "))
		}
	}
}

// word is what somebody or something said about the set, for or against it.
type word struct {
	at     time.Time
	denies bool
	ever   bool // it cannot be outdated, as it does not say when it was said
	text   string
	from   artifact.Digest
}

// outweighs reports whether w counts and not o: the newer word does, and of two at the same time the denial.
func (w word) outweighs(o word) bool {
	switch {
	case w.ever != o.ever:
		return w.ever
	case !w.at.Equal(o.at):
		return w.at.After(o.at)
	}
	return w.denies && !o.denies
}

// last returns the word that counts: that of support which is dated in the future does not yet. next is when it will.
func (q *question) last(words []word) (last word, found bool, next time.Time) {
	for _, w := range words {
		switch {
		case !w.denies && w.at.After(q.now):
			if next.IsZero() || w.at.Before(next) {
				next = w.at
			}
		case !found || w.outweighs(last):
			last, found = w, true
		}
	}
	return last, found, next
}

// demand adds a reason unless the word that counts supports the set.
func (q *question) demand(rule Rule, what string, words []word) {
	last, found, next := q.last(words)
	switch {
	case found && !last.denies:
		q.used[last.from] = true
	case !next.IsZero() && !(found && (last.ever || !next.After(last.at))):
		q.until(rule, next, "%s: its evidence is dated in the future, %s", what, stamp(next))
	case found:
		q.missing(rule, "%s: %s", what, last.text)
	default:
		q.missing(rule, "missing %s evidence", what)
	}
}

func (q *question) tests() {
	for _, suite := range q.env.Rules.Tests {
		var words []word
		for e := range q.whole {
			if t, ok := e.Predicate().(evidence.TestResult); ok && t.Suite() == suite {
				at := t.Finished()
				words = append(words, word{at: at, denies: Denies(e), ever: Denies(e) && at.IsZero(), text: "it failed", from: e.Digest()})
			}
		}
		q.demand(RuleTest, "test "+suite, words)
	}
}

func (q *question) canaries() {
	for _, env := range q.env.Rules.Canaries {
		var words []word
		for e := range q.whole {
			if c, ok := e.Predicate().(evidence.Canary); ok && c.Environment == env {
				words = append(words, word{at: c.At, denies: Denies(e), text: strings.TrimSuffix(c.Outcome+": "+c.Reason, ": "), from: e.Digest()})
			}
		}
		q.demand(RuleCanary, "canary in "+env, words)
	}
}

func (q *question) upstream() {
	var all [][]Reason
	for _, u := range q.env.Rules.From {
		before := len(q.reasons)
		q.from(u)
		all = append(all, slices.Clone(q.reasons[before:]))
		if q.env.Rules.AnyFrom {
			q.reasons = q.reasons[:before]
		}
	}
	if q.env.Rules.AnyFrom && len(all) > 0 && !slices.ContainsFunc(all, func(r []Reason) bool { return len(r) == 0 }) {
		q.anyOf(all)
	}
}

// anyOf makes one reason of what is missing in each of several environments, of which one would do.
func (q *question) anyOf(all [][]Reason) {
	var texts []string
	var earliest time.Time
	rule := RuleUpstream
	for _, reasons := range all {
		texts = append(texts, reasons[0].Text)
		if u := reasons[0].Until; !u.IsZero() && (earliest.IsZero() || u.Before(earliest)) {
			earliest, rule = u, RuleSoak
		}
	}
	q.until(rule, earliest, "%s", strings.Join(texts, ", or "))
}

// from asks whether the set was verified good in another environment, and has soaked there. Signed statements of soak count
// like the ledger's own time, but only where the set is good, and not for a time before it was demoted there.
func (q *question) from(u Upstream) {
	p := q.h.place(u.Environment)
	if !p.good(q.id) {
		if why, ok := p.failed[q.id]; ok {
			q.missing(RuleUpstream, "not good in %s: %s", u.Environment, orElse(why.Reason, string(why.Event)))
		} else {
			q.missing(RuleUpstream, "not verified in %s", u.Environment)
		}
		return
	}
	soaked := p.soak(q.id, q.now)
	for e := range q.whole {
		if s, ok := e.Predicate().(evidence.Soak); ok && s.Environment == u.Environment && !s.Until.After(q.now) && !s.Since.Before(p.lost[q.id]) {
			if d := s.Until.Sub(s.Since); d > soaked || d >= u.Soak && u.Soak > 0 {
				soaked = max(soaked, d)
				q.used[e.Digest()] = true
			}
		}
	}
	full := p.state.Verified.Add(u.Soak)
	switch {
	case soaked >= u.Soak:
	case p.runs(q.id):
		q.until(RuleSoak, full, "soak: %s left in %s", brief(full.Sub(q.now)), u.Environment)
	default:
		q.missing(RuleSoak, "soak: %s left in %s, where it does not run any more", brief(u.Soak-soaked), u.Environment)
	}
}

func (q *question) holds() {
	for _, r := range q.here.state.Holds {
		if !r.inForce(q.now) {
			continue
		}
		text := fmt.Sprintf("held by %s since %s", orElse(r.By, "a rollback"), stamp(r.At))
		if r.Reason != "" {
			text += ": " + r.Reason
		}
		q.reasons = append(q.reasons, Reason{Rule: RuleHold, Text: text, Automation: !r.Everyone, Until: r.Until})
	}
}

// automation asks what people may decide otherwise.
func (q *question) automation() {
	no := func(format string, args ...any) {
		q.reasons = append(q.reasons, Reason{Rule: RuleAutomatic, Text: fmt.Sprintf(format, args...), Automation: true})
	}
	if !q.env.Rules.Automatic {
		no("%s is promoted to by people", q.env.Name)
	}
	if q.here.state.Set == q.id {
		no("it runs in %s already", q.env.Name)
	}
	if why, ok := q.here.failed[q.id]; ok {
		no("it has failed in %s before: %s", q.env.Name, orElse(why.Reason, string(why.Event)))
	}
	mine, known := q.h.age(q.id)
	theirs, other := q.h.age(q.here.state.Set)
	switch {
	case !known:
		no("it is no candidate")
	case other && mine < theirs:
		no("it is older than what runs in %s", q.env.Name)
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

// brief rounds a time that is left up, so that it never says that none is.
func brief(d time.Duration) string {
	unit := time.Second
	if d > time.Hour {
		unit = time.Minute
	}
	return ((d + unit - 1) / unit * unit).String()
}
