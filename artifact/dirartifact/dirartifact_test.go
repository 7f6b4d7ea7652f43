package dirartifact_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/dirartifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

// tamperable writes into the folder as another program would.
type tamperable struct {
	*dirartifact.Driver
	dir string
}

func (d tamperable) Tamper(_ context.Context, key driver.Key, content []byte) error {
	return os.WriteFile(filepath.Join(d.dir, key.Folder, key.Hash[:2], key.Hash), content, 0o600)
}

func TestConformance(t *testing.T) {
	t.Parallel()
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		dir := filepath.Join(t.TempDir(), "not", "there", "yet")
		d, err := dirartifact.OpenDriver(dir)
		require.NoError(t, err)
		return tamperable{d, dir}
	})
}

// fileOf is the documented place of some content.
func fileOf(dir string, digest artifact.Digest) string {
	return filepath.Join(dir, "blobs", "sha256", digest.Hex()[:2], digest.Hex())
}

func put(t *testing.T, store *artifact.Store, content string) artifact.Digest {
	t.Helper()
	digest := artifact.FromBytes([]byte(content))
	require.NoError(t, store.Put(t.Context(), digest, strings.NewReader(content), nil))
	return digest
}

func digests(t *testing.T, store *artifact.Store) []artifact.Digest {
	t.Helper()
	var all []artifact.Digest
	for info, err := range store.List(t.Context()) {
		require.NoError(t, err)
		all = append(all, info.Digest)
	}
	return all
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	digest := put(t, store, "content")
	set, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindFile, Name: "content", Digest: digest})
	require.NoError(t, err)
	_, err = store.PutSet(t.Context(), set)
	require.NoError(t, err)

	onDisk, err := os.ReadFile(fileOf(dir, digest))
	require.NoError(t, err)
	require.Equal(t, "content", string(onDisk))

	again, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	data, err := again.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err)
	require.Equal(t, "content", string(data))
	back, err := again.GetSet(t.Context(), set.Digest())
	require.NoError(t, err)
	require.Equal(t, set, back)
}

// A relative folder stays where it was when the process moves.
func TestRelativeFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	store, err := dirartifact.Open("artifacts", nil)
	require.NoError(t, err)
	first := put(t, store, "first")
	t.Chdir(t.TempDir())
	second := put(t, store, "second")
	require.ElementsMatch(t, []artifact.Digest{first, second}, digests(t, store))
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, dir := range []string{file, filepath.Join(file, "below"), ""} {
		_, err := dirartifact.Open(dir, nil)
		require.ErrorContains(t, err, "artifact folder", dir)
	}
}

func TestLeftoversOfACrash(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tmp := filepath.Join(dir, ".tmp")
	require.NoError(t, os.Mkdir(tmp, 0o750))
	require.NoError(t, os.Mkdir(filepath.Join(tmp, "folder"), 0o750))
	for name, age := range map[string]time.Duration{"crashed": 2 * time.Hour, "writing": time.Minute} {
		require.NoError(t, os.WriteFile(filepath.Join(tmp, name), []byte("half"), 0o600))
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(filepath.Join(tmp, name), then, then))
	}
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	require.NoFileExists(t, filepath.Join(tmp, "crashed"))
	require.FileExists(t, filepath.Join(tmp, "writing"))
	require.Empty(t, digests(t, store))
}

// A Put that fails leaves no file at all.
func TestNothingLeftAfterFailure(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	err = store.Put(t.Context(), artifact.FromBytes([]byte("a")), strings.NewReader("b"), nil)
	require.ErrorIs(t, err, artifact.ErrDigestMismatch)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		require.True(t, e.IsDir(), path)
		return err
	}))
}

// What lies in the folder without having come through Put is not an object.
func TestForeignFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	digest := put(t, store, "content")
	shard := filepath.Dir(fileOf(dir, digest))
	other := artifact.FromBytes([]byte("other"))
	for _, name := range []string{
		filepath.Join(dir, "blobs", "sha256", "README"), filepath.Join(shard, "README"), filepath.Join(shard, other.Hex()),
		filepath.Join(shard, digest.Hex()+".bak"), filepath.Join(dir, "blobs", "sha256", digest.Hex()),
	} {
		require.NoError(t, os.WriteFile(name, nil, 0o600))
	}
	require.Equal(t, []artifact.Digest{digest}, digests(t, store))
	_, err = store.Stat(t.Context(), other)
	require.ErrorIs(t, err, artifact.ErrNotFound)
}

func TestObjectIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	folder, link := put(t, store, "folder"), put(t, store, "link")
	outside := filepath.Join(t.TempDir(), "outside")
	require.NoError(t, os.WriteFile(outside, []byte("link"), 0o600))
	require.NoError(t, os.Remove(fileOf(dir, folder)))
	require.NoError(t, os.Mkdir(fileOf(dir, folder), 0o750))
	require.NoError(t, os.Remove(fileOf(dir, link)))
	require.NoError(t, os.Symlink(outside, fileOf(dir, link)))

	for _, digest := range []artifact.Digest{folder, link} {
		_, err := store.Get(t.Context(), digest, nil)
		var storeErr *artifact.StoreError
		require.ErrorAs(t, err, &storeErr)
		require.ErrorContains(t, err, "not a regular file")
	}
	require.Empty(t, digests(t, store))
	require.Error(t, store.Put(t.Context(), folder, strings.NewReader("folder"), nil))
	put(t, store, "link")
	require.Equal(t, []artifact.Digest{link}, digests(t, store))
	untouched, err := os.ReadFile(outside)
	require.NoError(t, err)
	require.Equal(t, "link", string(untouched))
}

func TestUnreadable(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("this user may read everything")
	}
	dir := t.TempDir()
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	digest := put(t, store, "content")
	require.NoError(t, os.Chmod(fileOf(dir, digest), 0))
	_, err = store.Get(t.Context(), digest, nil)
	require.ErrorIs(t, err, fs.ErrPermission)
	require.NotErrorIs(t, err, artifact.ErrNotFound)
}

// zeros is a stream that costs nothing.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestConstantMemory is not parallel, as it counts what the process allocates.
func TestConstantMemory(t *testing.T) {
	store, err := dirartifact.Open(t.TempDir(), nil)
	require.NoError(t, err)
	const size = 128 << 20
	digest, err := artifact.FromReader(io.LimitReader(zeros{}, size))
	require.NoError(t, err)

	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	require.NoError(t, store.Put(t.Context(), digest, io.LimitReader(zeros{}, size), nil))
	r, err := store.Get(t.Context(), digest, nil)
	require.NoError(t, err)
	n, err := io.Copy(io.Discard, r)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	runtime.ReadMemStats(&after)
	require.Equal(t, int64(size), n)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "artifacts")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	ctx := context.Background()
	store, err := dirartifact.Open(dir, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	chart := []byte("the bytes of shop-1.4.2.tgz")
	digest := artifact.FromBytes(chart)
	if err := store.Put(ctx, digest, bytes.NewReader(chart), &artifact.PutOptions{Size: int64(len(chart))}); err != nil {
		fmt.Println(err)
		return
	}
	info, err := store.Stat(ctx, digest)
	fmt.Println(info.Digest.Short(), info.Size, err)
	// Output: sha256:c46157f322c2 27 <nil>
}
