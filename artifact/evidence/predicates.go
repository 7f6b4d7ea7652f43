package evidence

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Types of the predicates that [Open] decodes. Those of this package are below its own address.
const (
	TypeProvenance = "https://slsa.dev/provenance/v1"
	TypeSummary    = "https://slsa.dev/verification_summary/v1"
	TypeTestResult = "https://in-toto.io/attestation/test-result/v0.1"
	TypeSoak       = "https://github.com/gennaker/gennaker/artifact/evidence/soak/v1"
	TypeApproval   = "https://github.com/gennaker/gennaker/artifact/evidence/approval/v1"
	TypeCanary     = "https://github.com/gennaker/gennaker/artifact/evidence/canary/v1"
)

// Results of a [TestResult] and a [Summary].
const (
	Passed = "PASSED"
	Warned = "WARNED" // passed, with warnings
	Failed = "FAILED"
)

// TestResult is in-toto's test-result predicate: one run of a test suite.
type TestResult struct {
	Result string `json:"result"` // Passed, Warned or Failed
	// Configuration is what was run. The name of the first entry is the name of the suite, which rules ask for; its annotation
	// "finishedOn" is when the run ended, in RFC 3339, and "application" and "environment" are where it ran, if that matters.
	// [NewTestResult] and [TestResult.In] fill it in. [About] wants the time. Other tools may sign results without one, as in-toto
	// does not ask for it; [Open] accepts those, and for promotions such a pass is older than all others, and such a failure
	// is never outdated.
	Configuration []Resource `json:"configuration"`
	URL           string     `json:"url,omitempty"`
	PassedTests   []string   `json:"passedTests,omitempty"`
	WarnedTests   []string   `json:"warnedTests,omitempty"`
	FailedTests   []string   `json:"failedTests,omitempty"`
}

// The annotations of a test result's configuration.
const (
	finishedOn    = "finishedOn"
	inApplication = "application"
	inEnvironment = "environment"
)

// NewTestResult returns the result of a suite's run that ended at a time, which must not be zero.
func NewTestResult(suite, result string, at time.Time) TestResult {
	return TestResult{Result: result, Configuration: []Resource{{
		Name: suite, Annotations: map[string]string{finishedOn: at.UTC().Format(time.RFC3339Nano)},
	}}}
}

// In returns the result as that of a run against an environment of an application, for which alone it counts. Without it, a
// result is about the set wherever it runs, as that of a unit test is.
func (t TestResult) In(application, environment string) TestResult {
	t.Configuration = slices.Clone(t.Configuration)
	if len(t.Configuration) == 0 {
		t.Configuration = []Resource{{}}
	}
	notes := maps.Clone(t.Configuration[0].Annotations)
	if notes == nil {
		notes = map[string]string{}
	}
	notes[inApplication], notes[inEnvironment] = application, environment
	t.Configuration[0].Annotations = notes
	return t
}

// Type implements [Predicate].
func (TestResult) Type() string { return TypeTestResult }

// Validate implements [Predicate].
func (t TestResult) Validate() error {
	switch {
	case t.Result != Passed && t.Result != Warned && t.Result != Failed:
		return fmt.Errorf("test result %q; want PASSED, WARNED or FAILED", clip(t.Result))
	case t.Suite() == "":
		return errors.New("test result whose configuration names no suite")
	}
	return nil
}

// Suite returns the name of the suite.
func (t TestResult) Suite() string {
	if len(t.Configuration) == 0 {
		return ""
	}
	return t.Configuration[0].Name
}

// Application returns the application that was tested, or "" if the statement names none.
func (t TestResult) Application() string { return t.annotation(inApplication) }

// Environment returns the environment in which it was tested, or "" if the statement names none.
func (t TestResult) Environment() string { return t.annotation(inEnvironment) }

func (t TestResult) annotation(name string) string {
	if len(t.Configuration) == 0 {
		return ""
	}
	return t.Configuration[0].Annotations[name]
}

// Finished returns when the run ended, or the zero time if the statement does not say it.
func (t TestResult) Finished() time.Time {
	at, err := time.Parse(time.RFC3339Nano, t.annotation(finishedOn))
	if err != nil {
		return time.Time{}
	}
	return at
}

