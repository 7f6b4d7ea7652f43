package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const day = 24 * 60 * 60 // in seconds

// hours are Hours with their zone loaded.
type hours struct {
	days     []time.Weekday
	from, to int // seconds of the day on the clock
	loc      *time.Location
	name     string
}

func (h Hours) compile() (hours, error) {
	c := hours{days: h.Days, to: day}
	var errs [3]error
	if h.From != "" {
		c.from, errs[0] = clock("from", h.From)
	}
	if h.To != "" {
		c.to, errs[1] = clock("to", h.To)
	}
	c.loc, errs[2] = zone(h.Zone)
	if err := errors.Join(errs[:]...); err != nil {
		return c, err
	}
	if c.from == c.to || c.from == day {
		return c, fmt.Errorf("from %q to %q is no time at all", h.From, h.To)
	}
	for k, d := range h.Days {
		if d < time.Sunday || d > time.Saturday || slices.Contains(h.Days[:k], d) {
			return c, fmt.Errorf("day %d is no weekday or is given twice", d)
		}
	}
	c.name = h.String()
	return c, nil
}

// clock reads "15:04", to seconds of the day; "24:00" is its end.
func clock(what, s string) (int, error) {
	if s == "24:00" {
		return day, nil
	}
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return 0, fmt.Errorf("%s: %q is no time of the day; want one such as \"09:30\"", what, s)
	}
	return t.Hour()*3600 + t.Minute()*60, nil
}

// String returns the hours for people, such as "Mon, Tue 09:00-17:00 Europe/Berlin".
func (h Hours) String() string {
	var days []string
	for _, d := range h.Days {
		days = append(days, d.String()[:3])
	}
	or := func(s, other string) string {
		if s == "" {
			return other
		}
		return s
	}
	return strings.TrimSpace(strings.Join(days, ", ") + " " + or(h.From, "00:00") + "-" + or(h.To, "24:00") + " " + or(h.Zone, "UTC"))
}

// open reports whether the clock is within the hours at t.
func (h hours) open(t time.Time) bool {
	t = t.In(h.loc)
	at, today := secondOfDay(t), t.Weekday()
	if h.from < h.to {
		return h.on(today) && at >= h.from && at < h.to
	}
	return h.on(today) && at >= h.from || h.on((today+6)%7) && at < h.to
}

func (h hours) on(d time.Weekday) bool { return len(h.days) == 0 || slices.Contains(h.days, d) }

// next returns the next instant after t at which open may change: when the clock
// shows one of the two times or midnight, or is set to another time.
func (h hours) next(t time.Time) time.Time {
	t = t.In(h.loc)
	at, step := secondOfDay(t), day
	for _, b := range []int{h.from, h.to, day} {
		if b > at {
			step = min(step, b-at)
		}
	}
	next := t.Truncate(time.Second).Add(time.Duration(step) * time.Second)
	if _, end := t.ZoneBounds(); !end.IsZero() && end.Before(next) {
		return end
	}
	return next
}

func secondOfDay(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }
