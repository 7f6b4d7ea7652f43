package artifact_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

func TestStoreCopy(t *testing.T) {
	t.Parallel()
	from, to := memartifact.New(nil), memartifact.New(nil)
	for _, content := range []string{"", "content"} {
		digest := artifact.FromBytes([]byte(content))
		object := "blob " + digest.String()
		requireStoreError(t, to.Copy(t.Context(), from, digest, nil), "copy", object, artifact.ErrNotFound)
		require.NoError(t, from.Put(t.Context(), digest, strings.NewReader(content), nil))
		require.NoError(t, to.Copy(t.Context(), from, digest, nil))
		data, err := to.ReadAll(t.Context(), digest, 0)
		require.NoError(t, err)
		require.Equal(t, content, string(data))
		// What is there is not read again.
		require.NoError(t, from.Delete(t.Context(), digest))
		require.NoError(t, to.Copy(t.Context(), from, digest, nil))
	}
	requireStoreError(t, to.Copy(t.Context(), from, "latest", nil), "copy", "blob latest", artifact.ErrInvalid)
}

func TestStoreCopyVerifies(t *testing.T) {
	t.Parallel()
	source := &artifacttest.Faulty{Driver: new(memartifact.Driver)}
	from, to := artifact.NewStore(source, nil), memartifact.New(nil)
	digest := artifact.FromBytes([]byte("content"))
	object := "blob " + digest.String()
	require.NoError(t, from.Put(t.Context(), digest, strings.NewReader("content"), nil))
	for _, changed := range []string{"", "Content", "conten", "contents"} {
		source.Stream = func(driver.Key, io.Reader) io.Reader { return strings.NewReader(changed) }
		requireStoreError(t, to.Copy(t.Context(), from, digest, nil), "copy", object, artifact.ErrDigestMismatch)
		_, err := to.Stat(t.Context(), digest)
		require.ErrorIs(t, err, artifact.ErrNotFound)
	}
	source.Stream = nil
	why := errors.New("disk on fire")
	source.Before = func(context.Context, string, driver.Key) error { return why }
	requireStoreError(t, to.Copy(t.Context(), from, digest, nil), "copy", object, why)
	source.Before = nil

	var seen []string
	progress := func(done, total int64) { seen = append(seen, fmt.Sprintf("%d/%d", done, total)) }
	require.NoError(t, to.Copy(t.Context(), from, digest, &artifact.PutOptions{Progress: progress}))
	require.Equal(t, []string{"7/7"}, seen)

	small := artifact.NewStore(new(memartifact.Driver), &artifact.StoreOptions{MaxSize: 6})
	requireStoreError(t, small.Copy(t.Context(), from, digest, nil), "copy", object, artifact.ErrTooLarge)
}

func TestStoreCopySet(t *testing.T) {
	t.Parallel()
	from, to := memartifact.New(nil), memartifact.New(nil)
	set, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindFile, Name: "shop", Version: "1"})
	require.NoError(t, err)
	requireStoreError(t, to.CopySet(t.Context(), from, set.Digest()), "copy", "set "+set.Digest().String(), artifact.ErrNotFound)
	_, err = from.PutSet(t.Context(), set)
	require.NoError(t, err)
	require.NoError(t, to.CopySet(t.Context(), from, set.Digest()))
	back, err := to.GetSet(t.Context(), set.Digest())
	require.NoError(t, err)
	require.True(t, back.Equal(set))
}

func ExampleStore_Copy() {
	ctx := context.Background()
	test, prod := memartifact.New(nil), memartifact.New(nil) // or a bucket, a folder, a registry
	manifests := []byte("kind: Deployment")
	digest := artifact.FromBytes(manifests)
	if err := test.Put(ctx, digest, bytes.NewReader(manifests), nil); err != nil {
		fmt.Println(err)
	}
	if err := prod.Copy(ctx, test, digest, nil); err != nil {
		fmt.Println(err)
	}
	data, err := prod.ReadAll(ctx, digest, 0)
	fmt.Println(string(data), err)
	// Output: kind: Deployment <nil>
}
