package stage

import (
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/strategy"
)

// GateOptions are the settings of a gated environment. The zero GateOptions are a promotion that people ask for.
type GateOptions struct {
	// By is who asks for the promotion; empty means whoever started the execution, or else the execution.
	By string
	// Automatic says that no person asked: what binds only automation, such as a hold, counts.
	Automatic bool
	// Rollback goes back to the last set that was verified good in the environment; see Target.
	Rollback bool
}

// Gated puts a gatekeeper before an environment's deployer: a set is deployed only if promotion.Eligible says that it may
// enter, at the moment when it does. It is for Deploy as well as for Promote:
//
//	stage.Promote(b, "prod", stage.Gated(prod, gate, stage.GateOptions{}), inTest, strategy.RedBlack{}, stage.After(approved))
//
// The stage asks for its turn in the environment's queue and waits for it. It waits, too, while nothing but time is missing,
// such as soak. If anything else is, it fails with a *promotion.NotEligibleError, which has the reasons. When the set enters,
// a verification summary is written; the images are copied to the environment's repository if it has one; and the ledger
// records who promoted what, whether it has come up, and, if it is undone, that it was taken back.
//
// What has started is the only thing in the environment until it has ended. A stage that ends with an unknown outcome leaves
// the environment to it, as the release may still go on: when it is certain that it does not, Gatekeeper.Failed gives the
// environment free. A set that has failed in an environment is not promoted there again by automation; see GateOptions.
//
// If d is an Analyst and its rollout was analysed, how that ended is attested as a canary verdict, before the ledger records the
// end of the rollout: rules of other environments may ask for it, see promotion.Rules.Canaries. A verdict other than a pass
// stands against the set.
//
// What people tell the stage goes to d, and d says which strategies it can perform.
//
// The Release has the set as it was asked for, whose digest its evidence is about, wherever its images were copied to.
//
// If d is an Undoer, so is what Gated returns.
func Gated[H any](d Deployer[H], gate *promotion.Gatekeeper, o GateOptions) Deployer[GatedHandle[H]] {
	g := gated[H]{d: d, gate: gate, o: o}
	if u, ok := d.(Undoer[DeployRequest, Release]); ok {
		return gatedUndoer[H]{g, u}
	}
	return g
}

// GatedHandle is the handle of a gated release.
type GatedHandle[H any] struct {
	Phase   gatePhase     `json:"phase"`
	Key     string        `json:"key"`
	Request DeployRequest `json:"request"` // as it was asked for
	// Located and Summary are those of the entry.
	Located artifact.Set    `json:"located,omitzero"`
	Summary artifact.Digest `json:"summary,omitempty"`
	Inner   *H              `json:"inner,omitempty"` // the deployer's own
}

type gatePhase string

const (
	gateAsk    gatePhase = "ask"    // until the set may enter
	gateStart  gatePhase = "start"  // it has entered; the deployer is to start, or has
	gateFollow gatePhase = "follow" // the deployer is at work
)

// turnPoll is how often a promotion that waits for another one looks whether it is its turn.
const turnPoll = 5 * time.Second

type gated[H any] struct {
	d    Deployer[H]
	gate *promotion.Gatekeeper
	o    GateOptions
}

func (g gated[H]) Kind() string {
	if none(g.d) {
		return "gated/v1"
	}
	return "gated/v1:" + g.d.Kind()
}

func (g gated[H]) Environment() string { return g.d.Environment() }

// Validate reports what is wrong with the gatekeeper or the deployer.
func (g gated[H]) Validate() error {
	if none(g.d) || g.gate == nil {
		return errors.New("Gated: it needs a deployer and a gatekeeper")
	}
	var errs []error
	if _, err := g.gate.Environment(g.d.Environment()); err != nil {
		errs = append(errs, err)
	}
	if v, ok := g.d.(interface{ Validate() error }); ok {
		errs = append(errs, v.Validate())
	}
	return errors.Join(errs...)
}

