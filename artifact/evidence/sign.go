package evidence

import "context"

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
