package s3artifact_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/s3artifact"
)

// What is there and good is not written again; what was replaced is.
func TestObjectsAreCreatedOnce(t *testing.T) {
	t.Parallel()
	for _, size := range []int{7, 6 << 20} {
		fake, client := start(t)
		store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
		require.NoError(t, err)
		content := bytes.Repeat([]byte("c"), size)
		digest := artifact.FromBytes(content)
		put := func() { require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil)) }
		put()
		put()
		require.Equal(t, 1, fake.writes)
		require.Zero(t, len(fake.uploads), "an upload that was not needed is given back")

		name := "blobs/sha256/" + digest.Hex()
		fake.objects[name] = fakeObject{data: bytes.Repeat([]byte("d"), size), modTime: fake.objects[name].modTime, checksum: "of something else"}
		put()
		require.Equal(t, 2, fake.writes)
		fake.unconditional = true
		put()
		require.Equal(t, 3, fake.writes)
		_, err = store.ReadAll(t.Context(), digest, 0)
		require.NoError(t, err)
		require.Zero(t, len(fake.uploads))
	}
}

// A Put whose service went away is followed by one that sends what is missing.
func TestUploadGoesOn(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
	require.NoError(t, err)
	content := make([]byte, 21<<20)
	for i := range content {
		content[i] = byte(i >> 20)
	}
	digest := artifact.FromBytes(content)
	put := func() error { return store.Put(t.Context(), digest, bytes.NewReader(content), nil) }
	away := func(part string) {
		before := func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") == part || part == "complete" && r.Method == http.MethodPost && r.URL.Query().Has("uploadId") {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		fake.locked(func() { fake.before = before })
	}
	away("3")
	require.Error(t, put())
	fake.locked(func() {
		require.Equal(t, 1, len(fake.uploads), "it is kept")
		require.Equal(t, 2, fake.sent)
	})
	_, err = store.Stat(t.Context(), digest)
	require.ErrorIs(t, err, artifact.ErrNotFound)
	away("complete")
	require.Error(t, put())
	fake.locked(func() {
		require.Equal(t, 5, fake.sent, "two parts are not sent again")
		fake.before = nil
	})
	require.NoError(t, put())
	fake.locked(func() {
		require.Equal(t, 5, fake.sent)
		require.Equal(t, 1, fake.count, "there was one upload")
		require.Zero(t, len(fake.uploads))
	})
	back, err := store.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, back))
}

// An upload that was left and has changed, or is gone, is of no use, and no harm.
func TestUploadDoesNotGoOnWithSomethingElse(t *testing.T) {
	t.Parallel()
	for _, gone := range []bool{true, false} {
		fake, client := start(t)
		store, err := s3artifact.Open(t.Context(), client, bucket, &s3artifact.Options{PartSize: 5 << 20})
		require.NoError(t, err)
		content := bytes.Repeat([]byte("content"), 1<<20)
		digest := artifact.FromBytes(content)
		fake.before = func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Query().Get("partNumber") == "2" {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		require.Error(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
		fake.locked(func() {
			require.Equal(t, 1, len(fake.uploads))
			for id, parts := range fake.uploads {
				parts[1] = bytes.ToUpper(parts[1])
				if gone {
					delete(fake.uploads, id)
				}
			}
			fake.before = nil
		})
		require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
		back, err := store.ReadAll(t.Context(), digest, 0)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content, back))
		require.Zero(t, len(fake.uploads))
	}
}

func TestExpireUploads(t *testing.T) {
	t.Parallel()
	fake, client := start(t)
	config := ""
	fake.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !r.URL.Query().Has("lifecycle") {
			return false
		}
		switch {
		case r.Method == http.MethodPut:
			body, _ := io.ReadAll(r.Body) // The fake has read it before, into memory.
			config = string(body)
		case config == "":
			fail(w, http.StatusNotFound, "NoSuchLifecycleConfiguration")
		default:
			w.Header().Set("Content-Type", "application/xml")
			_, _ = io.WriteString(w, config) // A client that has gone is no concern of the server.
		}
		return true
	}
	expire := func(prefix string, days int) error {
		return s3artifact.ExpireUploads(t.Context(), client, bucket, prefix, days)
	}
	require.ErrorContains(t, expire("team/", 0), "at least 1")
	require.NoError(t, expire("team/", 2))
	require.NoError(t, expire("other/", 3))
	require.NoError(t, expire("team/", 7))
	require.Equal(t, 2, strings.Count(config, "<Rule>"), config)
	require.Contains(t, config, "<DaysAfterInitiation>7</DaysAfterInitiation>")
	require.Contains(t, config, "<DaysAfterInitiation>3</DaysAfterInitiation>")
	require.NotContains(t, config, "<DaysAfterInitiation>2</DaysAfterInitiation>")
	require.Contains(t, config, "team/")
}
