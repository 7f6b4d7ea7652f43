package evidence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

func newKey(t testing.TB, name string) *evidence.Key {
	t.Helper()
	k, err := evidence.NewKey(name)
	require.NoError(t, err)
	return k
}

// signed returns a predicate about a set as bytes, signed by each key.
func signed(t testing.TB, set artifact.Set, p evidence.Predicate, keys ...evidence.Signer) []byte {
	t.Helper()
	s, err := evidence.About(set, p)
	require.NoError(t, err)
	e, err := evidence.Sign(t.Context(), s, keys...)
	require.NoError(t, err)
	data, err := json.Marshal(e)
	require.NoError(t, err)
	return data
}

func predicates() []evidence.Predicate {
	return []evidence.Predicate{
		evidence.NewTestResult("smoke", evidence.Passed, noon).In("shop", "test"),
		evidence.Soak{Application: "shop", Environment: "test", Since: noon, Until: noon.Add(time.Hour)},
		evidence.Approval{Application: "shop", Environment: "prod", Approver: "alice", Approved: true, At: noon},
		evidence.Canary{Application: "shop", Environment: "prod", Outcome: "pass", Metrics: map[string]float64{"errors": 0.01}, At: noon},
		evidence.Provenance{BuildDefinition: evidence.BuildDefinition{BuildType: "https://example.com/build/v1", ExternalParameters: json.RawMessage(`{"tag":"1"}`)},
			RunDetails: evidence.RunDetails{Builder: evidence.Builder{ID: "https://ci.example.com"}}},
		evidence.Summary{Verifier: evidence.VerifierID{ID: "https://example.com"}, ResourceURI: "x:prod", Policy: evidence.Resource{URI: "x:policy"},
			Result: evidence.Passed, VerifiedLevels: []string{evidence.LevelUnevaluated}},
	}
}

func TestOpen(t *testing.T) {
	t.Parallel()
	set, key := aSet(t, "api", "web"), newKey(t, "ci")
	trust := evidence.FullTrust(newKey(t, "other").Public(), key.Public())
	for _, p := range predicates() {
		data := signed(t, set, p, key)
		require.Equal(t, data, signed(t, set, p, key), "the same evidence has the same bytes")
		v, err := evidence.Open(t.Context(), data, set, trust)
		require.NoError(t, err)
		require.Equal(t, p, v.Predicate())
		require.Equal(t, p.Type(), v.PredicateType())
		require.Equal(t, artifact.FromBytes(data), v.Digest())
		require.Equal(t, set.Digest(), v.Set())
		require.True(t, v.Whole())
		require.True(t, v.Covers(artifact.FromBytes([]byte("web"))))
		require.False(t, v.Covers(""))
		require.Equal(t, []evidence.Identity{{Name: "ci", KeyID: key.Public().ID()}}, v.Signers())
	}
}

// Evidence about one image that another tool has made counts for that image, not for the set.
func TestOpenAboutOneArtifact(t *testing.T) {
	t.Parallel()
	web, key := aSet(t, "web"), newKey(t, "ci")
	v, err := evidence.Open(t.Context(), signed(t, web, predicates()[4], key), aSet(t, "api", "web"), evidence.FullTrust(key.Public()))
	require.NoError(t, err)
	require.False(t, v.Whole())
	require.True(t, v.Covers(artifact.FromBytes([]byte("web"))))
	require.False(t, v.Covers(artifact.FromBytes([]byte("api"))))
}

