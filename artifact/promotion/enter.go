package promotion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// An Entry is the answer to [Gatekeeper.Enter].
type Entry struct {
	// Started is set when the set enters.
	Started *Record
	// Verdict says why, and why not.
	Verdict Verdict
	// Ahead is the promotion that has to end first, when it is not this one's turn.
	Ahead *Record
	// Set is the set to deploy, with the locations of the environment's own repositories. It is empty unless Started is set.
	Set artifact.Set
	// Summary is the digest of the verification summary, stored as evidence about the set.
	Summary artifact.Digest
}

// Enter starts a promotion that was requested, if it is its turn and its set is eligible. Then, and only then, the set may be
// deployed: the record that it has started is written, its artifacts are where the environment finds them, its soak is
// attested, and a verification summary says why. A caller that dies in between calls again and gets the same answer.
//
// The error is nil, and Started is, too, when the set is not eligible (then the Verdict says why not, and [Verdict.Until] whether time
// alone will do) or another promotion is Ahead. The request stays in the queue: call Enter again later, or [Gatekeeper.Withdraw] it so
// that others have their turn. When Started is set, end the promotion with [Gatekeeper.Deployed] or [Gatekeeper.Failed].
//
// Enter does not look at the content that the set names, which need not be in the store: whoever fetches or copies an artifact
// verifies its digest.
//
// The error is an [*evidence.TrustError], before anything is written, when the gatekeeper's trust does not accept what its signer
// has to attest. It is a [*SupersededError] when the request was dismissed while it waited, and wraps [ErrUnknown] when there is no
// such request or it has ended without success, after which a new one needs a new key.
func (g *Gatekeeper) Enter(ctx context.Context, env, key string) (Entry, error) {
	e, err := g.Environment(env)
	if err != nil {
		return Entry{}, err
	}
	records, err := g.ledger.Records(ctx)
	if err != nil {
		return Entry{}, err
	}
	p := findPromotion(records, env, key)
	if err := p.check(env, key); err != nil {
		return Entry{}, err
	}
	if err := g.fits(ctx); err != nil {
		return Entry{}, err
	}
	set, err := g.set(ctx, p.request.Set)
	if err != nil {
		return Entry{}, err
	}
	entry, err := g.start(ctx, e, set, *p.request)
	if err != nil || entry.Started == nil {
		return entry, err
	}
	return g.complete(ctx, e, set, entry)
}

// Entered returns the entry of a promotion that has started, also when the set runs by now. It reports false if it has not
// started, or has ended without success, and starts nothing.
func (g *Gatekeeper) Entered(ctx context.Context, env, key string) (Entry, bool, error) {
	e, err := g.Environment(env)
	if err != nil {
		return Entry{}, false, err
	}
	records, err := g.ledger.Records(ctx)
	if err != nil {
		return Entry{}, false, err
	}
	p := findPromotion(records, env, key)
	if p.started == nil || p.end != nil && p.end.Event == Failed {
		return Entry{}, false, nil
	}
	set, err := g.set(ctx, p.started.Set)
	if err != nil {
		return Entry{}, false, err
	}
	entry, err := g.complete(ctx, e, set, Entry{Started: p.started, Verdict: entered(*p.started)})
	return entry, err == nil, err
}

// complete does what belongs to an entry that is on record: it does nothing that is done.
func (g *Gatekeeper) complete(ctx context.Context, e Environment, set artifact.Set, entry Entry) (Entry, error) {
	var err error
	if entry.Set, err = g.located(ctx, e, set); err != nil {
		return Entry{}, err
	}
	if _, err := g.c.Store.PutSet(ctx, entry.Set); err != nil {
		return Entry{}, err
	}
	if err := g.attestSoak(ctx, e, set, *entry.Started); err != nil {
		return Entry{}, err
	}
	entry.Summary, err = g.Attest(ctx, set, g.summary(*entry.Started))
	return entry, err
}

// attestSoak turns what the ledger knew of the set's soak, when it entered, into signed evidence.
func (g *Gatekeeper) attestSoak(ctx context.Context, e Environment, set artifact.Set, started Record) error {
	records, err := g.ledger.Records(ctx)
	if err != nil {
		return err
	}
	before := History{Records: records[:started.Seq-1]}
	for _, u := range e.Rules.From {
		since, until := before.place(u.Environment).longest(started.Set, started.At)
		if !until.After(since) {
			continue
		}
		if _, err := g.Attest(ctx, set, evidence.Soak{Environment: u.Environment, Since: since, Until: until}); err != nil {
			return err
		}
	}
	return nil
}

