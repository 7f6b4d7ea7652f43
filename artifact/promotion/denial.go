package promotion

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// Denies reports whether evidence speaks against its set: a test or a canary that did not pass, a rejection. All other
// evidence supports its set or does not matter.
func Denies(e evidence.Verified) bool {
	switch p := e.Predicate().(type) {
	case evidence.TestResult:
		return p.Result == evidence.Failed
	case evidence.Canary:
		return p.Outcome != "pass"
	case evidence.Approval:
		return !p.Approved
	}
	return false
}

// denials asks for every piece of evidence that is on record against the set. What cannot be read any more is not known to be
// outdated or about another place, so it keeps the set out: nobody gets a set in by damaging what speaks against it.
func (q *question) denials() {
	for _, r := range q.h.Records {
		if r.Event != Denied || r.Set != q.id {
			continue
		}
		for _, d := range r.Evidence {
			if !slices.ContainsFunc(q.h.Evidence, func(e evidence.Verified) bool { return e.Set() == q.id && e.Digest() == d }) {
				q.missing(RuleDenial, "evidence %s, signed by %s, speaks against the set by record %d of the ledger and %s", d, orElse(r.By, "somebody"), r.Seq, q.h.lost(d))
			}
		}
	}
}

// lost says what has become of evidence that is on record, and what to do.
func (h History) lost(d artifact.Digest) string {
	i := slices.IndexFunc(h.Refused, func(e *evidence.Error) bool { return e.Evidence == d })
	if i < 0 {
		return "is missing: restore it in the store, or attest the same again"
	}
	why := h.Refused[i]
	remedy := "restore it in the store, or attest the same again"
	if errors.Is(why, evidence.ErrForeign) || errors.Is(why, evidence.ErrNotAllowed) {
		remedy = "let Config.Trust trust its signer for what was signed"
	}
	return fmt.Sprintf("cannot be verified any more (%s): %s", why.Err, remedy)
}
