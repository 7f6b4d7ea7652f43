package promotion

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact/evidence"
)

func (q *question) approvals() {
	want := q.env.Rules.Approvals
	words := map[string][]word{}
	for e := range q.whole {
		a, ok := e.Predicate().(evidence.Approval)
		if !ok || a.Environment != q.env.Name || !q.env.Rules.heeds(a) {
			continue
		}
		person := onePerson(words, a.Approver)
		words[person] = append(words[person], word{at: a.At, denies: Denies(e), text: a.Reason, from: e.Digest()})
	}
	var future []time.Time
	for _, person := range slices.Sorted(maps.Keys(words)) {
		last, found, next := q.last(words[person])
		switch {
		case found && !last.denies:
			q.approvers = append(q.approvers, person)
			q.used[last.from] = true
		case found && want > 0:
			q.missing(RuleApproval, "rejected by %s", strings.TrimSuffix(person+": "+last.text, ": "))
		case !next.IsZero():
			future = append(future, next)
		}
	}
	if got := len(q.approvers); got < want {
		slices.SortFunc(future, time.Time.Compare)
		var when time.Time
		if got+len(future) >= want {
			when = future[want-got-1]
		}
		q.until(RuleApproval, when, "approvals: %d of %d", got, want)
	}
}

// heeds reports whether an approver's word counts. To approve, the name must be the very one: where names differ in letter case
// there may be two accounts, and only one is meant. To reject, a similar name does.
func (r Rules) heeds(a evidence.Approval) bool {
	return len(r.Approvers) == 0 || slices.Contains(r.Approvers, a.Approver) ||
		!a.Approved && slices.ContainsFunc(r.Approvers, func(n string) bool { return samePerson(n, a.Approver) })
}

// samePerson reports whether two names are one person's: who is spelt in another case, or with spaces around, is.
func samePerson(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// onePerson returns the name under which somebody is known already, so that nobody counts twice.
func onePerson[T any](known map[string]T, name string) string {
	name = strings.TrimSpace(name)
	for other := range known {
		if samePerson(other, name) {
			return other
		}
	}
	return name
}
