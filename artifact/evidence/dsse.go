package evidence

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
)

// Limits of an envelope.
const (
	MaxSize       = 1 << 20 // bytes of its JSON
	MaxSignatures = 16
)

// An Envelope is a DSSE envelope, version 1: bytes of some type, and signatures over both.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []Signature
}

// A Signature is one signature of an envelope. KeyID, Cert and Extension are not covered by it: they help to find the key,
// and a [Verifier] must not believe them.
type Signature struct {
	KeyID string
	Sig   []byte
	// Cert is a chain of certificates in PEM, for signers that have one instead of a key.
	Cert string
	// Extension is whatever else a signer adds, such as the proof of a transparency log, as DSSE's extension proposal has it.
	Extension json.RawMessage
}

// PAE returns the pre-authentication encoding of DSSE: what is signed.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len(payload)+len(payloadType)+32)
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// Sign puts a statement into an envelope, signed by each of the signers.
func Sign(ctx context.Context, s Statement, signers ...Signer) (Envelope, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return Envelope{}, malformed("statement: %v", err)
	}
	e := Envelope{PayloadType: PayloadType, Payload: payload}
	for _, signer := range signers {
		sig, err := signer.Sign(ctx, PAE(e.PayloadType, e.Payload))
		if err != nil {
			return Envelope{}, err
		}
		e.Signatures = append(e.Signatures, sig)
	}
	if len(e.Signatures) == 0 {
		return Envelope{}, &Error{Err: ErrUnsigned, Detail: "no signer was given"}
	}
	return e, nil
}

type envelopeJSON struct {
	PayloadType string          `json:"payloadType"`
	Payload     *string         `json:"payload"`
	Signatures  []signatureJSON `json:"signatures"`
}

type signatureJSON struct {
	KeyID     string          `json:"keyid,omitempty"`
	Sig       string          `json:"sig"`
	Cert      string          `json:"cert,omitempty"`
	Extension json.RawMessage `json:"extension,omitempty"`
}

// MarshalJSON writes the envelope as DSSE's JSON. Equal envelopes have equal bytes.
func (e Envelope) MarshalJSON() ([]byte, error) {
	payload := base64.StdEncoding.EncodeToString(e.Payload)
	out := envelopeJSON{PayloadType: e.PayloadType, Payload: &payload, Signatures: []signatureJSON{}}
	for _, s := range e.Signatures {
		out.Signatures = append(out.Signatures, signatureJSON{s.KeyID, base64.StdEncoding.EncodeToString(s.Sig), s.Cert, s.Extension})
	}
	return json.Marshal(out)
}

// ParseEnvelope decodes an envelope, with either alphabet of base64, as DSSE asks for. It verifies nothing. The error is an
// [*Error] that wraps [ErrMalformed].
func ParseEnvelope(data []byte) (Envelope, error) {
	var in envelopeJSON
	if err := decode(data, &in); err != nil {
		return Envelope{}, malformed("envelope: %v", err)
	}
	switch {
	case in.Payload == nil:
		return Envelope{}, malformed("envelope without a payload")
	case len(in.Signatures) > MaxSignatures:
		return Envelope{}, malformed("envelope with %d signatures, at most %d are allowed", len(in.Signatures), MaxSignatures)
	}
	payload, err := unbase64(*in.Payload)
	if err != nil {
		return Envelope{}, malformed("envelope: payload: %v", err)
	}
	e := Envelope{PayloadType: in.PayloadType, Payload: payload}
	for _, s := range in.Signatures {
		sig, err := unbase64(s.Sig)
		if err != nil {
			return Envelope{}, malformed("envelope: signature: %v", err)
		}
		e.Signatures = append(e.Signatures, Signature{KeyID: s.KeyID, Sig: sig, Cert: s.Cert, Extension: s.Extension})
	}
	return e, nil
}

func unbase64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "-_") {
		return base64.URLEncoding.Strict().DecodeString(s)
	}
	return base64.StdEncoding.Strict().DecodeString(s)
}