// Hears implements Hearer for a deployer that does.
func (g gated[H]) Hears(say string) error { return hears(g.d, say) }

// Supports implements Supporter for a deployer that does.
func (g gated[H]) Supports(s strategy.Strategy) error {
	if sup, ok := g.d.(Supporter); ok {
		return sup.Supports(s)
	}
	return nil
}

func (g gated[H]) by(c *Ctx) string {
	switch {
	case g.o.By != "":
		return g.o.By
	case c.StartedBy() != "":
		return c.StartedBy()
	}
	return "execution " + c.Execution()
}

// Start asks for the promotion. The gatekeeper knows it by the key, so asking again is the same request.
func (g gated[H]) Start(c *Ctx, in DeployRequest) (GatedHandle[H], error) {
	_, err := g.gate.Request(c, promotion.Request{
		Key: c.Key(), Environment: g.Environment(), Set: in.Set, By: g.by(c), Automatic: g.o.Automatic, Rollback: g.o.Rollback,
		Reason: fmt.Sprintf("stage %s of execution %s", c.Stage(), c.Execution()),
	})
	var busy *promotion.BusyError
	var used *promotion.KeyUsedError
	if errors.As(err, &busy) || errors.As(err, &used) || errors.Is(err, promotion.ErrUnknown) || in.Set.IsZero() {
		err = Permanent(err)
	}
	return GatedHandle[H]{Phase: gateAsk, Key: c.Key(), Request: in}, err
}

func (g gated[H]) Find(c *Ctx, in DeployRequest) (GatedHandle[H], bool, error) {
	records, err := g.gate.Records(c)
	if err != nil {
		return GatedHandle[H]{}, false, err
	}
	for _, r := range records {
		if r.Key == c.Key() && r.Event == promotion.Requested && r.Environment == g.Environment() {
			return GatedHandle[H]{Phase: gateAsk, Key: c.Key(), Request: in}, true, nil
		}
	}
	return GatedHandle[H]{}, false, nil
}

func (g gated[H]) Poll(c *Ctx, h *GatedHandle[H]) (Status[Release], error) {
	switch h.Phase {
	case gateAsk:
		return g.ask(c, h)
	case gateStart:
		return g.start(c, h)
	case gateFollow:
		return g.follow(c, h)
	}
	return Status[Release]{}, Permanent(fmt.Errorf("handle of a gated release in phase %q", h.Phase))
}

// ask is the phase in which the set may not enter yet.
func (g gated[H]) ask(c *Ctx, h *GatedHandle[H]) (Status[Release], error) {
	entry, err := g.gate.Enter(c, g.Environment(), h.Key)
	var superseded *promotion.SupersededError
	switch {
	case errors.As(err, &superseded), errors.Is(err, promotion.ErrUnknown):
		return Failed[Release](Permanent(err)), nil
	case errors.Is(err, artifact.ErrDigestMismatch):
		return g.failed(c, h, Failed[Release](Permanent(err)), err)
	case err != nil:
		return Status[Release]{}, err
	case entry.Started != nil:
		h.Phase, h.Located, h.Summary = gateStart, entry.Set, entry.Summary
		return Running[Release]("may enter "+g.Environment(), 0), nil
	case entry.Ahead != nil:
		return Running[Release](fmt.Sprintf("waits for the promotion of set %s, asked for by %s", entry.Ahead.Set.Short(), entry.Ahead.By), turnPoll), nil
	}
	if until, ok := entry.Verdict.Until(g.o.Automatic && !g.o.Rollback); ok {
		return Running[Release](entry.Verdict.String(), max(time.Until(until), time.Millisecond)), nil
	}
	refusal := &promotion.NotEligibleError{Verdict: entry.Verdict}
	if err := g.gate.Withdraw(c, g.Environment(), h.Key, clipped(refusal.Error())); err != nil {
		return Status[Release]{}, err
	}
	return Failed[Release](Permanent(Detailed(refusal, detailOf(entry.Verdict)))), nil
}

