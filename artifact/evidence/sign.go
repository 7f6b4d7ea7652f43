package evidence

import (
	"context"
	"slices"
)

// A Signer signs. [Key] is one; a client of a key service or of Sigstore is another.
type Signer interface {
	// Sign returns a signature over exactly these bytes, the pre-authentication encoding of an envelope.
	Sign(ctx context.Context, pae []byte) (Signature, error)
}

// A Verifier knows one signer, such as a [PublicKey], or a family of them, such as an issuer of certificates.
type Verifier interface {
	// Verify returns who made the signature. An error that wraps [ErrForeign] says that it is none of the verifier's, so that
	// the next one is asked; one that wraps [ErrTampered] says that it should be and does not fit these bytes.
	Verify(ctx context.Context, pae []byte, s Signature) (Identity, error)
}

// An Identity is who signed, as the [Verifier] has found out.
type Identity struct {
	// Name is what rules call the signer, such as "jenkins" or "release@example.com".
	Name string `json:"name"`
	// KeyID identifies the key or certificate.
	KeyID string `json:"keyId,omitempty"`
	// Issuer vouches for the name, if that is not the program's own configuration.
	Issuer string `json:"issuer,omitempty"`
}

// Trust says whose evidence counts. The zero Trust trusts nobody.
type Trust struct {
	// Verifiers are asked in turn who has signed.
	Verifiers []Verifier
	// Roles says who may claim what: names of identities, by predicate type. A type that is not listed is open to everyone
	// whom the Verifiers know; nil lists none.
	Roles map[string][]string
}

// allows reports whether the identity may make statements of that type.
func (t Trust) allows(predicateType string, id Identity) bool {
	names, restricted := t.Roles[predicateType]
	return !restricted || slices.Contains(names, id.Name)
}
