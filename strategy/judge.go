package strategy

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Judge is the seam to analysis: it measures once how the new version does. It
// asks a metrics server, a statistics service or a person's own code, writes
// nothing, and may be asked the same question again after a crash.
//
// An error means that nothing could be measured; it is asked again after
// ErrorRetry and does not count as a measurement. The context ends after
// JudgeTimeout.
type Judge interface {
	Judge(ctx context.Context, q Question) (Verdict, error)
}

// JudgeFunc makes a Judge of a function.
type JudgeFunc func(ctx context.Context, q Question) (Verdict, error)

// Judge calls f.
func (f JudgeFunc) Judge(ctx context.Context, q Question) (Verdict, error) { return f(ctx, q) }

// Judges chooses a Judge by the name of the analysis. A name that is not among
// them is a permanent error.
type Judges map[string]Judge

// Judge implements Judge.
func (js Judges) Judge(ctx context.Context, q Question) (Verdict, error) {
	if j := js[q.Analysis]; j != nil {
		return j.Judge(ctx, q)
	}
	return Verdict{}, &unknownAnalysis{q.Analysis}
}

type unknownAnalysis struct{ name string }

func (e *unknownAnalysis) Error() string {
	return fmt.Sprintf("analysis %q: no judge has this name; add it to strategy.Judges", e.name)
}

func (e *unknownAnalysis) Permanent() bool { return true }

// How a Judge is asked.
const (
	JudgeTimeout = 30 * time.Second // for one measurement
	ErrorRetry   = 10 * time.Second // after a measurement that failed
)

// Question is what a Judge is asked. Key, Run and Number identify it.
type Question struct {
	Key      string `json:"key"`      // Release.Key
	Analysis string `json:"analysis"` // Analysis.Name
	Run      string `json:"run"`      // "step 2", or "background"
	Number   int    `json:"number"`   // of the measurement within the run, from 1

	Canary string `json:"canary"` // the new version
	Stable string `json:"stable"` // the one that serves
	// Baseline is what the canary is to be compared with: fresh pods of the old
	// version if the Canary asks for them (see CopyOf), and else Stable.
	Baseline string    `json:"baseline"`
	Weight   int       `json:"weight"` // percent of the traffic at the canary
	Since    time.Time `json:"since"`  // when the run began
	At       time.Time `json:"at"`     // now; measure up to here
}

// Judgement is what a Judge found.
type Judgement string

// The judgements. Only Pass lets a rollout go on: no data is no proof, and a
// measurement that was cut short is none either.
const (
	Pass         Judgement = "pass"
	Fail         Judgement = "fail"
	Inconclusive Judgement = "inconclusive" // there is data and it does not decide
	NoData       Judgement = "no data"
	Cancelled    Judgement = "cancelled" // the measurement, or a whole run, was cut short
)

// Verdict is a judgement with its reason.
type Verdict struct {
	Judgement Judgement `json:"judgement"`
	Reason    string    `json:"reason,omitempty"` // for people; the first 500 bytes are kept
}

func (v Verdict) valid() error {
	if !slices.Contains([]Judgement{Pass, Fail, Inconclusive, NoData, Cancelled}, v.Judgement) {
		return fmt.Errorf("judgement %q: want pass, fail, inconclusive, no data or cancelled", v.Judgement)
	}
	return nil
}
