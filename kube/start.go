package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// startTime is how long a call tries to begin before its engine decides.
const startTime = 10 * time.Second

// Start renders the manifests, asks the API server by dry run whether it would
// take every object, records how each is now, and claims the App. Nothing but
// the claim is written. Every refusal is permanent; ErrBusy is not: it is
// waited for, however long. For a
// key that another release of the App has used, the refusal is a [KeyError].
func (a App) Start(c *stage.Ctx, in stage.DeployRequest) (Handle, error) {
	ctx, cancel := context.WithTimeout(c, startTime)
	defer cancel()
	h, err := patiently(ctx, c.Progress, func() (Handle, error) { return a.start(c, in) })
	if errors.Is(err, ErrBusy) {
		return Handle{}, stage.Waiting(10*time.Second, err)
	}
	return h, final(err)
}

func (a App) start(c *stage.Ctx, in stage.DeployRequest) (Handle, error) {
	if err := a.Validate(); err != nil {
		return Handle{}, err
	}
	s, err := a.decode(in.Strategy)
	if err != nil {
		return Handle{}, stage.Permanent(err)
	}
	if err := a.Supports(s); err != nil {
		return Handle{}, stage.Permanent(err)
	}
	r, err := a.render(c, in.Set)
	if err != nil {
		return Handle{}, err
	}
	held, err := a.readClaim(c)
	switch {
	case err != nil:
		return Handle{}, err
	case held.Release == c.Key() && held.Handle != "":
		h, err := a.decodeHandle(held)
		if err == nil && !h.answers(in) {
			err = &KeyError{App: a.Namespace + "/" + a.Name, Release: h.Key, Set: h.Set, Running: !held.Ended}
		}
		return h, err
	case held.object != nil && !held.Ended:
		return Handle{}, &BusyError{App: a.Namespace + "/" + a.Name, Release: held.Release}
	}
	h := Handle{
		Format: HandleFormat, App: a.Name, Namespace: a.Namespace, Key: c.Key(), Fence: c.Fence(),
		Set: in.Set, Previous: held.Set, Version: r.version, Digest: r.digest,
	}
	h.Configs, h.Spent = held.Configs || len(r.configs) > 0, held.spent(a)
	h.enter(Applying)
	if needy, ok := s.(strategy.Needy); ok {
		h.Native = needy.Needs().Native
	}
	if h.Native {
		h.warn("%s", r.lossy())
	}
	h.warn("%s", r.adrift())
	h.Journal, err = strategy.Begin(s, strategy.Release{Key: h.Key, Version: r.version, Replicas: r.replicas})
	if err != nil {
		return Handle{}, stage.Permanent(err)
	}
	if err := a.checkKind(c, held, objectOf(r.workload)); err != nil {
		return Handle{}, err
	}
	if err := a.follow(c, &h, r); err != nil {
		return Handle{}, err
	}
	r.led = held.led()
	if err := a.survey(c, &h, r, held.Inventory); err != nil {
		return Handle{}, err
	}
	if h.Warning != "" {
		c.Progress("warning: %s", h.Warning)
	}
	session := a.Cluster.session(h.session(), h.Workload)
	defer func() { session.rest(c.Err() != nil) }()
	if h.Switch != nil {
		session.watchRoutes(a, &h)
	}
	t := &target{app: a, s: session, r: r, h: &h, begins: true}
	seen, err := t.Observe(c)
	if err != nil {
		return Handle{}, err
	}
	there, err := t.standing(c)
	if err != nil {
		return Handle{}, err
	}
	if err := errors.Join(a.misled(&h, r, there)...); err != nil {
		return Handle{}, err
	}
	h.Journal = h.Journal.Based(seen, h.Native, time.Now())
	return h, a.claimNew(c, held, &h, r)
}

// claimNew writes the claim. Its namespace comes first if it is among the
// manifests; it is the one object that is written before the handle exists, and
// it stays, as namespaces do.
func (a App) claimNew(ctx context.Context, held claim, h *Handle, r *rendered) error {
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("release %s: encode handle: %w", h.Key, err)
	}
	if len(data) > MaxRecord-growth {
		return fmt.Errorf("release %s: %w: its record has %d bytes, at most %d are kept; release large objects apart",
			h.Key, ErrTooLarge, len(data), MaxRecord-growth)
	}
	if held.object == nil {
		for _, u := range r.before {
			if u.GetKind() != "Namespace" || u.GetName() != a.Namespace {
				continue
			}
			if _, _, err := a.Cluster.create(ctx, a.stamped(h, u), a.owner()); err != nil {
				return err
			}
		}
	}
	if held.Plan, err = a.plan(r).encode(); err != nil {
		return err
	}
	return a.writeClaim(ctx, held, h, false)
}

// answers reports whether h is the release that a request asks for. One under way goes
// on by the strategy with which it has begun, even if the program has another one now.
func (h *Handle) answers(in stage.DeployRequest) bool {
	return h.Set.Equal(in.Set) && (h.Phase != Done || sameStrategy(h.Journal.Strategy, in.Strategy))
}

// sameStrategy compares two strategies as they are recorded; a store may have changed
// the order of the fields.
func sameStrategy(a, b strategy.Spec) bool {
	var x, y any
	if json.Unmarshal(a.Config, &x) != nil || json.Unmarshal(b.Config, &y) != nil {
		return a.Kind == b.Kind && bytes.Equal(a.Config, b.Config)
	}
	return a.Kind == b.Kind && reflect.DeepEqual(x, y)
}

// Find returns the release that an earlier Start under this key has claimed for the
// same request.
func (a App) Find(c *stage.Ctx, in stage.DeployRequest) (Handle, bool, error) {
	if err := a.Validate(); err != nil {
		return Handle{}, false, stage.Permanent(err)
	}
	held, err := a.readClaim(c)
	if err != nil || held.Release != c.Key() {
		return Handle{}, false, final(err)
	}
	h, err := a.decodeHandle(held)
	if err != nil || !h.answers(in) {
		return Handle{}, false, final(err)
	}
	return h, true, nil
}

func (a App) decodeHandle(held claim) (Handle, error) {
	var h Handle
	if err := json.Unmarshal([]byte(held.Handle), &h); err != nil {
		return Handle{}, fmt.Errorf("%s: data.handle: %w: %w", a.claimRef(), ErrInvalid, err)
	}
	return h, h.check(a)
}
