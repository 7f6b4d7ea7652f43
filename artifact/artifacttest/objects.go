package artifacttest

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/gennaker/gennaker/artifact/driver"
)

func testAbsent(t *testing.T, d driver.Driver) {
	key := keyOf([]byte("nobody put this"))
	wantAbsent(t, d, key)
	if err := d.Delete(t.Context(), key); err != nil {
		t.Errorf("Delete of an absent object: %v; want nil", err)
	}
}

func testRoundTrip(t *testing.T, d driver.Driver) {
	for _, n := range []int{0, 1, 4095, 4096, 1<<20 + 1} {
		content := pattern(n)
		mustPut(t, d, keyOf(content), content)
		wantContent(t, d, keyOf(content), content)

		// The same with a size that is not known, from a reader that has no other methods.
		content = append(content, "of unknown size"...)
		if err := d.Put(t.Context(), keyOf(content), io.MultiReader(bytes.NewReader(content)), -1); err != nil {
			t.Fatalf("Put of %d bytes with unknown size: %v", len(content), err)
		}
		wantContent(t, d, keyOf(content), content)
	}
}

func testReplace(t *testing.T, d driver.Driver) {
	content := []byte("the content")
	key := keyOf(content)
	mustPut(t, d, key, content)
	mustPut(t, d, key, content)
	wantContent(t, d, key, content)

	other := []byte("what somebody made of it, and longer")
	if !tamper(t, d, key, other) {
		return
	}
	mustPut(t, d, key, content)
	if repairs(d) {
		wantContent(t, d, key, content)
	}
}

func testDelete(t *testing.T, d driver.Driver) {
	gone, stays := []byte("gone"), []byte("stays")
	mustPut(t, d, keyOf(gone), gone)
	mustPut(t, d, keyOf(stays), stays)
	for range 2 {
		if err := d.Delete(t.Context(), keyOf(gone)); err != nil {
			t.Fatalf("Delete: %v", err)
		}
		wantAbsent(t, d, keyOf(gone))
	}
	wantContent(t, d, keyOf(stays), stays)
	mustPut(t, d, keyOf(gone), gone)
	wantContent(t, d, keyOf(gone), gone)
}

// testInvalidKeys sends what must never reach a file system or a URL.
func testInvalidKeys(t *testing.T, d driver.Driver) {
	hash := keyOf(nil).Hash
	folders := []string{"", ".", "..", "/", "/abs", "a/", "a//b", "../a", "a/../../b", "A", "a\x00", "a b", "a\\b", "-a", ".tmp",
		strings.Repeat("a", 201), "a/" + hash}
	keys := []driver.Key{{Folder: "a", Hash: ""}, {Folder: "a", Hash: "../" + hash[3:]}, {Folder: "a", Hash: strings.ToUpper(hash)},
		{Folder: "a", Hash: hash + "0"}, {Folder: "a", Hash: hash[:63] + "g"}}
	for _, folder := range folders {
		keys = append(keys, driver.Key{Folder: folder, Hash: hash})
		if infos, err := d.List(t.Context(), folder, "", 10); err == nil {
			t.Errorf("List(%q) = %v; want an error", folder, infos)
		}
	}
	for _, key := range keys {
		if err := d.Put(t.Context(), key, strings.NewReader(""), 0); err == nil {
			t.Errorf("Put(%q) = nil; want an error", key)
		}
		if _, _, err := get(t.Context(), d, key); err == nil {
			t.Errorf("Get(%q) = nil; want an error", key)
		}
		if _, err := d.Stat(t.Context(), key); err == nil {
			t.Errorf("Stat(%q) = nil; want an error", key)
		}
		if err := d.Delete(t.Context(), key); err == nil {
			t.Errorf("Delete(%q) = nil; want an error", key)
		}
	}
}

func repairs(d driver.Driver) bool {
	_, keeps := d.(DamageKeeper)
	return !keeps
}

// tamper changes a stored object, and reports false if the driver does not let it be changed.
func tamper(t *testing.T, d driver.Driver, key driver.Key, content []byte) bool {
	t.Helper()
	if tamperer, ok := d.(Tamperer); ok {
		if err := tamperer.Tamper(t.Context(), key, content); err != nil {
			t.Fatalf("Tamper(%v): %v", key, err)
		}
		return true
	}
	if err := d.Delete(t.Context(), key); err != nil {
		t.Fatalf("Delete(%v): %v", key, err)
	}
	if err := d.Put(t.Context(), key, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Logf("the driver refuses content that does not belong to its key (%v), so it cannot be tampered with here", err)
		return false
	}
	return true
}
