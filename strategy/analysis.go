package strategy

import (
	"cmp"
	"errors"
	"fmt"
	"time"
)

// Unlimited is a limit that is never reached.
const Unlimited = -1

// Analysis asks the Judge again and again. The zero Analysis asks once, and
// anything but a pass fails it.
type Analysis struct {
	// Name says which analysis; the Judge knows it. Zero means "canary".
	Name string
	// Delay is how long to wait before the first measurement. Zero means none.
	Delay time.Duration
	// Interval is the time between two measurements. Zero means one minute.
	Interval time.Duration
	// Count is how many measurements are made. Zero means one, and for an analysis
	// in the background as many as there is time for, but at least one.
	Count int
	// FailureLimit, InconclusiveLimit and NoDataLimit are how many measurements in
	// all may end so. One more ends the analysis. Zero tolerates none. Unlimited
	// tolerates any number, but an analysis without a single pass has not passed.
	FailureLimit      int
	InconclusiveLimit int
	NoDataLimit       int
	// ErrorLimit is how many measurements in a row may fail or be cancelled; they
	// do not count as measurements. Zero means 4.
	ErrorLimit int
	// Undecided is how long the rollout stands still for a person to promote or to
	// abort it when the analysis is inconclusive or has no data; then it goes back.
	// Zero goes back at once, Forever waits.
	Undecided time.Duration
}

func (a Analysis) validate(field string) error {
	errs := []error{
		validSpan(field+".Delay", a.Delay),
		validSpan(field+".Interval", a.Interval),
		validSpan(field+".Undecided", a.Undecided),
	}
	if a.Count < 0 {
		errs = append(errs, fmt.Errorf("%s.Count: %d measurements", field, a.Count))
	}
	if a.Delay == Forever || a.Interval == Forever || a.Interval == Immediately {
		errs = append(errs, fmt.Errorf("%s.Delay, Interval: a measurement must come some time, and not without a pause", field))
	}
	for name, n := range map[string]int{"FailureLimit": a.FailureLimit, "InconclusiveLimit": a.InconclusiveLimit,
		"NoDataLimit": a.NoDataLimit, "ErrorLimit": a.ErrorLimit} {
		if n < Unlimited {
			errs = append(errs, fmt.Errorf("%s.%s: %d; use strategy.Unlimited for no limit", field, name, n))
		}
	}
	return errors.Join(errs...)
}

func (a Analysis) withDefaults(background bool) Analysis {
	a.Name = cmp.Or(a.Name, "canary")
	a.Delay = orSpan(a.Delay, 0)
	a.Interval = orSpan(a.Interval, time.Minute)
	a.ErrorLimit = cmp.Or(a.ErrorLimit, 4)
	a.Undecided = orSpan(a.Undecided, 0)
	if a.Count == 0 && !background {
		a.Count = 1
	}
	return a
}

// resolved is the analysis of a step with its defaults; nil if there is none.
func (a *Analysis) resolved() *Analysis {
	if a == nil {
		return nil
	}
	out := a.withDefaults(false)
	return &out
}

// limit is the bound of an analysis that may be missing.
func (a *Analysis) limit() time.Duration {
	if a == nil {
		return 0
	}
	return a.bound()
}

// bound is how long the analysis takes at most, Undecided included.
func (a Analysis) bound() time.Duration {
	if a.ErrorLimit == Unlimited {
		return Forever
	}
	const most = 1 << 16 // beyond it a product could overflow
	if a.Count > most || a.ErrorLimit > most {
		return Forever
	}
	each := sum(a.Interval, time.Duration(a.ErrorLimit)*(ErrorRetry+JudgeTimeout), JudgeTimeout)
	if a.Count > 0 && each > Forever/time.Duration(a.Count) {
		return Forever
	}
	return sum(a.Delay, a.Undecided, time.Duration(a.Count)*each)
}

// Run is an Analysis that has begun, in the journal.
type Run struct {
	Name         string    `json:"name"` // "step 2", or "background"
	Since        time.Time `json:"since"`
	Due          time.Time `json:"due"` // of the next measurement
	Passed       int       `json:"passed,omitempty"`
	Failed       int       `json:"failed,omitempty"`
	Inconclusive int       `json:"inconclusive,omitempty"`
	NoData       int       `json:"noData,omitempty"`
	Errors       int       `json:"errors,omitempty"` // in a row
	Last         Verdict   `json:"last,omitzero"`
	// Judgement is how it ended; empty while it goes on.
	Judgement Judgement `json:"judgement,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Ended     time.Time `json:"ended,omitzero"`
	// Accepted says that a person has promoted the rollout although the analysis
	// did not decide.
	Accepted bool `json:"accepted,omitempty"`
}

// Measured is the number of measurements so far.
func (r Run) Measured() int { return r.Passed + r.Failed + r.Inconclusive + r.NoData }

// record takes one measurement into the run.
func (r *Run) record(a Analysis, v Verdict, err error, now time.Time) {
	const most = 500
	if len(v.Reason) > most {
		v.Reason = v.Reason[:most]
	}
	r.Due = now.Add(a.Interval)
	if err != nil {
		v = Verdict{Judgement: Cancelled, Reason: "not measured: " + err.Error()}
	}
	r.Last = v
	switch v.Judgement {
	case Pass:
		r.Passed++
	case Fail:
		r.Failed++
	case Inconclusive:
		r.Inconclusive++
	case NoData:
		r.NoData++
	default:
		r.Errors++
		r.Due = now.Add(ErrorRetry)
		r.judge(a, now)
		return
	}
	r.Errors = 0
	r.judge(a, now)
}

// judge ends the run if its measurements decide it.
func (r *Run) judge(a Analysis, now time.Time) {
	over := func(n, limit int) bool { return limit != Unlimited && n > limit }
	end := func(j Judgement, format string, args ...any) {
		r.Judgement, r.Reason, r.Ended = j, fmt.Sprintf(format, args...), now
		if r.Last.Reason != "" {
			r.Reason += ": " + r.Last.Reason
		}
	}
	switch {
	case over(r.Failed, a.FailureLimit):
		end(Fail, "%d of %d measurements failed", r.Failed, r.Measured())
	case over(r.Errors, a.ErrorLimit):
		end(Cancelled, "%d measurements in a row came to nothing", r.Errors)
	case over(r.Inconclusive, a.InconclusiveLimit):
		end(Inconclusive, "%d of %d measurements did not decide", r.Inconclusive, r.Measured())
	case over(r.NoData, a.NoDataLimit):
		end(NoData, "%d of %d measurements had no data", r.NoData, r.Measured())
	case a.Count > 0 && r.Measured() >= a.Count:
		r.conclude(now)
	}
}

// conclude ends a run that has been within its limits: with a pass if there was
// any, and else by what there was instead.
func (r *Run) conclude(now time.Time) {
	r.Ended = now
	switch {
	case r.Passed > 0:
		r.Judgement, r.Reason = Pass, fmt.Sprintf("%d of %d measurements passed", r.Passed, r.Measured())
	case r.Failed > 0:
		r.Judgement, r.Reason = Fail, "no measurement passed"
	case r.Inconclusive > 0:
		r.Judgement, r.Reason = Inconclusive, "no measurement decided"
	default:
		r.Judgement, r.Reason = NoData, "nothing was measured"
	}
}
