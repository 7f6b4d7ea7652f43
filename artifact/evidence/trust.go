package evidence

import (
	"context"
	"fmt"
	"slices"
)

// What stands for all in [Trust.Roles].
const (
	AnyType = "*" // every predicate type that is not listed itself
	Anyone  = "*" // everybody whom the verifiers know
)

// Trust says whose evidence counts, and who may claim what. The zero Trust trusts nobody; [FullTrust] makes one that trusts
// with everything.
type Trust struct {
	// Verifiers are asked in turn who has signed.
	Verifiers []Verifier
	// Roles says who may claim what: names of identities, by predicate type. A type that is not listed may be claimed by
	// nobody, unless [AnyType] is; [Anyone] among the names is everybody whom the Verifiers know.
	Roles map[string][]string
}

// FullTrust lets everybody whom the verifiers know claim everything: that a build was theirs, that a test passed, that a person
// has approved. It is for programs that hold the only key there is. Where several sign, give each its Roles.
func FullTrust(verifiers ...Verifier) Trust {
	return Trust{Verifiers: verifiers, Roles: map[string][]string{AnyType: {Anyone}}}
}

// names returns who may make statements of that type.
func (t Trust) names(predicateType string) []string {
	if names, listed := t.Roles[predicateType]; listed {
		return names
	}
	return t.Roles[AnyType]
}

// allows reports whether the identity may make statements of that type.
func (t Trust) allows(predicateType string, id Identity) bool {
	names := t.names(predicateType)
	return slices.Contains(names, Anyone) || slices.Contains(names, id.Name)
}

// A TrustError says why a [Trust] is of no use for what it is wanted for, and what to do.
type TrustError struct {
	Type   string // the predicate type that it is about; empty for the whole Trust
	Detail string // what is wrong, and what to do, for people
	Err    error  // why evidence was refused; nil if none was
}

func (e *TrustError) Error() string {
	text := "trust"
	if e.Type != "" {
		text += " in claims of type " + clip(e.Type)
	}
	text += ": " + e.Detail
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns why evidence was refused.
func (e *TrustError) Unwrap() error { return e.Err }

// Validate returns a [*TrustError] if nobody is trusted, or nobody is with one of the types.
func (t Trust) Validate(types ...string) error {
	if len(t.Verifiers) == 0 {
		return &TrustError{Detail: "no Verifiers, so that nobody's evidence counts; name the public keys of those who sign, such as key.Public()"}
	}
	for i, v := range t.Verifiers {
		if k, isKey := v.(PublicKey); v == nil || isKey && len(k.key) == 0 {
			return &TrustError{Detail: fmt.Sprintf("verifier %d is empty; make it with Key.Public or ParsePublicKey", i+1)}
		}
	}
	if len(t.Roles) == 0 {
		return &TrustError{Detail: "no Roles, so that nobody may claim anything; list who may claim what, or use FullTrust if everybody may claim everything"}
	}
	for _, typ := range types {
		names := t.names(typ)
		if len(names) == 0 {
			return &TrustError{Type: typ, Detail: "nobody may make them; add a name to Roles for this type"}
		}
		if known := t.known(); known != nil && !slices.Contains(names, Anyone) && !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(known, n) }) {
			return &TrustError{Type: typ, Detail: fmt.Sprintf("Roles has %q, but the verifiers know %q only", names, known)}
		}
	}
	return nil
}

// known returns the names that the verifiers know, or nil if one of them is no key and may know any.
func (t Trust) known() []string {
	var names []string
	for _, v := range t.Verifiers {
		k, isKey := v.(PublicKey)
		if !isKey {
			return nil
		}
		names = append(names, k.Name())
	}
	return names
}

// probeType is the payload type of what [Trust.Accepts] has signed. It is that of no evidence.
const probeType = "application/vnd.gennaker.probe"

// Accepts returns a [*TrustError] if what the signer signs is not trusted, or not with one of the types. It has the signer sign
// a probe, which is no evidence of anything, and returns the signer's error if it cannot.
func (t Trust) Accepts(ctx context.Context, signer Signer, types ...string) error {
	sig, err := signer.Sign(ctx, PAE(probeType, nil))
	if err != nil {
		return err
	}
	ids, err := t.signers(ctx, Envelope{PayloadType: probeType, Signatures: []Signature{sig}})
	if err != nil {
		return &TrustError{Detail: "the signer is not among the Verifiers; add its public key, such as key.Public()", Err: err}
	}
	for _, typ := range types {
		if !slices.ContainsFunc(ids, func(id Identity) bool { return t.allows(typ, id) }) {
			return &TrustError{Type: typ, Detail: fmt.Sprintf("%q may not make them; add the name to Roles for this type", ids[0].Name)}
		}
	}
	return nil
}
