package promotion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// A Copier copies an artifact, by its digest, to a repository below the given prefix, and returns it with its new location;
// kind, name, version and digest stay. It is called again after a crash, and does nothing for what is there already.
type Copier interface {
	Copy(ctx context.Context, a artifact.Artifact, prefix string) (artifact.Artifact, error)
}

// CopierFunc is a function as a [Copier]; ociartifact.Client.CopyInto is one.
type CopierFunc func(ctx context.Context, a artifact.Artifact, prefix string) (artifact.Artifact, error)

// Copy implements [Copier].
func (f CopierFunc) Copy(ctx context.Context, a artifact.Artifact, prefix string) (artifact.Artifact, error) {
	return f(ctx, a, prefix)
}

// Config is what a [Gatekeeper] is made of.
type Config struct {
	// Application is whose sets these are; it names the ledger. Required, of the form of an environment's name.
	Application string
	// Environments are those of the application. Required; names differ, and what rules name is among them.
	Environments []Environment
	// Log keeps the ledger. Required.
	Log Log
	// Store keeps sets and their evidence. Required.
	Store *artifact.Store
	// Signer signs what the gatekeeper attests, and its verification summaries. Required.
	Signer evidence.Signer
	// Trust says whose evidence counts, and for what. Required: somebody must be trusted with each type of evidence that the
	// rules ask for, and the signer with what it signs: soak, summaries, and whatever is attested.
	// When a signer gets a new key, keep the old one among the Verifiers, under the same name: evidence is verified whenever it is
	// read, and a denial whose key is not trusted any more keeps its set out.
	Trust evidence.Trust
	// Copier copies images between the repositories of environments. Required if an environment has a Repository.
	Copier Copier
	// Verifier is who the summaries say has verified, a URI. Default "https://github.com/gennaker/gennaker".
	Verifier string
}

// A Gatekeeper decides what may enter the environments of one application, and keeps its ledger. It is safe for concurrent
// use, and any number of processes may have gatekeepers over the same log and store.
type Gatekeeper struct {
	c        Config
	ledger   *Ledger
	evidence *evidence.Store
	fit      atomic.Bool // the signer is known to be trusted
}

// NewGatekeeper returns a gatekeeper, or everything that is wrong with its configuration; a [*evidence.TrustError] is among it
// if the trust is of no use. The signer is not asked yet: [Gatekeeper.Enter] does that.
func NewGatekeeper(c Config) (*Gatekeeper, error) {
	if c.Verifier == "" {
		c.Verifier = "https://github.com/gennaker/gennaker"
	}
	c.Environments = slices.Clone(c.Environments)
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("gatekeeper of %q: %w", c.Application, err)
	}
	return &Gatekeeper{c: c, ledger: NewLedger(c.Log), evidence: evidence.NewStore(c.Store)}, nil
}

func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !namePattern.MatchString(c.Application) {
		bad("Application: want 1 to 63 of a-z, 0-9, '.', '_', '-', first a letter or digit")
	}
	if c.Log == nil || c.Store == nil || c.Signer == nil {
		bad("Log, Store and Signer are required")
	}
	if len(c.Environments) == 0 {
		bad("there are no environments")
	}
	known := func(name string) bool {
		return slices.ContainsFunc(c.Environments, func(e Environment) bool { return e.Name == name })
	}
	trust := c.Trust.Validate()
	errs = append(errs, trust)
	for i, e := range c.Environments {
		if trust == nil {
			if err := c.Trust.Validate(e.Rules.claims()...); err != nil {
				bad("environment %q: its rules ask for them: %w", e.Name, err)
			}
		}
		if err := e.Validate(); err != nil {
			errs = append(errs, err)
		}
		if slices.ContainsFunc(c.Environments[:i], func(o Environment) bool { return o.Name == e.Name }) {
			bad("environment %q is there twice", e.Name)
		}
		for _, u := range e.Rules.From {
			if !known(u.Environment) {
				bad("environment %q: it comes from %q, which is not among the environments", e.Name, u.Environment)
			}
		}
		for _, name := range e.Rules.Canaries {
			if !known(name) {
				bad("environment %q: it asks for a canary in %q, which is not among the environments", e.Name, name)
			}
		}
		if e.Repository != "" && c.Copier == nil {
			bad("environment %q: it has a repository of its own; set Config.Copier", e.Name)
		}
	}
	if shut := c.shut(); errors.Join(errs...) == nil && len(shut) > 0 {
		bad("environments %q come from each other: no set can enter them first", shut)
	}
	return errors.Join(errs...)
}

