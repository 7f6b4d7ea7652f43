package artifact_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
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

// A subject has so many attachments and no more, and a folder that somebody else has filled is not read without an end.
func TestAttachmentsAreBounded(t *testing.T) {
	t.Parallel()
	ctx, below := t.Context(), new(memartifact.Driver)
	store, subject := artifact.NewStore(below, nil), artifact.FromBytes(nil)
	for n := range artifact.MaxAttachments {
		_, err := store.Attach(ctx, subject, "evidence", fmt.Append(nil, n))
		require.NoError(t, err)
	}
	_, err := store.Attach(ctx, subject, "evidence", []byte("one more"))
	require.ErrorIs(t, err, artifact.ErrTooMany)
	requireStoreError(t, err, "put", "attachment of "+subject.String()+": "+artifact.FromBytes([]byte("one more")).String(), artifact.ErrTooMany)
	_, err = store.Attach(ctx, subject, "evidence", []byte("7"))
	require.NoError(t, err, "it is there already")
	_, err = store.Attach(ctx, subject, "notes", []byte("one more"))
	require.NoError(t, err)
	_, err = store.Attach(ctx, artifact.FromBytes([]byte("another")), "evidence", []byte("one more"))
	require.NoError(t, err)

	for n := range artifact.MaxAttachments + 1 {
		data := fmt.Append(nil, "x", n)
		key := driver.Key{Folder: "evidence/sha256-" + subject.Hex(), Hash: artifact.FromBytes(data).Hex()}
		require.NoError(t, below.Put(ctx, key, bytes.NewReader(data), int64(len(data))))
	}
	seen := 0
	for _, listErr := range store.Attachments(ctx, subject, "evidence") {
		if err = listErr; err == nil {
			seen++
		}
	}
	require.ErrorIs(t, err, artifact.ErrTooMany)
	require.Equal(t, 2*artifact.MaxAttachments, seen)
}
