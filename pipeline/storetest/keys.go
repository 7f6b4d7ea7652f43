package storetest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gennaker/gennaker/pipeline"
)

// oddKeys look like paths, patterns, escapes and prefixes of each other.
func oddKeys() []string {
	keys := []string{
		"a", "a/", "a//", "a//b", "a/b", "a/b/", "a/b/c", "a!", "a-", "a.", "a..b", "a0", "A", "aa", "ab", "a b", " a", "a ",
		".", "..", "./a", "../a", "a/.", "a/..", "a/./b", "a/../b", "/", "//", "/a", "/../a", ".a", ".s", ".d", "a/.s", "a/.d",
		"x/rel-42", "x/rel-42/stage[eu-1]/deploy", "x/rel_42", "x/rel~42", "x/REL-42", "%", "%2F", "a%2Fb", "a%", "%00", "_", "__", "_5f",
		"*", "?", "[a]", "[", "]", "^", "`", "{a}", "|", "~", "\\", "a\\b", "'", "\"", "''", ";", ":", ",", "<>", "=", "==", "@", "#a", "&", "$a", "+", "a+b",
		"(", "(20", "!", "!!", "-", "--", "null", "NULL", "0", "00", "10", "9", "m/prod eu-1/app",
		strings.Repeat("k", 512), strings.Repeat("k", 511), strings.Repeat("k", 255), strings.Repeat("d/", 100), strings.Repeat("seg-ment.", 40),
	}
	for c := byte(' '); c <= '~'; c++ {
		keys = append(keys, "each/"+string(c), "each/m"+string(c)+"m")
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func testKeys(t *testing.T, s pipeline.Store) {
	ctx := t.Context()
	keys := oddKeys()
	versions := make(map[string]pipeline.Version)
	for _, key := range slices.Backward(keys) {
		versions[key] = mustPut(t, s, key, "value of "+key, "")
	}
	for _, key := range keys {
		wantItem(t, s, key, "value of "+key, versions[key])
	}
	prefixes := append([]string{"", "a", "a/", "x/", "x/rel", "each/m", "z", "~", " "}, keys...)
	for _, prefix := range prefixes {
		var want []string
		for _, key := range keys {
			if strings.HasPrefix(key, prefix) {
				want = append(want, key)
			}
		}
		wantList(t, s, prefix, "", len(keys)+1, want)
	}
	for i, key := range keys {
		n := min(3, len(keys)-i-1)
		wantList(t, s, "", key, 3, keys[i+1:i+1+n])
	}
	for _, key := range keys {
		if err := s.Delete(ctx, key); err != nil {
			t.Fatalf("Delete(%q): %v", key, err)
		}
	}
	wantList(t, s, "", "", 0, nil)
}

func testBadKeys(t *testing.T, s pipeline.Store) {
	ctx := t.Context()
	for name, key := range map[string]string{
		"empty": "", "too long": strings.Repeat("k", 513), "control": "a\nb", "zero": "a\x00b", "delete": "a\x7f", "not ASCII": "é", "not UTF-8": "\xff",
	} {
		v, err := s.Put(ctx, key, []byte("value"), "")
		if err == nil || v != "" {
			t.Errorf("Put with a key that is %s: version %q, error %v; want it refused", name, v, err)
		}
		if errors.Is(err, pipeline.ErrConflict) || errors.Is(err, pipeline.ErrUnknown) {
			t.Errorf("Put with a key that is %s: %v; want an error about the key", name, err)
		}
		if _, err := s.Get(ctx, key); err == nil {
			t.Errorf("Get with a key that is %s succeeded", name)
		}
	}
	wantList(t, s, "", "", 0, nil)
}
