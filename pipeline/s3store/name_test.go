package s3store

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestNames(t *testing.T) {
	for key, name := range map[string]string{
		"x/rel-42":               "x.s/rel-42!",
		"a/2026-11/rel-4.2":      "a.s/2026-11.s/rel-4.d2!",
		"a//b":                   "a.s/.s/b!",
		"../a":                   ".d.d.s/a!",
		"a/":                     "a.s/!",
		"/":                      ".s/!",
		"prod[eu-1]/deploy_it":   "prod_5beu-1_5d.s/deploy__it!",
		"a b~`!@":                "a(20b~7e_q(21=40!",
		strings.Repeat("k", 201): strings.Repeat("k", 200) + "/k!",
	} {
		require.Equal(t, name, nameOf(key))
		back, err := keyOf(name)
		require.NoError(t, err)
		require.Equal(t, key, back)
	}
	for _, name := range []string{"", "a", "!", "a(2!", "a(zz!", "(p-1", "a//b!", "a/b!", "a.b!", "a.s!", "a_5f!", "a(41!", "../a!", strings.Repeat("k", 201) + "!"} {
		if name == "!" {
			continue // the empty key, which no store has
		}
		_, err := keyOf(name)
		require.ErrorIs(t, err, errName, name)
	}
}

// Names sort like keys, begin like keys, can be read back and are valid paths.
func TestNamesKeepOrder(t *testing.T) {
	key := rapid.OneOf(
		rapid.StringMatching(`[ -~]{1,40}`),
		rapid.StringMatching("[-./_`!a]{1,8}"),
		rapid.StringMatching(`[a.]{190,210}[-./!a]{0,4}`),
	)
	rapid.Check(t, func(t *rapid.T) {
		a, b := key.Draw(t, "a"), key.Draw(t, "b")
		if n := rapid.IntRange(0, len(a)).Draw(t, "common"); rapid.Bool().Draw(t, "share") {
			b = a[:n] + b
		}
		if got, want := strings.Compare(nameOf(a), nameOf(b)), strings.Compare(a, b); got != want {
			t.Fatalf("%q and %q sort %d, their names %q and %q %d", a, b, want, nameOf(a), nameOf(b), got)
		}
		if got, want := strings.HasPrefix(nameOf(a), prefixOf(b)), strings.HasPrefix(a, b); got != want {
			t.Fatalf("%q begins with %q: %v, names %q and %q: %v", a, b, want, nameOf(a), prefixOf(b), got)
		}
		back, err := keyOf(nameOf(a))
		if err != nil || back != a {
			t.Fatalf("%q came back as %q, %v", a, back, err)
		}
		for segment := range strings.SplitSeq(nameOf(a), "/") {
			if i := strings.Index(segment, ".s"); i >= 0 && i != len(segment)-2 {
				t.Fatalf("%q has a segment %q that continues a directory's name", a, segment)
			}
			if segment == "" || segment == "." || segment == ".." || len(segment) > 255 {
				t.Fatalf("%q has segment %q", a, segment)
			}
		}
	})
}

func FuzzKeyOf(f *testing.F) {
	f.Add("x/rel-42!")
	f.Add("_5(._/..!!.s/")
	f.Fuzz(func(t *testing.T, name string) {
		if key, err := keyOf(name); err == nil && nameOf(key) != name {
			t.Fatalf("%q became %q, whose name is %q", name, key, nameOf(key))
		}
	})
}
