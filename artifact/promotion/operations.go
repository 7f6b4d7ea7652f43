package promotion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gennaker/gennaker/artifact"
)

// A Request asks for the promotion of a set into an environment.
type Request struct {
	// Key identifies the promotion in its environment for ever; a request that is made again under its key is the same request,
	// whoever makes it, also when the promotion has ended. Keys of different environments have nothing to do with each other.
	// Required.
	Key         string
	Environment string
	Set         artifact.Set
	By          string // who asks; required
	Reason      string
	// Automatic says that no person asked. Every robot must set it: without it holds, failures before, and Rules that are not
	// Automatic do not stand in its way, as they do not in a person's.
	Automatic bool
	// Rollback goes back to a set that was good in the environment.
	Rollback bool
}

// Register makes a set a candidate, and stores it. Newer candidates are newer sets; a set that is one already stays where it is.
// by is who says so; required.
func (g *Gatekeeper) Register(ctx context.Context, set artifact.Set, by string) (Record, error) {
	if set.IsZero() {
		return Record{}, fmt.Errorf("candidate: the set is empty")
	}
	if by == "" {
		return Record{}, fmt.Errorf("candidate %s: it needs somebody who registers it", set.Digest().Short())
	}
	d, err := g.c.Store.PutSet(ctx, set)
	if err != nil {
		return Record{}, err
	}
	return g.write(ctx, Record{Event: Candidate, Set: d, By: by, Key: "candidate/" + string(d)}, nil)
}

// Request takes a promotion into the queue of its environment. It says nothing about whether the set may enter; [Gatekeeper.Enter]
// does. By the environment's policy it may dismiss other requests, or be refused with a [*BusyError]. A key that was
// used in the environment for another set, or by automation and now by people, or for a promotion and now for a rollback, is refused
// with a [*KeyUsedError].
func (g *Gatekeeper) Request(ctx context.Context, q Request) (Record, error) {
	env, err := g.Environment(q.Environment)
	if err != nil {
		return Record{}, err
	}
	if q.Key == "" || q.By == "" || q.Set.IsZero() {
		return Record{}, fmt.Errorf("promotion into %q: it needs a key, a set and somebody who asks", q.Environment)
	}
	if _, err := g.c.Store.PutSet(ctx, q.Set); err != nil {
		return Record{}, err
	}
	r := Record{Event: Requested, Environment: env.Name, Set: q.Set.Digest(), By: q.By, Reason: q.Reason,
		Automatic: q.Automatic, Rollback: q.Rollback, Key: q.Key}
	return g.write(ctx, r, func(h History, r *Record) error {
		s := h.State(env.Name)
		switch {
		case q.Rollback || env.Rules.Queue == Queue:
		case env.Rules.Queue == NewestWins:
			for _, w := range s.Waiting {
				if !w.Rollback {
					r.Supersedes = append(r.Supersedes, w.Key)
				}
			}
		case s.Running != nil:
			return &BusyError{env.Name, s.Running.Key, s.Running.Set}
		case len(s.Waiting) > 0:
			return &BusyError{env.Name, s.Waiting[0].Key, s.Waiting[0].Set}
		}
		return nil
	})
}

// Withdraw gives up a request that has not started. It does nothing if there is none. Its key is used up.
func (g *Gatekeeper) Withdraw(ctx context.Context, env, key, reason string) error {
	return g.end(ctx, Record{Event: Withdrawn, Environment: env, Key: key, Reason: reason})
}

// Failed records that a promotion that has started did not succeed, and that what ran before runs still. It is also how a
// person takes a promotion off the lane whose pipeline is gone for ever. It does nothing if there is none.
func (g *Gatekeeper) Failed(ctx context.Context, env, key, reason string) error {
	return g.end(ctx, Record{Event: Failed, Environment: env, Key: key, Reason: reason})
}