// detailOf lists the evidence that did not count.
func detailOf(v promotion.Verdict) string {
	text := ""
	for _, r := range v.Refused {
		text += "not considered: " + r + "\n"
	}
	return text
}

// request is what the deployer is asked: the set with the locations that the environment finds.
func (h *GatedHandle[H]) request() DeployRequest {
	r := h.Request
	r.Set = h.Located
	return r
}

// start is the phase in which the deployer may have been started by a process that did not live to note its handle.
func (g gated[H]) start(c *Ctx, h *GatedHandle[H]) (Status[Release], error) {
	inner, found, err := g.d.Find(c, h.request())
	if err == nil && !found {
		inner, err = g.d.Start(c, h.request())
	}
	switch {
	case IsPermanent(err):
		return g.failed(c, h, Failed[Release](err), err)
	case err != nil:
		return Status[Release]{}, err
	}
	h.Phase, h.Inner = gateFollow, &inner
	return Running[Release]("", 0), nil
}

func (g gated[H]) follow(c *Ctx, h *GatedHandle[H]) (Status[Release], error) {
	s, err := g.d.Poll(c, h.Inner)
	if IsPermanent(err) {
		return g.failed(c, h, Failed[Release](err), err)
	}
	if err != nil {
		return Status[Release]{}, err
	}
	done, why := s.Done()
	if !done {
		return s, nil
	}
	if err := attestCanary(c, g.gate, g.d, h.Request.Set, *h.Inner); err != nil {
		return Status[Release]{}, err
	}
	if why != nil {
		return g.failed(c, h, s, why)
	}
	if _, err := g.gate.Deployed(c, g.Environment(), h.Key, h.Located.Digest(), h.Summary); err != nil {
		return Status[Release]{}, err
	}
	out := s.Output()
	out.Set = h.Request.Set
	return Succeeded(out), nil
}

// failed records that the release has failed, and then says so.
func (g gated[H]) failed(c *Ctx, h *GatedHandle[H], s Status[Release], why error) (Status[Release], error) {
	if err := g.gate.Failed(c, g.Environment(), h.Key, clipped(why.Error())); err != nil {
		return Status[Release]{}, err
	}
	return s, nil
}

func (g gated[H]) Abort(c *Ctx, h GatedHandle[H]) error {
	switch h.Phase {
	case gateStart:
		inner, found, err := g.d.Find(c, h.request())
		if err != nil {
			return err
		}
		if found {
			h.Inner = &inner
		}
		fallthrough
	case gateFollow:
		if h.Inner != nil {
			if err := g.d.Abort(c, *h.Inner); err != nil {
				return err
			}
		}
	}
	const reason = "aborted"
	if err := g.gate.Withdraw(c, g.Environment(), h.Key, reason); err != nil {
		return err
	}
	return g.gate.Failed(c, g.Environment(), h.Key, reason)
}

type gatedUndoer[H any] struct {
	gated[H]
	u Undoer[DeployRequest, Release]
}

// Undo has the deployer take the release back, and records it.
func (g gatedUndoer[H]) Undo(c *Ctx, in DeployRequest, out *Release) error {
	env := g.Environment()
	entry, started, err := g.gate.Entered(c, env, c.Key())
	if err != nil {
		return err
	}
	if !started { // there is nothing to take back
		return g.gate.Withdraw(c, env, c.Key(), "undone")
	}
	in.Set = entry.Set
	if out != nil {
		located := *out
		located.Set = entry.Set
		out = &located
	}
	if err := g.u.Undo(c, in, out); err != nil {
		return err
	}
	if err := g.gate.Failed(c, env, c.Key(), "undone"); err != nil { // if it had not come up
		return err
	}
	err = g.gate.TakenBack(c, env, c.Key(), "undone by execution "+c.Execution())
	if errors.Is(err, promotion.ErrUnknown) {
		return nil
	}
	return err
}

// clipped bounds a text for the ledger.
func clipped(s string) string {
	const limit = 2000
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
