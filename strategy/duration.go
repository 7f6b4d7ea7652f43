package strategy

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// Durations with a meaning of their own, for the fields that document them. A
// zero duration always means "the default of the field".
const (
	// Immediately is an explicit "no time at all".
	Immediately time.Duration = -1
	// Forever is an explicit "no end": kept until somebody removes it, paused
	// until it is promoted, without a deadline.
	Forever time.Duration = math.MaxInt64
)

// span is a duration in a recorded configuration: "1h30m0s", "immediately", "forever".
type span time.Duration

func (s span) MarshalJSON() ([]byte, error) {
	switch time.Duration(s) {
	case Immediately:
		return []byte(`"immediately"`), nil
	case Forever:
		return []byte(`"forever"`), nil
	default:
		return json.Marshal(time.Duration(s).String())
	}
}

func (s *span) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return fmt.Errorf(`duration %s: want a string such as "90s", "immediately" or "forever"`, b)
	}
	switch text {
	case "immediately":
		*s = span(Immediately)
	case "forever":
		*s = span(Forever)
	default:
		d, err := time.ParseDuration(text)
		if err != nil {
			return fmt.Errorf(`duration %q: want "90s", "immediately" or "forever"`, text)
		}
		*s = span(d)
	}
	return nil
}

func validSpan(field string, d time.Duration) error {
	if d < 0 && d != Immediately {
		return fmt.Errorf("%s: %s is negative; use strategy.Immediately for no time at all", field, d)
	}
	return nil
}

// orSpan resolves the zero value to a default and Immediately to no time.
func orSpan(d, def time.Duration) time.Duration {
	switch d {
	case 0:
		return def
	case Immediately:
		return 0
	default:
		return d
	}
}

// after adds without overflow; the zero time means never.
func after(t time.Time, d time.Duration) time.Time {
	if d == Forever {
		return time.Time{}
	}
	return t.Add(d)
}

// past reports whether d has gone by since t.
func past(t time.Time, d time.Duration, now time.Time) bool {
	return d != Forever && !now.Before(t.Add(d))
}