// entered is the verdict by which a promotion has started.
func entered(started Record) Verdict {
	return Verdict{Environment: started.Environment, Set: started.Set, At: started.At, Evidence: started.Evidence}
}

func (p promotionRecords) check(env, key string) error {
	switch {
	case p.request == nil:
		return fmt.Errorf("promotion %q into %q: it was not requested: %w", key, env, ErrUnknown)
	case p.end != nil && p.end.Event == Requested:
		return &SupersededError{Environment: env, Key: key, By: p.end.Key}
	case p.end != nil && (p.end.Event == Failed || p.end.Event == Withdrawn):
		return &endedError{env, *p.end}
	}
	return nil
}

// errNotNow ends an attempt to start, with the answer already known.
var errNotNow = errors.New("not now")

// start asks, and appends the record if the answer is yes, in one step. The evidence is read after the records: a denial is on
// record after it is in the store, so one that is not seen here makes the append fail, and the question is asked again.
func (g *Gatekeeper) start(ctx context.Context, e Environment, set artifact.Set, request Record) (Entry, error) {
	var entry Entry
	r, err := g.ledger.Append(ctx, func(records []Record) (Record, bool, error) {
		entry = Entry{}
		p := findPromotion(records, e.Name, request.Key)
		if p.started != nil {
			entry.Verdict = entered(*p.started)
			return *p.started, false, nil
		}
		if err := p.check(e.Name, request.Key); err != nil {
			return Record{}, false, err
		}
		if entry.Ahead = ahead(History{Records: records}.State(e.Name), request.Key); entry.Ahead != nil {
			return Record{}, false, errNotNow
		}
		h, err := g.history(ctx, set, records)
		if err != nil {
			return Record{}, false, err
		}
		now := time.Now().UTC()
		entry.Verdict = Eligible(set, e, h, now)
		if request.Rollback {
			entry.Verdict = Returnable(set, e, h, now)
		}
		if !entry.Verdict.allows(request.Automatic && !request.Rollback) {
			return Record{}, false, errNotNow
		}
		out := request
		out.Event, out.At, out.Supersedes, out.Evidence, out.Policy = Started, now, nil, entry.Verdict.Evidence, e.Digest()
		return out, true, nil
	})
	switch {
	case errors.Is(err, errNotNow):
		return entry, nil
	case err != nil:
		return Entry{}, err
	}
	entry.Started = &r
	return entry, nil
}

// ahead returns the promotion that has to end before this one may start.
func ahead(s State, key string) *Record {
	if s.Running != nil && s.Running.Key != key {
		return s.Running
	}
	if len(s.Waiting) > 0 && s.Waiting[0].Key != key {
		return &s.Waiting[0]
	}
	return nil
}

// located returns the set with its artifacts where the environment finds them.
func (g *Gatekeeper) located(ctx context.Context, e Environment, set artifact.Set) (artifact.Set, error) {
	if e.Repository == "" {
		return set, nil
	}
	var moved []artifact.Artifact
	for a := range set.All() {
		if a.Kind != artifact.KindImage && a.Kind != artifact.KindChart {
			continue
		}
		b, err := g.c.Copier.Copy(ctx, a, e.Repository)
		if err != nil {
			return artifact.Set{}, fmt.Errorf("copy of %s to %s: %w", a, e.Repository, err)
		}
		if b.Digest != a.Digest || b.Kind != a.Kind || b.Name != a.Name {
			return artifact.Set{}, fmt.Errorf("copy of %s to %s: it became %s: %w", a, e.Repository, b, artifact.ErrDigestMismatch)
		}
		moved = append(moved, b)
	}
	return set.With(moved...)
}

// summary is the verification summary of a promotion that has started. It is made of the record alone, so that it is the same
// whenever it is made.
func (g *Gatekeeper) summary(started Record) evidence.Summary {
	s := evidence.Summary{
		Verifier:       evidence.VerifierID{ID: g.c.Verifier},
		TimeVerified:   started.At,
		ResourceURI:    fmt.Sprintf("gennaker:%s/%s", g.c.Application, started.Environment),
		Policy:         evidence.Resource{URI: fmt.Sprintf("gennaker:%s/%s/rules", g.c.Application, started.Environment), Digest: map[string]string{"sha256": started.Policy.Hex()}},
		Result:         evidence.Passed,
		VerifiedLevels: []string{evidence.LevelUnevaluated},
		SLSAVersion:    "1.0",
	}
	for _, d := range started.Evidence {
		s.InputAttestations = append(s.InputAttestations, evidence.Resource{URI: "gennaker:evidence/" + string(d), Digest: map[string]string{"sha256": d.Hex()}})
	}
	return s
}
