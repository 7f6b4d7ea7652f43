package artifact_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/artifact"
)

func mustSet(t require.TestingT, artifacts ...artifact.Artifact) artifact.Set {
	set, err := artifact.NewSet(artifacts...)
	require.NoError(t, err)
	return set
}

func file(name, version string) artifact.Artifact {
	return artifact.Artifact{Kind: artifact.KindFile, Name: name, Version: version}
}

// The digest is a promise to everything that was ever recorded: these bytes may not change.
func TestSetCanonical(t *testing.T) {
	t.Parallel()
	image, err := artifact.Image("registry.test:5000/shop/web:1.4.2@sha256:" + hex64)
	require.NoError(t, err)
	image = image.WithMetadata("note", "a<b> & \"c\"\\\n\t\x01\u2028ü").WithMetadata("build", "42").WithMetadata("Build", "")
	set := mustSet(t, file("report", ""), image)
	want := `{"artifacts":[{"kind":"file","name":"report"},{"digest":"sha256:` + hex64 + `","kind":"image",` +
		`"location":"registry.test:5000/shop/web@sha256:` + hex64 + `",` +
		`"metadata":{"Build":"","build":"42","note":"a<b> & \"c\"\\\n\t\u0001` + "\u2028ü" + `"},` +
		`"name":"shop/web","version":"1.4.2"}]}`
	require.Equal(t, want, string(set.Canonical()))
	require.Equal(t, artifact.FromBytes([]byte(want)), set.Digest())
	// Computed once by another program, from the same document.
	require.Equal(t, artifact.Digest("sha256:25c2d379b979f21184ed72fe6e3902eb4bab75ab03e536924e775b2ab744d8d4"), set.Digest())
}

func TestSetZero(t *testing.T) {
	t.Parallel()
	var zero artifact.Set
	require.Zero(t, zero.Len())
	require.True(t, zero.IsZero())
	require.Equal(t, "{}", zero.String())
	require.Equal(t, artifact.FromBytes([]byte(`{"artifacts":[]}`)), zero.Digest())
	require.Empty(t, slices.Collect(zero.All()))
	_, ok := zero.Find(artifact.KindImage, "web")
	require.False(t, ok)
	require.Equal(t, zero, mustSet(t))
	require.True(t, zero.Equal(mustSet(t)))

	data, err := json.Marshal(struct {
		Set  artifact.Set
		Omit artifact.Set `json:",omitzero"`
	}{})
	require.NoError(t, err)
	require.Equal(t, `{"Set":{"artifacts":[]}}`, string(data))
}

func TestSetIsImmutable(t *testing.T) {
	t.Parallel()
	metadata := map[string]string{"build": "42"}
	list := []artifact.Artifact{{Kind: artifact.KindFile, Name: "report", Metadata: metadata}}
	set := mustSet(t, list...)
	digest := set.Digest()
	metadata["build"] = "43"
	list[0].Name = "changed"
	for a := range set.All() {
		a.Metadata["build"] = "44"
	}
	a, ok := set.Find(artifact.KindFile, "report")
	require.True(t, ok)
	a.Metadata["build"] = "45"
	for a := range set.OfKind(artifact.KindFile) {
		a.Metadata["build"] = "46"
	}
	require.Equal(t, digest, set.Digest())
	require.Equal(t, digest, artifact.FromBytes(set.Canonical()))
}

