package pipeline

import (
	"errors"
	"fmt"
	"time"
)

// freeze is a Freeze as two instants; to is zero if it has no end.
type freeze struct {
	from, to time.Time
	why      string
}

func (f Freeze) compile() (freeze, error) {
	c := freeze{why: "frozen"}
	if f.Reason != "" {
		c.why += ": " + f.Reason
	}
	loc, zoneErr := zone(f.Zone)
	from, _, err := date("from", f.From)
	to, whole, toErr := from, false, error(nil)
	if f.To != "" {
		to, whole, toErr = date("to", f.To)
	}
	if err := errors.Join(zoneErr, err, toErr); err != nil {
		return c, err
	}
	if whole {
		to = to.AddDate(0, 0, 1)
	}
	if f.To != "" && !to.After(from) {
		return c, fmt.Errorf("from %q to %q is no time at all", f.From, f.To)
	}
	c.from, _ = instants(from, loc)
	if f.To != "" {
		_, c.to = instants(to, loc)
	}
	return c, nil
}

func (f freeze) holds(t time.Time) bool {
	return !t.Before(f.from) && (f.to.IsZero() || t.Before(f.to))
}

// date reads what a clock shows, as if in UTC. It reports whether it is a whole day.
func date(what, s string) (t time.Time, whole bool, err error) {
	if t, err = time.Parse(time.DateOnly, s); err == nil {
		return t, true, nil
	}
	if t, err = time.Parse("2006-01-02T15:04", s); err != nil {
		return t, false, fmt.Errorf("%s: %q is no date; want one such as \"2026-12-24\" or \"2026-12-24T18:00\"", what, s)
	}
	return t, false, nil
}

// instants returns the first and the last instant at which the clock of loc shows
// wall, which is given as if in UTC. If it never does, because the clock was set
// forward past it, both are the moment of that change.
func instants(wall time.Time, loc *time.Location) (first, last time.Time) {
	// No zone is further than a day from UTC, so the instant is within this span.
	for t, end := wall.Add(-26*time.Hour).In(loc), wall.Add(26*time.Hour); t.Before(end); {
		_, offset := t.Zone()
		_, until := t.ZoneBounds()
		at := wall.Add(-time.Duration(offset) * time.Second)
		switch {
		case at.Before(t) && first.IsZero(): // the clock has jumped past it
			first, last = t, t
		case !at.Before(t) && (until.IsZero() || at.Before(until)):
			if first.IsZero() {
				first = at
			}
			last = at
		}
		if until.IsZero() {
			break
		}
		t = until.In(loc)
	}
	return first.UTC(), last.UTC()
}