// end records the end of a promotion, unless it has ended or was never there.
func (g *Gatekeeper) end(ctx context.Context, r Record) error {
	_, err := g.ledger.Append(ctx, func(records []Record) (Record, bool, error) {
		p := findPromotion(records, r.Environment, r.Key)
		open := p.request != nil && p.end == nil && (p.started != nil) == (r.Event == Failed)
		if !open {
			return Record{}, false, nil
		}
		r.Set, r.By, r.Automatic, r.Rollback = p.request.Set, p.request.By, p.request.Automatic, p.request.Rollback
		return r, true, nil
	})
	return err
}

// Deployed records that the set of a promotion which has started runs. located is the digest of the [Entry]'s Set, or empty if its
// locations do not matter; summary is the Entry's Summary, or empty. Called again, it returns the first record. If the
// environment takes a rollout for a verification, it is verified good from now on; a rollback is, if the set was. A rollback
// puts the environment on hold, in the name of who asked for it.
func (g *Gatekeeper) Deployed(ctx context.Context, env, key string, located, summary artifact.Digest) (Record, error) {
	e, err := g.Environment(env)
	if err != nil {
		return Record{}, err
	}
	r, err := g.ledger.Append(ctx, func(records []Record) (Record, bool, error) {
		p := findPromotion(records, env, key)
		switch {
		case p.started == nil:
			return Record{}, false, fmt.Errorf("promotion %q into %q: it has not started: %w", key, env, ErrUnknown)
		case p.end != nil && (p.end.Event == Deployed || p.end.Event == RolledBack):
			return *p.end, false, nil
		case p.end != nil:
			return Record{}, false, p.check(env, key)
		}
		out := *p.started
		out.Event, out.At, out.Previous = Deployed, time.Time{}, History{Records: records}.State(env).Set
		if out.Rollback {
			out.Event = RolledBack
		}
		out.Summary = summary
		if located != out.Set {
			out.Located = located
		}
		return out, true, nil
	})
	switch {
	case err != nil:
		return Record{}, err
	case r.Event == RolledBack:
		_, err = g.holdAfter(ctx, e, r, r.By)
	case e.Rules.RolloutVerifies:
		_, err = g.Verified(ctx, env, r.Set, r.By, key)
		if errors.Is(err, ErrNotRunning) { // a call that is repeated late: another set runs by now
			err = nil
		}
	}
	return r, err
}

// TakenBack records that a promotion, which had succeeded, was undone: what ran before it runs again. The set that was taken
// back is good here no more, and the environment is on hold for automation.
func (g *Gatekeeper) TakenBack(ctx context.Context, env, key, reason string) error {
	e, err := g.Environment(env)
	if err != nil {
		return err
	}
	r, err := g.write(ctx, Record{Event: RolledBack, Environment: env, Key: "undo/" + key, Rollback: true, Reason: reason}, func(h History, r *Record) error {
		p := findPromotion(h.Records, env, key)
		if p.end == nil || p.end.Event != Deployed {
			return fmt.Errorf("promotion %q into %q: it was not deployed: %w", key, env, ErrUnknown)
		}
		r.Set, r.Previous, r.By, r.Located = p.end.Previous, p.end.Set, p.end.By, locatedOf(h.Records, env, p.end.Previous)
		return nil
	})
	if err != nil {
		return err
	}
	_, err = g.holdAfter(ctx, e, r, "") // the record names who asked for the promotion; nobody has said who undid it
	return err
}

func (g *Gatekeeper) holdAfter(ctx context.Context, e Environment, r Record, by string) (Record, error) {
	hold := Record{Event: Held, Environment: e.Name, By: by, Key: "hold/" + r.Key, Set: r.Previous,
		Reason: "rolled back from " + r.Previous.Short() + orEmpty(": ", r.Reason)}
	if e.Rules.HoldFor > 0 {
		hold.Until = r.At.Add(e.Rules.HoldFor)
	}
	return g.write(ctx, hold, nil)
}

