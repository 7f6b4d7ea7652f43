package artifact_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

func TestAttachments(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), memartifact.New(nil)
	one, two := artifact.FromBytes([]byte("one")), artifact.FromBytes([]byte("two"))
	list := func(subject artifact.Digest, kind string) (all []artifact.Digest) {
		for info, err := range store.Attachments(ctx, subject, kind) {
			require.NoError(t, err)
			all = append(all, info.Digest)
		}
		return all
	}
	require.Empty(t, list(one, "evidence"))
	a, err := store.Attach(ctx, one, "evidence", []byte("it passed"))
	require.NoError(t, err)
	again, err := store.Attach(ctx, one, "evidence", []byte("it passed"))
	require.NoError(t, err)
	require.Equal(t, a, again)
	_, err = store.Attach(ctx, two, "evidence", []byte("it failed"))
	require.NoError(t, err)
	require.Equal(t, []artifact.Digest{a}, list(one, "evidence"))
	require.Empty(t, list(one, "notes"))

	data, err := store.Attachment(ctx, one, "evidence", a, 0)
	require.NoError(t, err)
	require.Equal(t, "it passed", string(data))
	_, err = store.Attachment(ctx, two, "evidence", a, 0)
	require.ErrorIs(t, err, artifact.ErrNotFound, "it belongs to another subject")
	_, err = store.Attachment(ctx, one, "evidence", a, 3)
	require.ErrorIs(t, err, artifact.ErrTooLarge)
	for range store.List(ctx) {
		require.Fail(t, "attachments are no content of their own")
	}
}

func TestAttachmentsOfNothing(t *testing.T) {
	t.Parallel()
	ctx, store := t.Context(), memartifact.New(nil)
	d := artifact.FromBytes(nil)
	for _, c := range []struct {
		subject artifact.Digest
		kind    string
		want    error
	}{
		{"", "evidence", artifact.ErrNoDigest}, {"sha256:x", "evidence", artifact.ErrInvalid}, {d, "", artifact.ErrInvalid},
		{d, "blobs", artifact.ErrInvalid}, {d, "sets", artifact.ErrInvalid}, {d, "a/b", artifact.ErrInvalid}, {d, "..", artifact.ErrInvalid},
	} {
		_, err := store.Attach(ctx, c.subject, c.kind, nil)
		require.ErrorIs(t, err, c.want)
		_, err = store.Attachment(ctx, c.subject, c.kind, d, 0)
		require.ErrorIs(t, err, c.want)
		seen := 0
		for _, err := range store.Attachments(ctx, c.subject, c.kind) {
			require.ErrorIs(t, err, c.want)
			seen++
		}
		require.Equal(t, 1, seen)
	}
}