// A set may have the JSON of another set among its files. What is said about it is not said about the other one.
func TestOpenAboutASetInsideASet(t *testing.T) {
	t.Parallel()
	wanted, key := aSet(t, "web"), newKey(t, "boss")
	bait, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindFile, Name: "notes", Digest: artifact.FromBytes(wanted.Canonical())})
	require.NoError(t, err)
	data := signed(t, bait, predicates()[2], key)
	v, err := evidence.Open(t.Context(), data, wanted, evidence.FullTrust(key.Public()))
	require.NoError(t, err)
	require.False(t, v.Whole())
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	set, ci, boss, stranger := aSet(t, "web"), newKey(t, "ci"), newKey(t, "boss"), newKey(t, "stranger")
	trust := evidence.Trust{
		Verifiers: []evidence.Verifier{ci.Public(), boss.Public()},
		Roles:     map[string][]string{evidence.TypeApproval: {"boss"}, evidence.AnyType: {evidence.Anyone}},
	}
	test, approval := predicates()[0], predicates()[2]
	edit := func(data []byte, change func(e *evidence.Envelope)) []byte {
		e, err := evidence.ParseEnvelope(data)
		require.NoError(t, err)
		change(&e)
		out, err := json.Marshal(e)
		require.NoError(t, err)
		return out
	}
	raw := func(payload string) []byte {
		e := evidence.Envelope{PayloadType: evidence.PayloadType, Payload: []byte(payload)}
		s, err := ci.Sign(t.Context(), evidence.PAE(e.PayloadType, e.Payload))
		require.NoError(t, err)
		e.Signatures = []evidence.Signature{s}
		data, err := json.Marshal(e)
		require.NoError(t, err)
		return data
	}
	subject := fmt.Sprintf(`"subject":[{"digest":{"sha256":"%s"}}]`, set.Digest().Hex())
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"unsigned": {edit(signed(t, set, test, ci), func(e *evidence.Envelope) { e.Signatures = nil }), evidence.ErrUnsigned},
		"foreign":  {signed(t, set, test, stranger), evidence.ErrForeign},
		"payload changed": {edit(signed(t, set, test, ci), func(e *evidence.Envelope) {
			e.Payload = bytes.Replace(e.Payload, []byte("PASSED"), []byte("FAILED"), 1)
		}), evidence.ErrTampered},
		"type changed":          {edit(signed(t, set, test, ci), func(e *evidence.Envelope) { e.PayloadType = "text/plain" }), evidence.ErrTampered},
		"signature changed":     {edit(signed(t, set, test, ci), func(e *evidence.Envelope) { e.Signatures[0].Sig[3] ^= 1 }), evidence.ErrTampered},
		"signature cut":         {edit(signed(t, set, test, ci), func(e *evidence.Envelope) { e.Signatures[0].Sig = nil }), evidence.ErrTampered},
		"stranger as ci":        {edit(signed(t, set, test, stranger), func(e *evidence.Envelope) { e.Signatures[0].KeyID = ci.Public().ID() }), evidence.ErrTampered},
		"ci may not approve":    {signed(t, set, approval, ci), evidence.ErrNotAllowed},
		"another set":           {signed(t, aSet(t, "other"), test, ci), evidence.ErrOtherSubject},
		"no JSON":               {[]byte("x"), evidence.ErrMalformed},
		"no statement":          {raw(`{}`), evidence.ErrMalformed},
		"old statement":         {raw(`{"_type":"https://in-toto.io/Statement/v0.1",` + subject + `,"predicateType":"x"}`), evidence.ErrMalformed},
		"no subject":            {raw(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"x"}`), evidence.ErrMalformed},
		"subject by no digest":  {raw(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"web"}],"predicateType":"x"}`), evidence.ErrMalformed},
		"no predicate type":     {raw(`{"_type":"https://in-toto.io/Statement/v1",` + subject + `}`), evidence.ErrMalformed},
		"predicate of no shape": {raw(`{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"` + evidence.TypeTestResult + `","predicate":[]}`), evidence.ErrMalformed},
		"predicate not valid":   {raw(`{"_type":"https://in-toto.io/Statement/v1",` + subject + `,"predicateType":"` + evidence.TypeTestResult + `","predicate":{"result":"GREEN"}}`), evidence.ErrMalformed},
	} {
		_, err := evidence.Open(t.Context(), c.data, set, trust)
		require.ErrorIs(t, err, c.want, name)
		var refused *evidence.Error
		require.ErrorAs(t, err, &refused, name)
		require.Equal(t, artifact.FromBytes(c.data), refused.Evidence, name)
	}

	// Nobody is trusted unless somebody says so.
	_, err := evidence.Open(t.Context(), signed(t, set, test, ci), set, evidence.Trust{})
	require.ErrorIs(t, err, evidence.ErrForeign)
	// A stranger beside somebody who is trusted does no harm, and has no say.
	v, err := evidence.Open(t.Context(), signed(t, set, approval, stranger, ci, boss), set, trust)
	require.NoError(t, err)
	require.Equal(t, []evidence.Identity{{Name: "boss", KeyID: boss.Public().ID()}}, v.Signers())
	// A key id is a hint: none, or a wrong one, does not hide a good signature.
	for _, id := range []string{"", boss.Public().ID(), "x"} {
		data := edit(signed(t, set, test, ci), func(e *evidence.Envelope) { e.Signatures[0].KeyID = id })
		v, err := evidence.Open(t.Context(), data, set, trust)
		require.NoError(t, err)
		require.Equal(t, "ci", v.Signers()[0].Name)
	}
	// A type that is not ours is verified all the same.
	v, err = evidence.Open(t.Context(), raw(`{"_type":"https://in-toto.io/Statement/v1",`+subject+`,"predicateType":"https://spdx.dev/Document","predicate":{}}`), set, trust)
	require.NoError(t, err)
	require.Nil(t, v.Predicate())
}

