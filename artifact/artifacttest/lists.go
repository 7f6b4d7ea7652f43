package artifacttest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gennaker/gennaker/artifact/driver"
)

func testListPages(t *testing.T, d driver.Driver) {
	const n = 23
	var want []string
	for i := range n {
		content := fmt.Appendf(nil, "object %d", i)
		mustPut(t, d, keyOf(content), content)
		want = append(want, keyOf(content).Hash)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 2, 7, n - 1, n, n + 1} {
		if got := listAll(t, d, testFolder, limit); !slices.Equal(got, want) {
			t.Errorf("List in pages of %d: got %d hashes %v; want %d in order %v", limit, len(got), got, n, want)
		}
	}
	// Where a page starts does not have to be an object.
	if err := d.Delete(t.Context(), driver.Key{Folder: testFolder, Hash: want[11]}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	infos, err := d.List(t.Context(), testFolder, want[11], 3)
	if err != nil || !slices.Equal(hashes(infos), want[12:15]) {
		t.Errorf("List after a deleted object = %v, %v; want %v", hashes(infos), err, want[12:15])
	}
	if infos, err := d.List(t.Context(), testFolder, want[n-1], 3); err != nil || len(infos) != 0 {
		t.Errorf("List after the last object = %v, %v; want nothing", hashes(infos), err)
	}
}

// testListFolders puts one content into folders whose names are prefixes of each other.
func testListFolders(t *testing.T, d driver.Driver) {
	content := []byte("the same in each")
	hash := keyOf(content).Hash
	folders := []string{"a", "a/b", "a/" + hash[:2], "a-b", "ab", "a/sha256-" + hash}
	for _, folder := range folders {
		key := driver.Key{Folder: folder, Hash: hash}
		mustPut(t, d, key, content)
		wantContent(t, d, key, content)
	}
	for _, folder := range folders {
		infos, err := d.List(t.Context(), folder, "", 10)
		if err != nil || len(infos) != 1 {
			t.Errorf("List(%q) = %+v, %v; want the one object in it", folder, infos, err)
			continue
		}
		stat, err := d.Stat(t.Context(), driver.Key{Folder: folder, Hash: hash})
		// A list may show a time of coarser resolution.
		if err != nil || infos[0].Key != stat.Key || infos[0].Size != stat.Size || infos[0].ModTime.IsZero() {
			t.Errorf("List(%q) = %+v; Stat says %+v, %v", folder, infos[0], stat, err)
		}
	}
	for _, folder := range []string{"b", "a/b/c", "a/" + hash[:3]} {
		if infos, err := d.List(t.Context(), folder, "", 10); err != nil || len(infos) != 0 {
			t.Errorf("List(%q) = %+v, %v; want nothing, as the folder does not exist", folder, infos, err)
		}
	}
	if err := d.Delete(t.Context(), driver.Key{Folder: "a", Hash: hash}); err != nil {
		t.Fatalf("Delete: %v", err)
	}
	wantAbsent(t, d, driver.Key{Folder: "a", Hash: hash})
	wantContent(t, d, driver.Key{Folder: "a/b", Hash: hash}, content)
}

func listAll(t *testing.T, d driver.Driver, folder string, limit int) []string {
	t.Helper()
	var all []string
	for after := ""; ; {
		infos, err := d.List(t.Context(), folder, after, limit)
		if err != nil {
			t.Fatalf("List(%q, %q, %d): %v", folder, after, limit, err)
		}
		if len(infos) > limit {
			t.Fatalf("List(%q, %q, %d) returned %d objects", folder, after, limit, len(infos))
		}
		all = append(all, hashes(infos)...)
		if len(infos) < limit {
			return all
		}
		after = infos[len(infos)-1].Key.Hash
	}
}

func hashes(infos []driver.Info) []string {
	var all []string
	for _, info := range infos {
		all = append(all, info.Key.Hash)
	}
	return all
}
