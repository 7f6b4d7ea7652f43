package strategy

import (
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Scene is what Simulate assumes about the platform.
type Scene struct {
	// Live is the version that serves now; empty for a first deployment.
	Live string
	// Pods is how many pods Live has. Zero means as many as the release asks for.
	Pods int
	// Start is how long a pod takes until it is ready. Zero means 10 s.
	Start time.Duration
	// Propagation is how long the traffic takes to move. Zero means 1 s.
	Propagation time.Duration
	// InPlace says that the native controller is that of a StatefulSet.
	InPlace bool
	// Decide is asked at a pause without an end; it is promoted after that time.
	// Zero means at once.
	Decide time.Duration
}

// Timeline is what a rollout will do if all goes well, and its limits.
type Timeline struct {
	Moments []Moment
	// Took is how long the rollout takes.
	Took time.Duration
	// AtMost is how long it may take in the worst case, the way back included;
	// Forever if there is no limit, zero if the strategy does not say.
	AtMost time.Duration
	// PeakPods is the largest number of pods at once; the quota must allow it.
	PeakPods int
	// LeastReady is the smallest number of ready pods behind the front.
	LeastReady int
	// Writes is the number of writes to the target.
	Writes int
	// Measurements is how often the Judge is asked; in a simulation it passes.
	Measurements int
}

// Moment is the state at one time of a Timeline.
type Moment struct {
	At    time.Duration // since the beginning
	Phase Phase
	Event string  // the write, or what is waited for
	Old   int     // pods of the live version that exist
	New   int     // pods of the new version that exist
	Ready int     // of New, those that are ready
	Route []Share // where the front has been sent
}

// Simulate plays the rollout on an ideal platform, without any I/O, and returns
// its timeline. It runs the strategy's own Next and is therefore true to it. The
// error is that of Begin, or says why the rollout does not succeed even there.
func Simulate(s Strategy, r Release, scene Scene) (Timeline, error) {
	if r.Key == "" {
		r.Key = "simulated"
	}
	j, err := Begin(s, r)
	if err != nil {
		return Timeline{}, err
	}
	m := newModel(s, r, scene)
	line := Timeline{LeastReady: m.serving()}
	if b, ok := s.(Bounded); ok {
		line.AtMost = b.Bound()
	}
	const enough = 10_000
	for range enough {
		d := s.Next(m.observe(), j, m.now)
		j = d.Journal
		line.note(m, j, d)
		switch {
		case j.Outcome == Succeeded:
			line.Took = m.now.Sub(m.start)
			return line, nil
		case j.Outcome != "":
			return line, j.Err()
		case d.Action != nil:
			if err := Check(m.observe(), *d.Action, d.Limits); err != nil {
				return line, err
			}
			j.intend(*d.Action, m.observe(), m.now)
			j.observe(m.observe())
			m.apply(*d.Action)
			line.Writes++
		case d.Ask != nil:
			j.Stand.record(*d.Ask, Verdict{Judgement: Pass}, nil, m.now)
			line.Measurements++
		case d.Person && !m.now.Before(asked(j).Add(scene.Decide)):
			j, _ = j.Signal(Signal{Kind: Promote, By: "simulation", At: m.now})
		case d.Person && m.wait(earlier(d.Until, asked(j).Add(scene.Decide))):
		case !d.Person && m.wait(d.Until):
		default:
			return line, fmt.Errorf("strategy %q: it waits for ever: %s", s.Kind(), d.Reason)
		}
		line.PeakPods = max(line.PeakPods, m.total())
		line.LeastReady = min(line.LeastReady, m.serving())
	}
	return line, errors.New("strategy: the simulation does not end")
}

// asked is when the pause began that waits for a person.
func asked(j Journal) time.Time {
	return j.Pauses[len(j.Pauses)-1].Since
}

// note adds a moment if something differs from the last one.
func (l *Timeline) note(m *model, j Journal, d Decision) {
	now := Moment{At: m.now.Sub(m.start), Phase: j.Phase, Event: d.Reason, Route: m.route}
	now.Old, _ = m.count(m.live)
	if m.live == m.release {
		now.Old = 0
	}
	now.New, now.Ready = m.count(m.release)
	if n := len(l.Moments); n > 0 {
		last := l.Moments[n-1]
		if last.Phase == now.Phase && last.Old == now.Old && last.New == now.New && last.Ready == now.Ready &&
			sameRoute(last.Route, now.Route) && d.Action == nil && j.Outcome == "" {
			return
		}
	}
	l.Moments = append(l.Moments, now)
	l.PeakPods = max(l.PeakPods, m.total())
}

// String draws the timeline as a table.
func (l Timeline) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AT\tPHASE\tOLD\tNEW\tREADY\tTRAFFIC\tEVENT")
	for _, m := range l.Moments {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%s\t%s\n", m.At, m.Phase, m.Old, m.New, m.Ready, routeText(m.Route), m.Event)
	}
	_ = w.Flush() // a strings.Builder takes everything
	atMost := l.AtMost.String()
	switch l.AtMost {
	case Forever:
		atMost = "no limit"
	case 0:
		atMost = "unknown"
	}
	fmt.Fprintf(&b, "takes %s (at most %s), peak %d pods, least ready %d, %d writes\n", l.Took, atMost, l.PeakPods, l.LeastReady, l.Writes)
	return b.String()
}
