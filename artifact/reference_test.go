package artifact_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
)

const hex64 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestParseReference(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, registry, path, tag, digest string }{
		{in: "nginx", path: "nginx"},
		{in: "nginx:1.27", path: "nginx", tag: "1.27"},
		{in: "bitnami/redis", path: "bitnami/redis"},
		{in: "localhost/web", registry: "localhost", path: "web"},
		{in: "localhost:5000/web", registry: "localhost:5000", path: "web"},
		{in: "localhost:5000", path: "localhost", tag: "5000"},
		{in: "ghcr.io/gennaker/shop/web:v1", registry: "ghcr.io", path: "gennaker/shop/web", tag: "v1"},
		{in: "Registry/web", registry: "Registry", path: "web"},
		{in: "127.0.0.1:5000/a/b:T_a.g-1@sha256:" + hex64, registry: "127.0.0.1:5000", path: "a/b", tag: "T_a.g-1", digest: "sha256:" + hex64},
		{in: "[2001:db8::1]:5000/web", registry: "[2001:db8::1]:5000", path: "web"},
		{in: "[::1]/web@sha256:" + hex64, registry: "[::1]", path: "web", digest: "sha256:" + hex64},
		{in: "a__b/c--d/e.f/g_h", path: "a__b/c--d/e.f/g_h"},
		{in: "r.io/" + strings.Repeat("a", 255), registry: "r.io", path: strings.Repeat("a", 255)},
		{in: "web:" + strings.Repeat("1", 128), path: "web", tag: strings.Repeat("1", 128)},
	} {
		ref, err := artifact.ParseReference(tt.in)
		require.NoError(t, err, tt.in)
		require.Equal(t, tt.registry, ref.Registry(), tt.in)
		require.Equal(t, tt.path, ref.Path(), tt.in)
		require.Equal(t, tt.tag, ref.Tag(), tt.in)
		require.Equal(t, tt.digest, ref.Digest().String(), tt.in)
		require.Equal(t, tt.digest != "", ref.Pinned(), tt.in)
		require.Equal(t, tt.in, ref.String())
	}
}

func TestParseReferenceRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                    "empty",
		"https://ghcr.io/shop/web":            "without a scheme",
		hex64:                                 "image id",
		"Web":                                 "lower case",
		"ghcr.io/Shop/web":                    "lower case",
		"ghcr.io/":                            "names no repository",
		"ghcr.io//web":                        "part of a repository path",
		"shop/web:":                           "tag after the colon is empty",
		"shop/web:-1":                         "tag",
		"shop/web:1/2":                        "part of a repository path",
		"a.b/web:1/2":                         "part of a repository path",
		"a_b.c/web":                           "not a host name",
		"web:" + strings.Repeat("1", 129):     "at most 128",
		"r.io/" + strings.Repeat("a", 256):    "at most 255",
		"shop/web@":                           "want sha256:",
		"shop/web@sha256:abc":                 "3 hexadecimal digits, want 64",
		"shop/web@sha512:" + hex64 + hex64:    "use sha256",
		"shop/web@sha256:" + hex64 + ":v1":    "hexadecimal digits, want 64",
		"shop/web@sha256:" + hex64[:63] + "A": "lower-case",
		"shop/a_-b":                           "part of a repository path",
		"shop/a___b":                          "part of a repository path",
		"-r.io/web":                           "not a host name",
		"r..io/web":                           "not a host name",
		"r.io:/web":                           "not a number",
		"r.io:80a/web":                        "not a number",
		"[::1/web":                            "IPv6",
		"[::g]/web":                           "IPv6",
		"shop/web ":                           "white space",
		"shop/wéb":                            "part of a repository path",
	} {
		_, err := artifact.ParseReference(in)
		var refErr *artifact.ReferenceError
		require.ErrorAs(t, err, &refErr, in)
		require.ErrorIs(t, err, artifact.ErrInvalid, in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestReferenceNormalized(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"nginx":                      "docker.io/library/nginx",
		"docker.io/nginx:1":          "docker.io/library/nginx:1",
		"index.docker.io/nginx":      "docker.io/library/nginx",
		"bitnami/redis":              "docker.io/bitnami/redis",
		"index.docker.io/bitnami/r":  "docker.io/bitnami/r",
		"ghcr.io/nginx":              "ghcr.io/nginx",
		"localhost/nginx":            "localhost/nginx",
		"nginx:1@sha256:" + hex64:    "docker.io/library/nginx:1@sha256:" + hex64,
		"docker.io/library/nginx":    "docker.io/library/nginx",
		"registry-1.docker.io/a/b:c": "registry-1.docker.io/a/b:c",
	} {
		ref, err := artifact.ParseReference(in)
		require.NoError(t, err, in)
		require.Equal(t, want, ref.Normalized().String())
		require.Equal(t, ref.Normalized(), ref.Normalized().Normalized())
	}
	require.True(t, artifact.Reference{}.Normalized().IsZero())
}

func TestReferenceWithDigest(t *testing.T) {
	t.Parallel()
	ref, err := artifact.ParseReference("shop/web:1")
	require.NoError(t, err)
	pinned, err := ref.WithDigest("sha256:" + hex64)
	require.NoError(t, err)
	require.Equal(t, "shop/web:1@sha256:"+hex64, pinned.String())
	require.Equal(t, "shop/web@sha256:"+hex64, pinned.WithoutTag().String())
	require.False(t, ref.Pinned(), "the receiver has changed")

	var refErr *artifact.ReferenceError
	_, err = ref.WithDigest("sha256:12")
	require.ErrorAs(t, err, &refErr)
	_, err = artifact.Reference{}.WithDigest("sha256:" + hex64)
	require.ErrorAs(t, err, &refErr)
}

func TestReferenceJSON(t *testing.T) {
	t.Parallel()
	var doc struct{ Ref, Empty artifact.Reference }
	in := `{"Ref":"ghcr.io/shop/web:1","Empty":""}`
	require.NoError(t, json.Unmarshal([]byte(in), &doc))
	out, err := json.Marshal(doc)
	require.NoError(t, err)
	require.JSONEq(t, in, string(out))
	require.ErrorIs(t, json.Unmarshal([]byte(`{"Ref":"Bad"}`), &doc), artifact.ErrInvalid)
	require.Equal(t, "ghcr.io/shop/web:1", doc.Ref.String())
}

// grammar is the distribution grammar once more, as the regular expression that it is, for comparison with the parser.
var grammar = func() *regexp.Regexp {
	const (
		label     = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
		host      = `(?:` + label + `(?:\.` + label + `)*|\[[a-fA-F0-9:]+\])`
		component = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
		path      = component + `(?:/` + component + `)*`
	)
	return regexp.MustCompile(`^(?:(` + host + `(?::[0-9]+)?)/)??(` + path + `)(?::([\w][\w.-]{0,127}))?(?:@(sha256:[0-9a-f]{64}))?$`)
}()

var imageID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// byGrammar says what the grammar and Docker's rule for the registry make of s. The grammar alone is ambiguous: it takes
// the first part of a path for a host, or the other way round, when only the rule can tell.
func byGrammar(s string) (registry, path string, ok bool) {
	m := grammar.FindStringSubmatch(s)
	if m == nil || imageID.MatchString(s) {
		return "", "", false
	}
	registry, path = m[1], m[2]
	isRegistry := func(first string) bool {
		return strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first
	}
	if first, rest, found := strings.Cut(path, "/"); registry == "" && found && isRegistry(first) {
		registry, path = first, rest
	}
	switch {
	case registry != "" && !isRegistry(registry): // "a--/b" needs a host that the rule does not see.
		return "", "", false
	case strings.Contains(registry, "_"): // "a_b.c/d" has a registry by the rule, which is no host by the grammar.
		return "", "", false
	}
	return registry, path, len(path) <= 255
}

// No error repeats what may be a password, and each says what to do.
func TestReferencesCarryNoCredentials(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"user:s3cret@r.example.com/web@sha256:" + hex64, "https://user:s3cret@r.example.com/web@sha256:" + hex64,
		"user:s3cret@r.example.com/web:1.0", "s3cret@r.example.com/web", "user:s3cret@r.example.com:5000", "user:s3cret@web",
		"user:s3c@ret@r.example.com/web", "user:s3c/ret@r.example.com/web@sha256:" + hex64, "user:s3cret@web@sha256:1234",
	} {
		_, err := artifact.ParseReference(s)
		require.ErrorIs(t, err, artifact.ErrInvalid, s)
		require.ErrorContains(t, err, "looks like credentials", s)
		for _, secret := range []string{"s3cret", "s3c", "user"} {
			require.NotContains(t, err.Error(), secret)
		}
		_, err = artifact.NewSet(artifact.Artifact{Kind: artifact.KindImage, Name: "web", Digest: artifact.Digest("sha256:" + hex64), Location: s})
		require.Error(t, err)
		require.NotContains(t, err.Error(), "s3c")
	}
	for s, want := range map[string]string{
		"web:1.0@sha256:1234": "after @", "a@b": "after @", "web@sha256:" + hex64 + "\n": "white space", "web 1": "white space",
	} {
		_, err := artifact.ParseReference(s)
		require.ErrorContains(t, err, want)
	}
	_, err := artifact.Image("sha256:" + hex64)
	require.ErrorIs(t, err, artifact.ErrNoDigest)
	require.ErrorContains(t, err, "write the repository")
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"", "nginx", "a/b:c", "localhost:5000/a", "[::1]:5/a@sha256:" + hex64, "Reg/a__b", "a.b/c", "a_b.c/d", "a--b/c:_",
		"r.io:/a", "a:b:c", "@", "a@b", hex64, "x/" + hex64} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := artifact.ParseReference(s)
		registry, path, ok := byGrammar(s)
		if (err == nil) != ok {
			t.Fatalf("ParseReference(%q) error %v; by the grammar valid: %v", s, err, ok)
		}
		if err != nil {
			var refErr *artifact.ReferenceError
			require.ErrorAs(t, err, &refErr)
			require.ErrorIs(t, err, artifact.ErrInvalid)
			return
		}
		require.Equal(t, registry, ref.Registry())
		require.Equal(t, path, ref.Path())
		require.Equal(t, s, ref.String())
		again, err := artifact.ParseReference(ref.Normalized().String())
		if len(ref.Normalized().Path()) > 255 {
			return // "library/" may push a path of the greatest length over the limit.
		}
		require.NoError(t, err)
		require.Equal(t, ref.Normalized(), again)
		require.Equal(t, again, again.Normalized())
	})
}