func TestAboutRefuses(t *testing.T) {
	t.Parallel()
	set := aSet(t, "web")
	for _, p := range []evidence.Predicate{
		evidence.TestResult{}, evidence.TestResult{Result: evidence.Passed}, evidence.NewTestResult("", evidence.Passed, noon), evidence.NewTestResult("a", "ok", noon),
		evidence.TestResult{Result: evidence.Passed}.In("shop", "test"), evidence.NewTestResult("smoke", evidence.Failed, time.Time{}),
		evidence.TestResult{Result: evidence.Failed, Configuration: []evidence.Resource{{Name: "smoke"}}},
		&evidence.TestResult{Result: evidence.Failed, Configuration: []evidence.Resource{{Name: "smoke"}}},
		evidence.TestResult{Result: evidence.Failed, Configuration: []evidence.Resource{{Name: "smoke", Annotations: map[string]string{"finishedOn": "today"}}}},
		evidence.Soak{}, evidence.Soak{Application: "shop", Environment: "test"}, evidence.Soak{Environment: "test", Since: noon, Until: noon},
		evidence.Soak{Application: "shop", Environment: "test", Since: noon, Until: noon.Add(-1)},
		evidence.Approval{}, evidence.Approval{Application: "shop", Environment: "prod", At: noon}, evidence.Approval{Environment: "prod", Approver: "a", At: noon},
		evidence.Canary{}, evidence.Canary{Application: "shop", Environment: "prod", At: noon, Outcome: "good"}, evidence.Canary{Environment: "prod", At: noon, Outcome: "pass"},
		evidence.Provenance{}, evidence.Summary{}, nil, (*evidence.Approval)(nil),
	} {
		_, err := evidence.About(set, p)
		require.ErrorIs(t, err, evidence.ErrMalformed, "%T", p)
	}
	_, err := evidence.About(artifact.Set{}, predicates()[0])
	require.ErrorIs(t, err, evidence.ErrMalformed)
	_, err = evidence.About(set, evidence.NewTestResult("smoke", evidence.Failed, time.Time{}))
	require.ErrorContains(t, err, `suite "smoke" without the time when the run ended`)
	for want, p := range map[string]evidence.Predicate{
		"approval without Approver, At":         evidence.Approval{Application: "shop", Environment: "prod"},
		"canary verdict without Environment":    evidence.Canary{Application: "shop", Outcome: "pass", At: noon},
		"soak without Application, Environment": evidence.Soak{Since: noon, Until: noon},
	} {
		_, err = evidence.About(set, p)
		require.ErrorContains(t, err, want)
	}
	_, err = evidence.Sign(t.Context(), evidence.Statement{})
	require.ErrorIs(t, err, evidence.ErrUnsigned)
}

