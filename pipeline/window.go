package pipeline

import (
	"errors"
	"fmt"
	"time"
)

// Window says when a stage may begin: within Hours, unless a Freeze holds. The
// zero value is always open. It is a predicate on an instant, evaluated again
// whenever the stage is about to begin; a stage that has begun is not interrupted,
// and its retries do not wait. A group waits as a whole.
//
// Each part has a time zone of its own, an IANA name such as "Europe/Berlin";
// empty means "UTC". Zones come from the system or from the package time/tzdata,
// if the program imports it.
type Window struct {
	Hours   []Hours  `json:"hours,omitempty"`   // open in any of them; none means always
	Freezes []Freeze `json:"freezes,omitempty"` // closed in all of them
}

// Hours are weekly times, on the clock of their zone: they begin on each of
// Days at From and end at To, the next day if To is before From. A clock that is
// set back shows an hour twice, and the window is open both times; an hour that
// is left out when the clock is set forward does not come.
type Hours struct {
	Days []time.Weekday `json:"days,omitempty"` // none means every day
	From string         `json:"from,omitempty"` // "15:04"; empty means "00:00"
	To   string         `json:"to,omitempty"`   // "15:04", not included; empty means "24:00"
	Zone string         `json:"zone,omitempty"`
}

// Freeze is a time in which nothing begins. From and To are days, both included,
// as in "2026-12-24", or times on the clock of the zone, To not included, as in
// "2026-12-24T18:00". If the clock shows such a time twice, the freeze begins at
// the first and ends at the last; a time that is left out means the moment of the
// change. An empty To means until further notice.
type Freeze struct {
	From   string `json:"from"`
	To     string `json:"to,omitempty"`
	Zone   string `json:"zone,omitempty"`
	Reason string `json:"reason,omitempty"` // shown to those who wait
}

// Opening is what a Window says about an instant.
type Opening struct {
	Open bool
	// Until is when a closed window opens; zero if it does not within ten years, or
	// until further notice.
	Until time.Time
	Why   string // it is closed, for people
}

// Validate returns every mistake of the window, or nil.
func (w Window) Validate() error {
	_, err := w.compile()
	return err
}

// At says whether the window is open at t, and if not, why and until when. A
// window with mistakes is closed for ever, and Why tells the mistakes.
func (w Window) At(t time.Time) Opening {
	c, err := w.compile()
	if err != nil {
		return Opening{Why: err.Error()}
	}
	return c.at(t)
}

// window is a Window with its zones loaded.
type window struct {
	hours   []hours
	freezes []freeze
}

func (w Window) compile() (*window, error) {
	c := &window{hours: make([]hours, len(w.Hours)), freezes: make([]freeze, len(w.Freezes))}
	var errs []error
	for k, h := range w.Hours {
		var err error
		if c.hours[k], err = h.compile(); err != nil {
			errs = append(errs, fmt.Errorf("hours %d: %w", k+1, err))
		}
	}
	for k, f := range w.Freezes {
		var err error
		if c.freezes[k], err = f.compile(); err != nil {
			errs = append(errs, fmt.Errorf("freeze %d: %w", k+1, err))
		}
	}
	return c, errors.Join(errs...)
}

func zone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, errors.New(`time zone "Local" differs between machines; give its IANA name`)
	}
	loc, err := time.LoadLocation(name) // "" is UTC
	if err != nil {
		return nil, fmt.Errorf("time zone %q: %w; want an IANA name, known to the system or through the package time/tzdata", name, err)
	}
	return loc, nil
}

// horizon is how far ahead an opening is looked for.
const horizon = 10 * 366 * 24 * time.Hour

// at evaluates the window at t.
func (w *window) at(t time.Time) Opening {
	why, next := w.closed(t)
	if why == "" {
		return Opening{Open: true}
	}
	o := Opening{Why: why}
	for end := t.Add(horizon); !next.IsZero() && next.Before(end); {
		u := next
		if why, next = w.closed(u); why == "" {
			o.Until = u.UTC()
			return o
		}
	}
	return o
}

// closed returns why the window is closed at t, "" if it is open, and the next
// instant at which that reason may no longer hold.
func (w *window) closed(t time.Time) (why string, next time.Time) {
	for _, f := range w.freezes {
		if f.holds(t) {
			return f.why, f.to
		}
	}
	if len(w.hours) == 0 {
		return "", time.Time{}
	}
	why = "outside "
	for k, h := range w.hours {
		if h.open(t) {
			return "", time.Time{}
		}
		if k > 0 {
			why += ", "
		}
		why += h.name
		next = earlier(next, h.next(t))
	}
	return why, next
}