// Verified records that the set which runs in an environment is good there. The error wraps [ErrNotRunning] if another set
// runs. key makes the record once in the environment; with another set it is refused with a [*KeyUsedError].
// by is who or what has found it good; required.
func (g *Gatekeeper) Verified(ctx context.Context, env string, set artifact.Digest, by, key string) (Record, error) {
	return g.judge(ctx, Record{Event: Verified, Environment: env, Set: set, By: by, Key: key}, true)
}

// Demote records that a set is not good in an environment, whether it runs there or not. It loses what it had gained there.
// by and key are as for Verified.
func (g *Gatekeeper) Demote(ctx context.Context, env string, set artifact.Digest, by, reason, key string) (Record, error) {
	return g.judge(ctx, Record{Event: Demoted, Environment: env, Set: set, By: by, Reason: reason, Key: key}, false)
}

func (g *Gatekeeper) judge(ctx context.Context, r Record, running bool) (Record, error) {
	if _, err := g.Environment(r.Environment); err != nil {
		return Record{}, err
	}
	if r.By == "" {
		return Record{}, fmt.Errorf("set %s in %q: it needs somebody who says that it is %s", r.Set.Short(), r.Environment, r.Event)
	}
	return g.write(ctx, r, func(h History, _ *Record) error {
		if running && h.State(r.Environment).Set != r.Set {
			return fmt.Errorf("set %s in %q: %w", r.Set.Short(), r.Environment, ErrNotRunning)
		}
		return nil
	})
}

// A Hold keeps promotions out of an environment.
type Hold struct {
	By, Reason string        // required
	For        time.Duration // 0 means until it is released
	Everyone   bool          // people, too; otherwise automation only
	Key        string        // makes the record once; may be empty
}

// Hold puts an environment on hold. A promotion that has started goes on, and a rollback is always possible.
func (g *Gatekeeper) Hold(ctx context.Context, env string, h Hold) (Record, error) {
	if _, err := g.Environment(env); err != nil {
		return Record{}, err
	}
	if h.By == "" || h.Reason == "" || h.For < 0 {
		return Record{}, fmt.Errorf("hold of %q: it needs somebody who holds, a reason, and no negative time", env)
	}
	r := Record{Event: Held, Environment: env, By: h.By, Reason: h.Reason, Everyone: h.Everyone, Key: h.Key}
	if h.For > 0 {
		r.Until = time.Now().UTC().Add(h.For)
	}
	return g.write(ctx, r, nil)
}

// Release ends all holds of an environment.
func (g *Gatekeeper) Release(ctx context.Context, env, by, reason string) (Record, error) {
	if _, err := g.Environment(env); err != nil {
		return Record{}, err
	}
	if by == "" {
		return Record{}, fmt.Errorf("release of %q: it needs somebody who releases", env)
	}
	return g.write(ctx, Record{Event: Released, Environment: env, By: by, Reason: reason}, nil)
}

// promotionRecords is what the records say about one promotion.
type promotionRecords struct{ request, started, end *Record }

func findPromotion(records []Record, env, key string) (p promotionRecords) {
	for i := range records {
		r := &records[i]
		if r.Environment != env {
			continue
		}
		switch {
		case r.Event == Requested && slices.Contains(r.Supersedes, key):
			if p.end == nil {
				p.end = r
			}
		case r.Key != key:
		case r.Event == Requested:
			p.request = r
		case r.Event == Started:
			p.started = r
		case r.ends():
			p.end = r
		}
	}
	return p
}

// locatedOf returns the set as it was copied for an environment when it entered last.
func locatedOf(records []Record, env string, set artifact.Digest) artifact.Digest {
	for _, r := range slices.Backward(records) {
		if r.Environment == env && r.Set == set && r.Event == Deployed {
			return r.Located
		}
	}
	return ""
}

func orEmpty(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}
