package artifacttest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"testing"

	"github.com/gennaker/gennaker/artifact/driver"
)

// Tamperer is implemented by drivers under test that can change a stored object behind the store's back.
type Tamperer interface {
	// Tamper replaces the content stored under key by content, without any check.
	Tamper(ctx context.Context, key driver.Key, content []byte) error
}

// DamageKeeper is implemented by drivers under test, beside [Tamperer], whose backend does not write content that it has
// already, so that putting it again repairs nothing. Damage must be found all the same.
type DamageKeeper interface {
	// KeepsDamage does nothing.
	KeepsDamage()
}

// Run holds drivers to the contract of [driver.Driver]. newDriver returns an empty one for each test and registers what has
// to be cleaned up; it is called from tests that run in parallel.
func Run(t *testing.T, newDriver func(t *testing.T) driver.Driver) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*testing.T, driver.Driver)
	}{
		{"Absent", testAbsent},
		{"RoundTrip", testRoundTrip},
		{"Replace", testReplace},
		{"Delete", testDelete},
		{"InvalidKeys", testInvalidKeys},
		{"ReadsToEOF", testReadsToEOF},
		{"CutStream", testCutStream},
		{"InvisibleWhileWriting", testInvisibleWhileWriting},
		{"CancelledContext", testCancelledContext},
		{"CancelledWhileWriting", testCancelledWhileWriting},
		{"ListPages", testListPages},
		{"ListFolders", testListFolders},
		{"SameKeyAtOnce", testSameKeyAtOnce},
		{"ManyKeysAtOnce", testManyKeysAtOnce},
		{"OpenStream", testOpenStream},
		{"StoreVerifiesWrites", testStoreVerifiesWrites},
		{"StoreVerifiesReads", testStoreVerifiesReads},
		{"StoreLargeContent", testStoreLargeContent},
		{"StoreSets", testStoreSets},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.run(t, newDriver(t))
		})
	}
}

const testFolder = "blobs/sha256"

// keyOf returns the key of content in the folder most tests use.
func keyOf(content []byte) driver.Key {
	sum := sha256.Sum256(content)
	return driver.Key{Folder: testFolder, Hash: hex.EncodeToString(sum[:])}
}

// pattern returns n bytes that do not repeat at any power of two, so that swapped or repeated blocks show.
func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func mustPut(t *testing.T, d driver.Driver, key driver.Key, content []byte) {
	t.Helper()
	if err := d.Put(t.Context(), key, bytes.NewReader(content), int64(len(content))); err != nil {
		t.Fatalf("Put(%v): %v", key, err)
	}
}

// get reads an object to its end.
func get(ctx context.Context, d driver.Driver, key driver.Key) ([]byte, driver.Info, error) {
	stream, info, err := d.Get(ctx, key)
	if err != nil {
		return nil, info, err
	}
	content, err := io.ReadAll(stream)
	return content, info, errors.Join(err, stream.Close())
}

func wantContent(t *testing.T, d driver.Driver, key driver.Key, want []byte) {
	t.Helper()
	content, info, err := get(t.Context(), d, key)
	if err != nil {
		t.Fatalf("Get(%v): %v", key, err)
	}
	if !bytes.Equal(content, want) {
		t.Errorf("Get(%v) = %d bytes that are not the %d that were put", key, len(content), len(want))
	}
	if info.Key != key || info.Size != int64(len(want)) || info.ModTime.IsZero() {
		t.Errorf("Get(%v) info = %+v, want its key, %d bytes and a time", key, info, len(want))
	}
	stat, err := d.Stat(t.Context(), key)
	if err != nil || stat.Key != info.Key || stat.Size != info.Size || !stat.ModTime.Equal(info.ModTime) {
		t.Errorf("Stat(%v) = %+v, %v; Get said %+v", key, stat, err, info)
	}
}

// wantAbsent checks that nobody can see a trace of the key.
func wantAbsent(t *testing.T, d driver.Driver, key driver.Key) {
	t.Helper()
	if content, _, err := get(t.Context(), d, key); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Get(%v) = %d bytes, %v; want ErrNotFound", key, len(content), err)
	}
	if info, err := d.Stat(t.Context(), key); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Stat(%v) = %+v, %v; want ErrNotFound", key, info, err)
	}
	infos, err := d.List(t.Context(), key.Folder, "", 1000)
	if err != nil {
		t.Errorf("List(%q): %v", key.Folder, err)
	}
	for _, info := range infos {
		if info.Key == key {
			t.Errorf("List(%q) shows %v", key.Folder, key)
		}
	}
}
