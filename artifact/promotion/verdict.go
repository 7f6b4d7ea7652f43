package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact"
)

// Rule names what a reason is about.
type Rule string

// The rules.
const (
	RuleProvenance Rule = "provenance"
	RuleTest       Rule = "test"
	RuleCanary     Rule = "canary"
	RuleUpstream   Rule = "upstream"
	RuleSoak       Rule = "soak"
	RuleApproval   Rule = "approval"
	RuleHold       Rule = "hold"
	RuleAutomatic  Rule = "automatic"
	RuleRollback   Rule = "rollback"
	RuleSet        Rule = "set"    // the set is damaged in the store
	RuleDenial     Rule = "denial" // what is on record against the set cannot be read any more
)

// A Reason is one thing that stands in the way.
type Reason struct {
	Rule Rule   `json:"rule"`
	Text string `json:"text"` // for people, such as "soak: 42m0s left in test"
	// Automation tells that people may promote all the same.
	Automation bool `json:"automation,omitempty"`
	// Until is when the reason goes away if nothing else happens; zero if it does not.
	Until time.Time `json:"until,omitzero"`
}

// A Verdict is the answer to whether a set may enter an environment.
type Verdict struct {
	Environment string          `json:"environment"`
	Set         artifact.Digest `json:"set"`
	At          time.Time       `json:"at"`
	Reasons     []Reason        `json:"reasons,omitempty"`
	// Evidence is what the verdict rests on, in the order of digests.
	Evidence []artifact.Digest `json:"evidence,omitempty"`
	// Approvers are the people who have approved.
	Approvers []string `json:"approvers,omitempty"`
	// Refused says which evidence about the set, or about another application, was not considered, and why.
	Refused []string `json:"refused,omitempty"`
}

// Eligible reports whether a person may let the set enter.
func (v Verdict) Eligible() bool {
	return !slices.ContainsFunc(v.Reasons, func(r Reason) bool { return !r.Automation })
}

// Automatic reports whether automation may.
func (v Verdict) Automatic() bool { return len(v.Reasons) == 0 }

// allows reports whether whoever asks may let the set enter.
func (v Verdict) allows(automatic bool) bool {
	if automatic {
		return v.Automatic()
	}
	return v.Eligible()
}

// Until returns when the set may enter if nothing else happens, or false if time alone will not do. For automation every reason
// counts; for people (false) those do that are not automation's only. The zero time and true mean that it may enter now.
func (v Verdict) Until(automatic bool) (time.Time, bool) {
	var latest time.Time
	for _, r := range v.Reasons {
		switch {
		case r.Automation && !automatic:
		case r.Until.IsZero():
			return time.Time{}, false
		case r.Until.After(latest):
			latest = r.Until
		}
	}
	return latest, true
}

// String returns the reasons on one line, "eligible" if there are none. With reasons it tells of evidence that was refused, as the
// lack of it may be one.
func (v Verdict) String() string {
	text := v.reasons()
	switch n := len(v.Refused); {
	case n == 0 || len(v.Reasons) == 0:
	case n == 1:
		text += " (1 refused: " + v.Refused[0] + ")"
	default:
		text += fmt.Sprintf(" (%d refused, the first: %s)", n, v.Refused[0])
	}
	return text
}

func (v Verdict) reasons() string {
	var all []string
	for _, r := range v.Reasons {
		text := r.Text
		if r.Automation {
			text += " (automation only)"
		}
		all = append(all, text)
	}
	if len(all) == 0 {
		return "eligible"
	}
	return strings.Join(all, "; ")
}

// NotEligibleError says that a set may not enter an environment, and why.
type NotEligibleError struct{ Verdict Verdict }

func (e *NotEligibleError) Error() string {
	return fmt.Sprintf("set %s may not enter %q: %s", e.Verdict.Set.Short(), e.Verdict.Environment, e.Verdict)
}
