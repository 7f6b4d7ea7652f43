package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

// requireStoreError checks that an error says which operation failed, on what, and for which reason.
func requireStoreError(t *testing.T, err error, op, object string, reason error) {
	t.Helper()
	var storeErr *artifact.StoreError
	require.ErrorAs(t, err, &storeErr)
	require.Equal(t, op, storeErr.Op)
	require.Equal(t, object, storeErr.Object)
	require.ErrorIs(t, err, reason)
}

func TestStoreNotFound(t *testing.T) {
	t.Parallel()
	store := memartifact.New(nil)
	digest := artifact.FromBytes([]byte("nothing"))
	_, err := store.Get(t.Context(), digest, nil)
	requireStoreError(t, err, "get", "blob "+digest.String(), artifact.ErrNotFound)
	_, err = store.ReadAll(t.Context(), digest, 0)
	requireStoreError(t, err, "get", "blob "+digest.String(), artifact.ErrNotFound)
	_, err = store.Stat(t.Context(), digest)
	requireStoreError(t, err, "stat", "blob "+digest.String(), artifact.ErrNotFound)
	_, err = store.GetSet(t.Context(), digest)
	requireStoreError(t, err, "get", "set "+digest.String(), artifact.ErrNotFound)
	require.NoError(t, store.Delete(t.Context(), digest))
}

func TestStoreInvalidDigest(t *testing.T) {
	t.Parallel()
	store := memartifact.New(nil)
	for digest, reason := range map[artifact.Digest]error{"": artifact.ErrNoDigest, "sha256:../x": artifact.ErrInvalid} {
		object := "blob " + digest.String()
		requireStoreError(t, store.Put(t.Context(), digest, strings.NewReader(""), nil), "put", object, reason)
		_, err := store.Get(t.Context(), digest, nil)
		requireStoreError(t, err, "get", object, reason)
		_, err = store.Stat(t.Context(), digest)
		requireStoreError(t, err, "stat", object, reason)
		requireStoreError(t, store.Delete(t.Context(), digest), "delete", object, reason)
	}
}

func TestStorePutFailsWithItsSource(t *testing.T) {
	t.Parallel()
	store := memartifact.New(nil)
	digest := artifact.FromBytes([]byte("content"))
	cut := errors.New("connection reset")
	err := store.Put(t.Context(), digest, io.MultiReader(strings.NewReader("cont"), iotest.ErrReader(cut)), nil)
	requireStoreError(t, err, "put", "blob "+digest.String(), cut)
	_, err = store.Stat(t.Context(), digest)
	require.ErrorIs(t, err, artifact.ErrNotFound)
}

func TestStoreSizes(t *testing.T) {
	t.Parallel()
	backend := new(memartifact.Driver)
	store := artifact.NewStore(backend, &artifact.StoreOptions{MaxSize: 7})
	object := func(s string) string { return "blob " + artifact.FromBytes([]byte(s)).String() }
	put := func(store *artifact.Store, s string, size int64) error {
		return store.Put(t.Context(), artifact.FromBytes([]byte(s)), strings.NewReader(s), &artifact.PutOptions{Size: size})
	}
	require.NoError(t, put(store, "content", 0))
	require.NoError(t, put(store, "content", 7))
	requireStoreError(t, put(store, "content", 6), "put", object("content"), artifact.ErrDigestMismatch)
	requireStoreError(t, put(store, "conten", 7), "put", object("conten"), artifact.ErrDigestMismatch)
	requireStoreError(t, put(store, "contents", 0), "put", object("contents"), artifact.ErrTooLarge)
	requireStoreError(t, put(store, "contents", 8), "put", object("contents"), artifact.ErrTooLarge)

	// A store with another limit has let larger content in.
	require.NoError(t, put(artifact.NewStore(backend, nil), "contents", 0))
	_, err := store.Get(t.Context(), artifact.FromBytes([]byte("contents")), nil)
	requireStoreError(t, err, "get", object("contents"), artifact.ErrTooLarge)
	_, err = artifact.NewStore(backend, nil).ReadAll(t.Context(), artifact.FromBytes([]byte("contents")), 7)
	requireStoreError(t, err, "get", object("contents"), artifact.ErrTooLarge)
}

func TestStoreProgress(t *testing.T) {
	t.Parallel()
	store := memartifact.New(nil)
	content := []byte("0123456789")
	digest := artifact.FromBytes(content)
	var seen []string
	progress := func(done, total int64) { seen = append(seen, fmt.Sprintf("%d/%d", done, total)) }
	halves := func() io.Reader { return io.MultiReader(bytes.NewReader(content[:4]), bytes.NewReader(content[4:])) }
	require.NoError(t, store.Put(t.Context(), digest, halves(), &artifact.PutOptions{Size: 10, Progress: progress}))
	require.NoError(t, store.Put(t.Context(), digest, halves(), &artifact.PutOptions{Progress: progress}))
	r, err := store.Get(t.Context(), digest, &artifact.GetOptions{Progress: progress})
	require.NoError(t, err)
	require.Equal(t, int64(10), r.Info().Size)
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, r, make([]byte, 6))
	require.NoError(t, err)
	require.NoError(t, r.Close())
	require.Equal(t, []string{"4/10", "10/10", "4/0", "10/0", "6/10", "10/10"}, seen)
}

