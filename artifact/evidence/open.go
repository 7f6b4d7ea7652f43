package evidence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/gennaker/gennaker/artifact"
)

// Verified is evidence that [Open] has verified. The zero Verified is evidence of nothing.
type Verified struct {
	digest    artifact.Digest
	set       artifact.Digest
	statement Statement
	predicate Predicate
	signers   []Identity
}

// Digest returns the digest of the envelope, under which a [Store] keeps it.
func (v Verified) Digest() artifact.Digest { return v.digest }

// Set returns the digest of the set for which the evidence was opened.
func (v Verified) Set() artifact.Digest { return v.set }

// Whole reports whether the statement is about the set as a whole, and not about single artifacts of it only.
func (v Verified) Whole() bool { return v.statement.coversSet(v.set) }

// Covers reports whether the statement is about content of digest d.
func (v Verified) Covers(d artifact.Digest) bool { return v.statement.covers(d) }

// PredicateType returns the type of the claim.
func (v Verified) PredicateType() string { return v.statement.PredicateType }

// Predicate returns the claim: a value, not a pointer, of one of this package's types, or nil if its type is another one.
func (v Verified) Predicate() Predicate { return v.predicate }

// Statement returns the statement. Its predicate and subjects must not be changed.
func (v Verified) Statement() Statement { return v.statement }

// Signers returns who has signed and may make such a claim; never nobody.
func (v Verified) Signers() []Identity { return slices.Clone(v.signers) }

// Open verifies an envelope as evidence about a set: that it is signed by somebody who is trusted, and trusted with claims of
// its type; that it is an in-toto statement; and that it is about the set or an artifact of the set. It is refused with an
// [*Error] otherwise.
//
// Of several signatures one good one suffices, as DSSE has it. If there is none, a signature that names the key of somebody
// who is trusted makes it [ErrTampered], and otherwise it is [ErrForeign].
func Open(ctx context.Context, data []byte, set artifact.Set, trust Trust) (Verified, error) {
	digest := artifact.FromBytes(data)
	v, err := open(ctx, data, set, trust)
	if err != nil {
		return Verified{}, of(digest, err)
	}
	v.digest = digest
	return v, nil
}

func open(ctx context.Context, data []byte, set artifact.Set, trust Trust) (Verified, error) {
	e, err := ParseEnvelope(data)
	if err != nil {
		return Verified{}, err
	}
	signers, err := trust.signers(ctx, e)
	if err != nil {
		return Verified{}, err
	}
	if e.PayloadType != PayloadType {
		return Verified{}, malformed("payload of type %q; want %q", clip(e.PayloadType), PayloadType)
	}
	s, err := ParseStatement(e.Payload)
	if err != nil {
		return Verified{}, err
	}
	known := signers[0]
	signers = slices.DeleteFunc(signers, func(id Identity) bool { return !trust.allows(s.PredicateType, id) })
	if len(signers) == 0 {
		return Verified{}, &Error{Err: ErrNotAllowed, Detail: fmt.Sprintf("%q signed a claim of type %s", known.Name, clip(s.PredicateType))}
	}
	if !about(s, set) {
		return Verified{}, &Error{Err: ErrOtherSubject, Detail: fmt.Sprintf("it names neither set %s nor an artifact of it", set.Digest().Short())}
	}
	p, err := parsePredicate(s)
	if err != nil {
		return Verified{}, err
	}
	return Verified{set: set.Digest(), statement: s, predicate: p, signers: signers}, nil
}

// about reports whether a statement is about the set or one of its artifacts.
func about(s Statement, set artifact.Set) bool {
	if s.covers(set.Digest()) {
		return true
	}
	for a := range set.All() {
		if s.covers(a.Digest) {
			return true
		}
	}
	return false
}

// signers returns who has signed an envelope: at least one identity, each once.
func (t Trust) signers(ctx context.Context, e Envelope) ([]Identity, error) {
	if len(e.Signatures) == 0 {
		return nil, &Error{Err: ErrUnsigned}
	}
	pae := PAE(e.PayloadType, e.Payload)
	var ids []Identity
	var bad error = &Error{Err: ErrForeign, Detail: fmt.Sprintf("key %q", clip(e.Signatures[0].KeyID))}
	for _, s := range e.Signatures {
		id, err := t.signer(ctx, pae, s)
		switch {
		case err == nil:
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		case !errors.Is(err, ErrForeign):
			bad = err
		}
	}
	if len(ids) == 0 {
		return nil, bad
	}
	return ids, nil
}

// signer asks the verifiers about one signature. Since key ids prove nothing, one verifier that finds the signature good
// outweighs another that finds it bad.
func (t Trust) signer(ctx context.Context, pae []byte, s Signature) (Identity, error) {
	var bad error = &Error{Err: ErrForeign}
	for _, v := range t.Verifiers {
		id, err := v.Verify(ctx, pae, s)
		switch {
		case err == nil:
			return id, nil
		case !errors.Is(err, ErrForeign):
			bad = err
		}
	}
	return Identity{}, bad
}
