package artifacttest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

func testStoreVerifiesWrites(t *testing.T, d driver.Driver) {
	store := artifact.NewStore(d, &artifact.StoreOptions{MaxSize: 200_000})
	content := pattern(100_000)
	digest := artifact.FromBytes(content)
	changed := bytes.Clone(content)
	changed[len(changed)-1] ^= 1

	for name, bad := range map[string]struct {
		content []byte
		want    error
	}{
		"changed":   {changed, artifact.ErrDigestMismatch},
		"truncated": {content[:len(content)-1], artifact.ErrDigestMismatch},
		"longer":    {append(bytes.Clone(content), 0), artifact.ErrDigestMismatch},
		"empty":     {nil, artifact.ErrDigestMismatch},
		"too large": {pattern(200_001), artifact.ErrTooLarge},
	} {
		for _, size := range []int{len(bad.content), 0} {
			err := store.Put(t.Context(), digest, bytes.NewReader(bad.content), &artifact.PutOptions{Size: int64(size)})
			if !errors.Is(err, bad.want) {
				t.Errorf("Put of %s content announced as %d bytes: %v; want %v", name, size, err, bad.want)
			}
			wantAbsent(t, d, keyOf(content))
		}
	}
	if err := store.Put(t.Context(), digest, bytes.NewReader(content), nil); err != nil {
		t.Fatalf("Put: %v", err)
	}
	wantContent(t, d, keyOf(content), content)
}

func testStoreVerifiesReads(t *testing.T, d driver.Driver) {
	store := artifact.NewStore(d, nil)
	content := pattern(100_000)
	digest := artifact.FromBytes(content)
	first, last := bytes.Clone(content), bytes.Clone(content)
	first[0] ^= 1
	last[len(last)-1] ^= 0x80
	for name, bad := range map[string][]byte{
		"first byte changed": first,
		"last byte changed":  last,
		"truncated":          content[:len(content)-1],
		"longer":             append(bytes.Clone(content), 0),
		"empty":              nil,
	} {
		if err := store.Put(t.Context(), digest, bytes.NewReader(content), nil); err != nil {
			t.Fatalf("Put: %v", err)
		}
		if !tamper(t, d, keyOf(content), bad) {
			return
		}
		if data, err := store.ReadAll(t.Context(), digest, 0); !errors.Is(err, artifact.ErrDigestMismatch) || data != nil {
			t.Errorf("ReadAll, %s: %d bytes, %v; want none and ErrDigestMismatch", name, len(data), err)
		}
		wantMismatch(t, store, digest, name)
	}
	if err := store.Put(t.Context(), digest, bytes.NewReader(content), nil); err != nil {
		t.Fatalf("Put: %v", err)
	}
	if !repairs(d) {
		wantMismatch(t, store, digest, "put again")
		return
	}
	if data, err := store.ReadAll(t.Context(), digest, 0); err != nil || !bytes.Equal(data, content) {
		t.Errorf("ReadAll after a repair: %d bytes, %v; want the content", len(data), err)
	}
}

func wantMismatch(t *testing.T, store *artifact.Store, digest artifact.Digest, name string) {
	t.Helper()
	r, err := store.Get(t.Context(), digest, nil)
	if err != nil {
		t.Fatalf("Get, %s: %v", name, err)
	}
	for range 2 { // The verdict stays.
		if _, err := io.Copy(io.Discard, r); !errors.Is(err, artifact.ErrDigestMismatch) {
			t.Errorf("Get, %s: reading ends with %v; want ErrDigestMismatch", name, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// testStoreLargeContent is above the part size and the buffers of the backends we know.
func testStoreLargeContent(t *testing.T, d driver.Driver) {
	const size = 33<<20 + 12345
	digest, err := artifact.FromReader(numbers(size))
	if err != nil {
		t.Fatal(err)
	}
	store := artifact.NewStore(d, nil)
	for _, announced := range []int64{size, 0} {
		var seen int64
		opts := &artifact.PutOptions{Size: announced, Progress: func(done, _ int64) { seen = done }}
		if err := store.Put(t.Context(), digest, numbers(size), opts); err != nil {
			t.Fatalf("Put of %d bytes announced as %d: %v", size, announced, err)
		}
		if seen != size {
			t.Errorf("Put: progress ends at %d of %d bytes", seen, size)
		}
		r, err := store.Get(t.Context(), digest, &artifact.GetOptions{Progress: func(done, _ int64) { seen = done }})
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil || n != size || seen != size {
			t.Errorf("Get: %d bytes, progress %d, %v; want %d", n, seen, err, size)
		}
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}

// numbers returns a stream of size bytes that takes no memory.
func numbers(size int64) io.Reader {
	block := pattern(251 * 64)
	at := 0
	return io.LimitReader(readerFunc(func(p []byte) (int, error) {
		n := copy(p, block[at:])
		at = (at + n) % len(block)
		return n, nil
	}), size)
}

func testStoreSets(t *testing.T, d driver.Driver) {
	store := artifact.NewStore(d, nil)
	var want []artifact.Digest
	for _, version := range []string{"", "1.4.1", "1.4.2"} {
		var set artifact.Set
		if version != "" {
			a := artifact.Artifact{Kind: artifact.KindFile, Name: "shop", Version: version, Metadata: map[string]string{"build": "<42>"}}
			var err error
			if set, err = artifact.NewSet(a); err != nil {
				t.Fatal(err)
			}
		}
		digest, err := store.PutSet(t.Context(), set)
		if err != nil || digest != set.Digest() {
			t.Fatalf("PutSet = %s, %v; want %s", digest, err, set.Digest())
		}
		back, err := store.GetSet(t.Context(), digest)
		if err != nil || !back.Equal(set) {
			t.Errorf("GetSet = %v, %v; want %v", back, err, set)
		}
		want = append(want, digest)
	}
	slices.Sort(want)
	var got []artifact.Digest
	for info, err := range store.ListSets(t.Context()) {
		if err != nil {
			t.Fatalf("ListSets: %v", err)
		}
		got = append(got, info.Digest)
	}
	if !slices.Equal(got, want) {
		t.Errorf("ListSets = %v; want %v", got, want)
	}
	for info, err := range store.List(t.Context()) {
		t.Errorf("List = %+v, %v; want nothing, as sets are kept apart from content", info, err)
	}
	if err := store.DeleteSet(t.Context(), want[0]); err != nil {
		t.Errorf("DeleteSet: %v", err)
	}
	if _, err := store.GetSet(t.Context(), want[0]); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("GetSet of a deleted set: %v; want ErrNotFound", err)
	}
}