// shut returns the environments that no set can ever enter, because they come from each other.
func (c Config) shut() []string {
	open := map[string]bool{}
	for range c.Environments { // in each round one more at least, if any
		for _, e := range c.Environments {
			enterable := func(u Upstream) bool { return open[u.Environment] }
			from := e.Rules.From
			open[e.Name] = len(from) == 0 || e.Rules.AnyFrom && slices.ContainsFunc(from, enterable) ||
				!slices.ContainsFunc(from, func(u Upstream) bool { return !enterable(u) })
		}
	}
	var shut []string
	for _, e := range c.Environments {
		if !open[e.Name] {
			shut = append(shut, e.Name)
		}
	}
	return shut
}

// Environment returns an environment by name. The error wraps [ErrUnknown].
func (g *Gatekeeper) Environment(name string) (Environment, error) {
	for _, e := range g.c.Environments {
		if e.Name == name {
			return e, nil
		}
	}
	return Environment{}, fmt.Errorf("environment %q of %q: %w", name, g.c.Application, ErrUnknown)
}

// Application returns whose gatekeeper this is.
func (g *Gatekeeper) Application() string { return g.c.Application }

// Records returns the ledger: what happened when, by whom, in order.
func (g *Gatekeeper) Records(ctx context.Context) ([]Record, error) { return g.ledger.Records(ctx) }

// State returns what runs in an environment, since when and by whom, and what is about to.
func (g *Gatekeeper) State(ctx context.Context, env string) (State, error) {
	if _, err := g.Environment(env); err != nil {
		return State{}, err
	}
	records, err := g.ledger.Records(ctx)
	return History{Records: records}.State(env), err
}

// Set returns a set that has been a candidate, or was promoted, by its digest. The error wraps [ErrUnknown] if it is not stored
// (any more), or the digest is empty, as that of [State] is where nothing is known to run.
func (g *Gatekeeper) Set(ctx context.Context, d artifact.Digest) (artifact.Set, error) {
	if d == "" {
		return artifact.Set{}, fmt.Errorf("set of %q without a digest: %w", g.c.Application, ErrUnknown)
	}
	set, err := g.set(ctx, d)
	if errors.Is(err, artifact.ErrNotFound) {
		err = fmt.Errorf("set of %q: %w: %w", g.c.Application, ErrUnknown, err)
	}
	return set, err
}

// set reads a set from the store, and says how to repair one that is damaged there.
func (g *Gatekeeper) set(ctx context.Context, d artifact.Digest) (artifact.Set, error) {
	set, err := g.c.Store.GetSet(ctx, d)
	if damaged(err) && d.Validate() == nil {
		err = fmt.Errorf("%w; to repair it, store the same set again with Gatekeeper.Register or Store.PutSet", err)
	}
	return set, err
}

// damaged reports whether a set is stored, and what is stored is not the set.
func damaged(err error) bool {
	return errors.Is(err, artifact.ErrDigestMismatch) || errors.Is(err, artifact.ErrInvalid) || errors.Is(err, artifact.ErrTooLarge)
}

// write appends a record under a key: if the same event is there under that key already, it is returned instead, or a
// [*KeyUsedError] if it is about something else. check, if not nil, is asked with all records first.
func (g *Gatekeeper) write(ctx context.Context, r Record, check func(h History, r *Record) error) (Record, error) {
	return g.ledger.Append(ctx, func(records []Record) (Record, bool, error) {
		for _, old := range records {
			if r.Key != "" && old.Key == r.Key && old.Event == r.Event && old.Environment == r.Environment {
				if r.Set != "" && (old.Set != r.Set || old.Rollback != r.Rollback || old.Automatic != r.Automatic) {
					return Record{}, false, &KeyUsedError{Environment: r.Environment, Key: r.Key, Record: old}
				}
				return old, false, nil
			}
		}
		out := r
		if check != nil {
			if err := check(History{Records: records}, &out); err != nil {
				return Record{}, false, err
			}
		}
		return out, true, nil
	})
}
