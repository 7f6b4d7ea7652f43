package evidence_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
)

// p256 verifies as the example of DSSE's protocol.md does: ECDSA over P-256, r and s one after the other.
type p256 struct{ key *ecdsa.PublicKey }

func (v p256) Verify(_ context.Context, pae []byte, s evidence.Signature) (evidence.Identity, error) {
	sum := sha256.Sum256(pae)
	r, t := new(big.Int).SetBytes(s.Sig[:32]), new(big.Int).SetBytes(s.Sig[32:])
	if !ecdsa.Verify(v.key, sum[:], r, t) {
		return evidence.Identity{}, &evidence.Error{Err: evidence.ErrTampered}
	}
	return evidence.Identity{Name: "example"}, nil
}

// The example of DSSE 1.0.0, protocol.md, "Test Vectors".
func TestSpecificationExample(t *testing.T) {
	t.Parallel()
	const want = "DSSEv1 29 http://example.com/HelloWorld 11 hello world"
	require.Equal(t, want, string(evidence.PAE("http://example.com/HelloWorld", []byte("hello world"))))

	e, err := evidence.ParseEnvelope([]byte(`{"payload":"aGVsbG8gd29ybGQ=","payloadType":"http://example.com/HelloWorld",
		"signatures":[{"sig":"A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}`))
	require.NoError(t, err)
	require.Equal(t, "hello world", string(e.Payload))
	number := func(s string) []byte {
		n, ok := new(big.Int).SetString(s, 10)
		require.True(t, ok)
		return n.FillBytes(make([]byte, 32))
	}
	point := append([]byte{4}, number("46950820868899156662930047687818585632848591499744589407958293238635476079160")...)
	point = append(point, number("5640078356564379163099075877009565129882514886557779369047442380624545832820")...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	require.NoError(t, err)
	pae := evidence.PAE(e.PayloadType, e.Payload)
	_, err = p256{key}.Verify(t.Context(), pae, e.Signatures[0])
	require.NoError(t, err, "a signature made by the specification's authors fits our encoding")

	// A verifier of another kind than a key takes part like any other; the payload is no statement, though.
	data, err := json.Marshal(e)
	require.NoError(t, err)
	_, err = evidence.Open(t.Context(), data, aSet(t, "web"), evidence.FullTrust(p256{key}))
	require.ErrorIs(t, err, evidence.ErrMalformed)
}

// PAEs and Ed25519 signatures by key A (test 1 of RFC 8032, section 7.1) of DSSE's own test vectors.
func TestSpecificationVectors(t *testing.T) {
	t.Parallel()
	const statement = `{"_type":"https://in-toto.io/Statement/v1"}`
	for name, c := range map[string]struct{ payloadType, payload, pae string }{
		"single signature": {"application/vnd.in-toto+json", statement,
			"445353457631203238206170706c69636174696f6e2f766e642e696e2d746f746f2b6a736f6e203433207b225f74797065223a2268747470733a2f2f696e2d746f746f2e696f2f53746174656d656e742f7631227d"},
		"not ASCII": {"application/vnd.exämple+json", statement,
			"445353457631203239206170706c69636174696f6e2f766e642e6578c3a46d706c652b6a736f6e203433207b225f74797065223a2268747470733a2f2f696e2d746f746f2e696f2f53746174656d656e742f7631227d"},
		"empty": {"application/vnd.in-toto+json", "", "445353457631203238206170706c69636174696f6e2f766e642e696e2d746f746f2b6a736f6e203020"},
		"bytes": {"application/vnd.in-toto+json", "\xfb\xff\xbf>?", "445353457631203238206170706c69636174696f6e2f766e642e696e2d746f746f2b6a736f6e203520fbffbf3e3f"},
	} {
		require.Equal(t, c.pae, hex.EncodeToString(evidence.PAE(c.payloadType, []byte(c.payload))), name)
	}
	key := publicKey(t, "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
	for name, c := range map[string]struct {
		envelope string
		good     bool
	}{
		"signature": {`{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"A",
			"sig":"2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="}]}`, true},
		"URL-safe": {`{"payload":"-_-_Pj8=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"A",
			"sig":"P-_KHICeR7tI6S_YyejJTRtrXhcQyQ2LYPaL8h90KjC9qN8HU_svOQ6TuDOT1HIrsGW886DbWNWcCmX5twLrAw=="}]}`, true},
		"another type": {`{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEifQ==","payloadType":"application/vnd.example.other+json","signatures":[{"keyid":"A",
			"sig":"2WAfaHm5jluo0w+0rk8uVkluELJYWjSmU9x7EUzx+AyteDGJ4/nqyJXfmAUVFIAoQafWm7AxBZNw5M9ixNHiCA=="}]}`, false},
	} {
		e, err := evidence.ParseEnvelope([]byte(c.envelope))
		require.NoError(t, err, name)
		_, err = key.Verify(t.Context(), evidence.PAE(e.PayloadType, e.Payload), e.Signatures[0])
		if c.good {
			require.NoError(t, err, name)
		} else {
			require.ErrorIs(t, err, evidence.ErrForeign, name)
		}
	}
}

func publicKey(t *testing.T, digits string) evidence.PublicKey {
	t.Helper()
	raw, err := hex.DecodeString(digits)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(ed25519.PublicKey(raw))
	require.NoError(t, err)
	key, err := evidence.ParsePublicKey("A", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	require.NoError(t, err)
	return key
}

func TestParseEnvelopeRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "null", "[]", "{}", `{"payload":1}`, `{"payload":"!","signatures":[]}`, `{"payload":"YQ==","signatures":[{"sig":"!"}]}`,
		`{"payload":"YQ==","signatures":[]} {}`, `{"payload":"YR==","signatures":[]}`,
		`{"payload":"YQ==","signatures":[{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}]}`,
	} {
		_, err := evidence.ParseEnvelope([]byte(in))
		require.ErrorIs(t, err, evidence.ErrMalformed, in)
	}
	_, err := evidence.ParseEnvelope(make([]byte, evidence.MaxSize+1))
	require.ErrorIs(t, err, evidence.ErrMalformed)
}

// Whatever can be parsed comes back the same when it is written and parsed again.
func FuzzEnvelope(f *testing.F) {
	f.Add([]byte(`{"payload":"-_-_Pj8=","payloadType":"t","signatures":[{"keyid":"A","sig":"YQ==","cert":"c","extension":{"kind":"x"}}]}`))
	f.Add([]byte(`{"payload":"","signatures":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := evidence.ParseEnvelope(data)
		if err != nil {
			require.ErrorIs(t, err, evidence.ErrMalformed)
			return
		}
		out, err := json.Marshal(e)
		require.NoError(t, err)
		again, err := evidence.ParseEnvelope(out)
		require.NoError(t, err)
		once, err := json.Marshal(again)
		require.NoError(t, err)
		require.Equal(t, string(out), string(once))
		require.Equal(t, evidence.PAE(e.PayloadType, e.Payload), evidence.PAE(again.PayloadType, again.Payload))
	})
}

func aSet(t testing.TB, names ...string) artifact.Set {
	t.Helper()
	var all []artifact.Artifact
	for _, n := range names {
		all = append(all, artifact.Artifact{Kind: artifact.KindImage, Name: n, Digest: artifact.FromBytes([]byte(n))})
	}
	set, err := artifact.NewSet(all...)
	require.NoError(t, err)
	return set
}