func TestNewSetRefuses(t *testing.T) {
	t.Parallel()
	_, err := artifact.NewSet(
		artifact.Artifact{Kind: artifact.KindImage, Name: "shop/web", Version: "latest"},
		file("report", "1"), file("report", "1"), file("report", "2"),
		artifact.Artifact{Kind: artifact.KindCommit, Name: "shop", Version: "main"},
	)
	var setErr *artifact.SetError
	require.ErrorAs(t, err, &setErr)
	require.ErrorIs(t, err, artifact.ErrNoDigest)
	require.ErrorIs(t, err, artifact.ErrConflict)
	require.ErrorIs(t, err, artifact.ErrInvalid)
	for _, want := range []string{`artifact image "shop/web": no digest`, `artifact file "report": conflict`, `artifact commit "shop"`} {
		require.ErrorContains(t, err, want)
	}
	var artifactErr *artifact.ArtifactError
	require.ErrorAs(t, err, &artifactErr)
	require.Equal(t, "shop/web", artifactErr.Name)

	require.Equal(t, 1, mustSet(t, file("report", "1"), file("report", "1")).Len())
	many := make([]artifact.Artifact, 80)
	for i := range many {
		many[i] = file(fmt.Sprint(i), "").WithMetadata("k", strings.Repeat("v", 60_000))
	}
	_, err = artifact.NewSet(many...)
	require.ErrorIs(t, err, artifact.ErrInvalid)
	require.ErrorContains(t, err, "at most 4194304")
}

func TestSetWithAndMerge(t *testing.T) {
	t.Parallel()
	base := mustSet(t, file("a", "1"), file("b", "1"))
	next, err := base.With(file("b", "2"), file("c", "1"))
	require.NoError(t, err)
	require.Equal(t, "{file a:1, file b:2, file c:1}", next.String())
	require.Equal(t, "{file a:1, file b:1}", base.String())

	merged, err := base.Merge(mustSet(t, file("b", "1"), file("d", "1")), artifact.Set{})
	require.NoError(t, err)
	require.Equal(t, "{file a:1, file b:1, file d:1}", merged.String())
	_, err = base.Merge(next)
	require.ErrorIs(t, err, artifact.ErrConflict)
	_, err = base.With(artifact.Artifact{})
	require.ErrorIs(t, err, artifact.ErrInvalid)
	_, err = base.With(file("z", "1"), file("z", "2"))
	require.ErrorIs(t, err, artifact.ErrConflict)

	found, ok := next.Find(artifact.KindFile, "b")
	require.True(t, ok)
	require.Equal(t, "2", found.Version)
	_, ok = next.Find(artifact.KindChart, "b")
	require.False(t, ok)
	require.Len(t, slices.Collect(next.OfKind(artifact.KindFile)), 3)
	require.Empty(t, slices.Collect(next.OfKind(artifact.KindImage)))
}

func TestSetUnmarshalRefuses(t *testing.T) {
	t.Parallel()
	before := mustSet(t, file("a", "1"))
	for _, in := range []string{
		`{}`, `[]`, `"x"`, `{"artifacts":null}`, `{"artifacts":{}}`, `{"artifacts":[{}]}`, `{"artifacts":[null]}`,
		`{"artifacts":[],"more":1}`, `{"artifacts":[{"kind":"file","name":"a","size":1}]}`,
		`{"artifacts":[{"kind":"image","name":"a"}]}`,
		`{"artifacts":[{"kind":"file","name":"a","version":"1"},{"kind":"file","name":"a","version":"2"}]}`,
	} {
		set := before
		err := json.Unmarshal([]byte(in), &set)
		var setErr *artifact.SetError
		require.ErrorAs(t, err, &setErr, in)
		require.Equal(t, before, set, in)
	}
	set := before
	require.ErrorIs(t, set.UnmarshalJSON([]byte(`{"artifacts":[]} x`)), artifact.ErrInvalid)
	require.Error(t, json.Unmarshal([]byte(`{"artifacts":[`), &set))
	require.NoError(t, json.Unmarshal([]byte(`null`), &set))
	require.Equal(t, before, set)
}