// Soak says that a set ran in an environment of an application, verified, without interruption.
type Soak struct {
	Application string    `json:"application"`
	Environment string    `json:"environment"`
	Since       time.Time `json:"since"`
	Until       time.Time `json:"until"`
}

// Type implements [Predicate].
func (Soak) Type() string { return TypeSoak }

// Validate implements [Predicate].
func (s Soak) Validate() error {
	if err := lacks("soak", field{"Application", s.Application == ""}, field{"Environment", s.Environment == ""}); err != nil {
		return err
	}
	if s.Since.IsZero() || s.Until.Before(s.Since) {
		return errors.New("soak that does not end after it has begun")
	}
	return nil
}

// Approval is one person's decision about a set and an environment of an application.
type Approval struct {
	Application string    `json:"application"`
	Environment string    `json:"environment"`
	Approver    string    `json:"approver"`
	Approved    bool      `json:"approved"` // false is a rejection
	Reason      string    `json:"reason,omitempty"`
	At          time.Time `json:"at"`
	// Execution is the pipeline execution in which the decision was made, if it was.
	Execution string `json:"execution,omitempty"`
}

// Type implements [Predicate].
func (Approval) Type() string { return TypeApproval }

// Validate implements [Predicate].
func (a Approval) Validate() error {
	return lacks("approval", field{"Application", a.Application == ""}, field{"Environment", a.Environment == ""},
		field{"Approver", a.Approver == ""}, field{"At", a.At.IsZero()})
}

// Canary is what the analysis of a canary in an environment of an application found.
type Canary struct {
	Application string             `json:"application"`
	Environment string             `json:"environment"`
	Outcome     string             `json:"outcome"` // "pass", "fail", "inconclusive", "no data" or "cancelled"; only the first speaks for the set
	Reason      string             `json:"reason,omitempty"`
	Metrics     map[string]float64 `json:"metrics,omitempty"`
	At          time.Time          `json:"at"`
}

// Type implements [Predicate].
func (Canary) Type() string { return TypeCanary }

// Validate implements [Predicate].
func (c Canary) Validate() error {
	if err := lacks("canary verdict", field{"Application", c.Application == ""}, field{"Environment", c.Environment == ""}, field{"At", c.At.IsZero()}); err != nil {
		return err
	}
	if !slices.Contains([]string{"pass", "fail", "inconclusive", "no data", "cancelled"}, c.Outcome) {
		return fmt.Errorf("canary outcome %q; want \"pass\", \"fail\", \"inconclusive\", \"no data\" or \"cancelled\"", clip(c.Outcome))
	}
	return nil
}

// field is a required one.
type field struct {
	name string
	none bool
}

// lacks names the required fields that are empty.
func lacks(what string, fields ...field) error {
	var names []string
	for _, f := range fields {
		if f.none {
			names = append(names, f.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%s without %s", what, strings.Join(names, ", "))
}

// ApplicationOf returns the application that a claim is about, or "" for a claim about the content itself, which is true for
// every application that has it: who has built it, or what its unit tests found.
func ApplicationOf(p Predicate) string {
	switch p := p.(type) {
	case Soak:
		return p.Application
	case Approval:
		return p.Application
	case Canary:
		return p.Application
	case TestResult:
		return p.Application()
	}
	return ""
}

// parsePredicate decodes the predicates of this package. Others are nil: they are verified, but nothing reads them.
func parsePredicate(s Statement) (Predicate, error) {
	switch s.PredicateType {
	case TypeProvenance:
		return predicate[Provenance](s.Predicate)
	case TypeSummary:
		return predicate[Summary](s.Predicate)
	case TypeTestResult:
		return predicate[TestResult](s.Predicate)
	case TypeSoak:
		return predicate[Soak](s.Predicate)
	case TypeApproval:
		return predicate[Approval](s.Predicate)
	case TypeCanary:
		return predicate[Canary](s.Predicate)
	}
	return nil, nil
}

func predicate[P Predicate](raw json.RawMessage) (Predicate, error) {
	var p P
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, malformed("predicate %s: %v", p.Type(), err)
	}
	if err := p.Validate(); err != nil {
		return nil, malformed("predicate %s: %v", p.Type(), err)
	}
	return p, nil
}