func TestStoreCancelled(t *testing.T) {
	t.Parallel()
	store := memartifact.New(nil)
	content := bytes.Repeat([]byte("content"), 1000)
	digest := artifact.FromBytes(content)
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))

	why := errors.New("shutting down")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := store.Get(ctx, digest, nil)
	require.NoError(t, err)
	_, err = io.ReadFull(r, make([]byte, 100))
	require.NoError(t, err)
	stop := artifact.PutOptions{Progress: func(int64, int64) { cancel(why) }}
	other := append(bytes.Clone(content), '!')
	err = store.Put(ctx, artifact.FromBytes(other), iotest.HalfReader(bytes.NewReader(other)), &stop)
	requireStoreError(t, err, "put", "blob "+artifact.FromBytes(other).String(), why)
	_, err = store.Stat(t.Context(), artifact.FromBytes(other))
	require.ErrorIs(t, err, artifact.ErrNotFound)

	_, err = io.ReadAll(r)
	requireStoreError(t, err, "get", "blob "+digest.String(), why)
	require.NoError(t, r.Close())
	for _, err := range store.List(ctx) {
		requireStoreError(t, err, "list", "blobs", why)
	}
}

func TestStoreBackendFails(t *testing.T) {
	t.Parallel()
	down := errors.New("backend is down")
	fail := func(context.Context, string, driver.Key) error { return down }
	content := []byte("content")
	digest := artifact.FromBytes(content)
	for name, backend := range map[string]*artifacttest.Faulty{
		"before": {Driver: new(memartifact.Driver), Before: fail},
		"after":  {Driver: new(memartifact.Driver), After: fail},
	} {
		store := artifact.NewStore(backend, nil)
		requireStoreError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil), "put", "blob "+digest.String(), down)
		requireStoreError(t, store.DeleteSet(t.Context(), digest), "delete", "set "+digest.String(), down)
		n := 0
		for info, err := range store.ListSets(t.Context()) {
			requireStoreError(t, err, "list", "sets", down)
			require.Zero(t, info)
			n++
		}
		require.Equal(t, 1, n, name)
		_, err := store.PutSet(t.Context(), artifact.Set{})
		require.ErrorIs(t, err, down)
		if name == "after" { // The lost reply can be asked for again.
			backend.After = nil
			data, err := store.ReadAll(t.Context(), digest, 0)
			require.NoError(t, err)
			require.Equal(t, content, data)
		}
	}
}

// careless reports success without having read to the end.
type careless struct{ driver.Driver }

func (careless) Put(_ context.Context, _ driver.Key, r io.Reader, size int64) error {
	_, err := io.CopyN(io.Discard, r, size)
	return err
}

func TestStoreDistrustsDriver(t *testing.T) {
	t.Parallel()
	store := artifact.NewStore(careless{}, nil)
	err := store.Put(t.Context(), artifact.FromBytes([]byte("content")), strings.NewReader("tampered"[:7]), &artifact.PutOptions{Size: 7})
	require.ErrorContains(t, err, "did not read the content to its end")
}

func TestStoreCutDownload(t *testing.T) {
	t.Parallel()
	backend := &artifacttest.Faulty{Driver: new(memartifact.Driver)}
	store := artifact.NewStore(backend, nil)
	content := bytes.Repeat([]byte("content"), 1000)
	digest := artifact.FromBytes(content)
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
	reset := errors.New("connection reset")
	for _, tt := range []struct {
		end  io.Reader
		want error
	}{{strings.NewReader(""), artifact.ErrDigestMismatch}, {iotest.ErrReader(reset), reset}} {
		backend.Stream = func(_ driver.Key, r io.Reader) io.Reader { return io.MultiReader(io.LimitReader(r, 6999), tt.end) }
		data, err := store.ReadAll(t.Context(), digest, 0)
		requireStoreError(t, err, "get", "blob "+digest.String(), tt.want)
		require.Nil(t, data)
	}
}

func TestStoreGetSetVerifies(t *testing.T) {
	t.Parallel()
	backend := new(memartifact.Driver)
	store := artifact.NewStore(backend, nil)
	put := func(text string) artifact.Digest {
		digest := artifact.FromBytes([]byte(text))
		key := driver.Key{Folder: "sets/sha256", Hash: digest.Hex()}
		require.NoError(t, backend.Put(t.Context(), key, strings.NewReader(text), int64(len(text))))
		return digest
	}
	for _, text := range []string{"", "{}", `{"artifacts":[]} `, `{"artifacts":[{"name":"a","kind":"file"}]}`, `{"artifacts":[{"kind":"image","name":"a"}]}`} {
		digest := put(text)
		_, err := store.GetSet(t.Context(), digest)
		requireStoreError(t, err, "get", "set "+digest.String(), artifact.ErrInvalid)
	}
	digest := put(strings.Repeat(" ", 4<<20+1))
	_, err := store.GetSet(t.Context(), digest)
	requireStoreError(t, err, "get", "set "+digest.String(), artifact.ErrTooLarge)
}

func TestStoreListPages(t *testing.T) {
	t.Parallel()
	pages := 0
	backend := &artifacttest.Faulty{Driver: new(memartifact.Driver), Before: func(_ context.Context, op string, _ driver.Key) error {
		if op == "list" {
			pages++
		}
		return nil
	}}
	store := artifact.NewStore(backend, nil)
	const n = 2000
	for i := range n {
		content := fmt.Appendf(nil, "%d", i)
		require.NoError(t, store.Put(t.Context(), artifact.FromBytes(content), bytes.NewReader(content), nil))
	}
	var last artifact.Digest
	count := 0
	for info, err := range store.List(t.Context()) {
		require.NoError(t, err)
		require.Greater(t, info.Digest, last)
		last = info.Digest
		count++
	}
	require.Equal(t, n, count)
	require.Equal(t, 3, pages, "two full pages and the end")
	for range store.List(t.Context()) {
		break
	}
	require.Equal(t, 4, pages)
}