// genArtifact draws artifacts that are valid, with text that is awkward in JSON.
func genArtifact() *rapid.Generator[artifact.Artifact] {
	return rapid.Custom(func(t *rapid.T) artifact.Artifact {
		a := artifact.Artifact{
			Kind:     rapid.SampledFrom([]artifact.Kind{"image", "chart", "manifests", "file", "commit", "x-1"}).Draw(t, "kind"),
			Name:     rapid.StringMatching(`[a-zü<&"\\/]{1,6}`).Draw(t, "name"),
			Version:  rapid.StringMatching(`[0-9a-z.+"<é\\]{0,8}`).Draw(t, "version"),
			Metadata: rapid.MapOfN(rapid.StringMatching(`[a-zA-Z0-9._/-]{1,4}`), rapid.String(), 0, 3).Draw(t, "metadata"),
		}
		if a.Kind != "file" || rapid.Bool().Draw(t, "digest") {
			a.Digest = artifact.FromBytes([]byte(rapid.String().Draw(t, "content")))
		}
		switch a.Kind {
		case artifact.KindCommit:
			a.Version = rapid.StringMatching(`[0-9a-f]{40}`).Draw(t, "commit")
		case artifact.KindImage:
			a.Location = "registry.test/shop@" + string(a.Digest)
		default:
			a.Location = rapid.StringMatching(`(https://ci\.test/[a-z<>&]{0,4})?`).Draw(t, "location")
		}
		return a
	})
}

func genArtifacts() *rapid.Generator[[]artifact.Artifact] {
	return rapid.SliceOfNDistinct(genArtifact(), 0, 6, func(a artifact.Artifact) string { return string(a.Kind) + " " + a.Name })
}

func TestSetProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := genArtifacts().Draw(t, "artifacts")
		set := mustSet(t, list...)

		// Order, and giving something twice, make no difference.
		seed := rapid.Uint64().Draw(t, "seed")
		shuffled := append(slices.Clone(list), list[:len(list)/2]...)
		rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again := mustSet(t, shuffled...)
		require.Equal(t, set.Digest(), again.Digest())
		require.Equal(t, set, again)
		require.Equal(t, len(list), set.Len())

		// JSON goes there and back, however it is formatted and ordered.
		data, err := json.MarshalIndent(set, " ", "\t")
		require.NoError(t, err)
		var back artifact.Set
		require.NoError(t, json.Unmarshal(data, &back))
		require.Equal(t, set, back)
		require.Equal(t, set.Digest(), back.Digest())
		plain, err := json.Marshal(map[string]any{"artifacts": shuffled})
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(plain, &back))
		require.Equal(t, set.Canonical(), back.Canonical())

		// The canonical form says what encoding/json would say.
		var ours, theirs any
		require.NoError(t, json.Unmarshal(set.Canonical(), &ours))
		require.NoError(t, json.Unmarshal(data, &theirs))
		require.Equal(t, theirs, ours)
	})
}

// Two sets have one digest exactly if they hold the same.
func TestSetDigestTellsSetsApart(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		list := genArtifacts().Draw(t, "artifacts")
		set := mustSet(t, list...)
		other := mustSet(t, genArtifacts().Draw(t, "others")...)
		require.Equal(t, bytes.Equal(set.Canonical(), other.Canonical()), set.Equal(other))
		if len(list) == 0 {
			return
		}
		i := rapid.IntRange(0, len(list)-1).Draw(t, "index")
		changed := list[i].WithMetadata("changed", "yes")
		next, err := set.With(changed)
		require.NoError(t, err)
		require.False(t, set.Equal(next))
		require.Equal(t, set.Len(), next.Len())
		restored, err := next.With(list[i])
		require.NoError(t, err)
		require.True(t, set.Equal(restored))
	})
}

// FuzzSetUnmarshalJSON decodes anything. What is accepted is a valid set with one canonical form.
func FuzzSetUnmarshalJSON(f *testing.F) {
	f.Add([]byte(`{"artifacts":[]}`))
	f.Add([]byte(`{"artifacts":[{"kind":"file","name":"a","metadata":{"a":"\u2028"}},{"kind":"file","name":"b"}]}`))
	f.Add([]byte(`{"artifacts":[{"kind":"image","name":"a","digest":"sha256:` + hex64 + `"}],"artifacts":[{"kind":"file","name":"a"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var set, back artifact.Set
		if json.Unmarshal(data, &set) != nil {
			require.Zero(t, set)
			return
		}
		for a := range set.All() {
			require.NoError(t, a.Validate())
		}
		require.NoError(t, json.Unmarshal(set.Canonical(), &back))
		require.Equal(t, set, back)
		require.Equal(t, artifact.FromBytes(set.Canonical()), set.Digest())
	})
}
