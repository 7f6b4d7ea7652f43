package promotion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// Attest signs a claim about a set and stores it as evidence. It returns the evidence's digest, which is the same when the
// same claim is attested again. A [evidence.Soak], [evidence.Approval] or [evidence.Canary] that names no application is about
// the gatekeeper's.
//
// What would not count is refused, and nothing is stored: with a [*evidence.TrustError] if the gatekeeper's own trust does not
// let its signer make such a claim, with an [*evidence.Error] if the claim is not valid, or about another application or an
// environment that is none of the gatekeeper's, and with an [*ApproverError] if it is the word of somebody whom the environment's
// rules do not ask. What no rule asks for yet, such as the result of another suite, is stored. Evidence for environments that only
// another gatekeeper of the application has is for that one to attest, or for [evidence.Store.Put], which asks nobody.
func (g *Gatekeeper) Attest(ctx context.Context, set artifact.Set, p evidence.Predicate) (artifact.Digest, error) {
	s, err := evidence.About(set, g.ours(p))
	if err != nil {
		return "", err
	}
	e, err := evidence.Sign(ctx, s, g.c.Signer)
	if err != nil {
		return "", err
	}
	return g.attach(ctx, set, e, func(err *evidence.Error) error {
		return &evidence.TrustError{Type: p.Type(), Detail: "Config.Trust refuses what Config.Signer signs; name the signer's key among its Verifiers, and its name in Roles for this type", Err: err}
	})
}

// Attach stores evidence that somebody else has signed, such as a test system with a key of its own, or a statement about a part
// of the set, such as the provenance of one build among several. Evidence that is put into
// the store directly counts as well; this refuses what does not, as [Gatekeeper.Attest] does, and if it speaks against its set,
// no entry that is recorded from now on overlooks it.
func (g *Gatekeeper) Attach(ctx context.Context, set artifact.Set, e evidence.Envelope) (artifact.Digest, error) {
	return g.attach(ctx, set, e, func(err *evidence.Error) error { return err })
}

func (g *Gatekeeper) attach(ctx context.Context, set artifact.Set, e evidence.Envelope, refused func(*evidence.Error) error) (artifact.Digest, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return "", err
	}
	v, err := evidence.Open(ctx, data, set, g.c.Trust)
	if why, ok := errors.AsType[*evidence.Error](err); ok {
		return "", refused(why)
	}
	if err != nil {
		return "", err
	}
	if err := g.counts(v); err != nil {
		return "", err
	}
	d, err := g.evidence.Put(ctx, set.Digest(), e)
	if err != nil || !Denies(v) {
		return d, err
	}
	// An entry that is being decided now is appended before this record, or decided anew.
	_, err = g.write(ctx, Record{Event: Denied, Set: set.Digest(), By: v.Signers()[0].Name, Key: "denied/" + string(d), Evidence: []artifact.Digest{d}}, nil)
	return d, err
}

// counts returns an error if verified evidence is about no place of this gatekeeper's, or the word of nobody who is asked there.
func (g *Gatekeeper) counts(v evidence.Verified) error {
	other := func(format string, args ...any) error {
		return &evidence.Error{Evidence: v.Digest(), Err: evidence.ErrOtherSubject, Detail: fmt.Sprintf(format, args...)}
	}
	app := evidence.ApplicationOf(v.Predicate())
	if app != "" && app != g.c.Application {
		return other("application %q, and not %q", app, g.c.Application)
	}
	var name string
	switch p := v.Predicate().(type) {
	case evidence.Soak:
		name = p.Environment
	case evidence.Canary:
		name = p.Environment
	case evidence.Approval:
		name = p.Environment
	case evidence.TestResult:
		name = p.Environment()
	}
	if app == "" || name == "" {
		return nil
	}
	env, err := g.Environment(name)
	if err != nil {
		return other("environment %q, which is none of those of %q", name, g.c.Application)
	}
	if a, ok := v.Predicate().(evidence.Approval); ok && !env.Rules.heeds(a) {
		return &ApproverError{Environment: name, Approver: a.Approver}
	}
	return nil
}

// ours has a claim about a place name the application.
func (g *Gatekeeper) ours(p evidence.Predicate) evidence.Predicate {
	if evidence.ApplicationOf(p) != "" {
		return p
	}
	switch p := p.(type) {
	case evidence.Soak:
		p.Application = g.c.Application
		return p
	case evidence.Approval:
		p.Application = g.c.Application
		return p
	case evidence.Canary:
		p.Application = g.c.Application
		return p
	}
	return p
}

// fits returns a [*evidence.TrustError] if what a promotion has the signer attest would not count. It asks once.
func (g *Gatekeeper) fits(ctx context.Context) error {
	if g.fit.Load() {
		return nil
	}
	if err := g.c.Trust.Accepts(ctx, g.c.Signer, evidence.TypeSoak, evidence.TypeSummary); err != nil {
		return fmt.Errorf("gatekeeper of %q: its signer: %w", g.c.Application, err)
	}
	g.fit.Store(true)
	return nil
}

// History returns all records, and the evidence about a set that is verified; refused says what is not, and why.
func (g *Gatekeeper) History(ctx context.Context, set artifact.Set) (h History, refused []*evidence.Error, err error) {
	records, err := g.ledger.Records(ctx)
	if err != nil {
		return History{}, nil, err
	}
	h, err = g.history(ctx, set, records)
	return h, h.Refused, err
}

// history reads the evidence about a set after the records.
func (g *Gatekeeper) history(ctx context.Context, set artifact.Set, records []Record) (History, error) {
	good, refused, err := g.evidence.Open(ctx, set, g.c.Trust)
	if err != nil {
		return History{}, err
	}
	return History{Application: g.c.Application, Records: records, Evidence: good, Refused: refused}, nil
}

// Ask returns whether a set may enter an environment now, with the reasons. It writes nothing.
func (g *Gatekeeper) Ask(ctx context.Context, set artifact.Set, env string) (Verdict, error) {
	e, err := g.Environment(env)
	if err != nil {
		return Verdict{}, err
	}
	h, _, err := g.History(ctx, set)
	if err != nil {
		return Verdict{}, err
	}
	return Eligible(set, e, h, time.Now().UTC()), nil
}