// in-toto does not ask for the time of a test, so what others have signed without one is read.
func TestUndatedTestOfOthers(t *testing.T) {
	t.Parallel()
	set, ci := aSet(t, "web"), newKey(t, "ci")
	s, err := evidence.About(set, evidence.NewTestResult("smoke", evidence.Failed, noon))
	require.NoError(t, err)
	s.Predicate = []byte(`{"result":"FAILED","configuration":[{"name":"smoke"}]}`)
	e, err := evidence.Sign(t.Context(), s, ci)
	require.NoError(t, err)
	data, err := e.MarshalJSON()
	require.NoError(t, err)
	v, err := evidence.Open(t.Context(), data, set, evidence.FullTrust(ci.Public()))
	require.NoError(t, err)
	require.True(t, v.Predicate().(evidence.TestResult).Finished().IsZero())
}

func TestStore(t *testing.T) {
	t.Parallel()
	ctx, set, ci, stranger := t.Context(), aSet(t, "web"), newKey(t, "ci"), newKey(t, "stranger")
	tamper := map[string]bool{}
	below := &artifacttest.Faulty{Driver: new(memartifact.Driver), Stream: func(k driver.Key, r io.Reader) io.Reader {
		if tamper[k.Hash] {
			return io.MultiReader(bytes.NewReader([]byte("!")), r)
		}
		return r
	}}
	store := evidence.NewStore(artifact.NewStore(below, nil))
	put := func(p evidence.Predicate, k *evidence.Key) artifact.Digest {
		e, err := evidence.ParseEnvelope(signed(t, set, p, k))
		require.NoError(t, err)
		d, err := store.Put(ctx, set.Digest(), e)
		require.NoError(t, err)
		return d
	}
	trust := evidence.FullTrust(ci.Public())
	good, refused, err := store.Open(ctx, set, trust)
	require.NoError(t, err)
	require.Empty(t, good)
	require.Empty(t, refused)

	a, b, c := put(predicates()[0], ci), put(predicates()[1], ci), put(predicates()[1], stranger)
	require.Equal(t, a, put(predicates()[0], ci))
	all, err := store.List(ctx, set.Digest())
	require.NoError(t, err)
	require.ElementsMatch(t, []artifact.Digest{a, b, c}, all)
	tamper[b.Hex()] = true
	good, refused, err = store.Open(ctx, set, trust)
	require.NoError(t, err)
	require.Len(t, good, 1)
	require.Equal(t, a, good[0].Digest())
	why := map[artifact.Digest]error{}
	for _, r := range refused {
		why[r.Evidence] = r.Err
	}
	require.Equal(t, map[artifact.Digest]error{b: evidence.ErrTampered, c: evidence.ErrForeign}, why)

	broken := fmt.Errorf("the disk is gone")
	below.Before = func(_ context.Context, op string, _ driver.Key) error {
		if op == "get" {
			return broken
		}
		return nil
	}
	_, _, err = store.Open(ctx, set, trust)
	require.ErrorIs(t, err, broken, "what cannot be read is not the same as evidence that is no good")
}

// Nothing that is not signed by the key is ever accepted, and nothing panics.
func FuzzOpen(f *testing.F) {
	set, key := aSet(f, "web"), newKey(f, "ci")
	for _, p := range predicates() {
		f.Add(signed(f, set, p, key), []byte(nil))
	}
	f.Add([]byte(nil), []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"`+set.Digest().Hex()+`"}}],"predicateType":"`+evidence.TypeSoak+`","predicate":{}}`))
	trust := evidence.FullTrust(key.Public())
	f.Fuzz(func(t *testing.T, data, payload []byte) {
		if v, err := evidence.Open(t.Context(), data, set, trust); err == nil {
			e, err := evidence.ParseEnvelope(data)
			require.NoError(t, err)
			_, err = key.Public().Verify(t.Context(), evidence.PAE(e.PayloadType, e.Payload), e.Signatures[0])
			require.NoError(t, err)
			require.NotEmpty(t, v.Signers())
		}
		// What a trusted signer signs may still be anything.
		e := evidence.Envelope{PayloadType: evidence.PayloadType, Payload: payload}
		s, err := key.Sign(t.Context(), evidence.PAE(e.PayloadType, e.Payload))
		require.NoError(t, err)
		e.Signatures = []evidence.Signature{s}
		data, err = json.Marshal(e)
		require.NoError(t, err)
		if v, err := evidence.Open(t.Context(), data, set, trust); err == nil && v.Predicate() != nil {
			require.NoError(t, v.Predicate().Validate())
		}
	})
}
