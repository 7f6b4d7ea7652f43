package ociartifact_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/ociartifact"
)

func set(t *testing.T) artifact.Set {
	t.Helper()
	s, err := artifact.NewSet(artifact.Artifact{Kind: artifact.KindFile, Name: "shop", Version: "1"})
	require.NoError(t, err)
	return s
}

// cutter cuts connections of a fake registry in the middle of bodies, and knows how much of an upload has arrived, which
// the registry in memory does not tell.
type cutter struct {
	mu      sync.Mutex
	got     map[string][]byte // by upload
	cuts    int               // how many are to come
	sent    int               // bytes of content that arrived
	refuses bool              // whether it tells what has arrived
}

func (c *cutter) before(w http.ResponseWriter, r *http.Request) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	id, isUpload := path.Base(r.URL.Path), strings.Contains(r.URL.Path, "/blobs/uploads/")
	switch {
	case isUpload && r.Method == http.MethodGet && !c.refuses:
		w.Header().Set("Range", fmt.Sprintf("0-%d", max(len(c.got[id])-1, 0)))
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
		return true
	case isUpload && (r.Method == http.MethodPatch || r.Method == http.MethodPut):
		return c.upload(w, r, id)
	}
	return false
}

// upload takes half of a body and cuts, or adds the rest to what was taken before.
func (c *cutter) upload(w http.ResponseWriter, r *http.Request, id string) bool {
	if c.cuts > 0 && r.ContentLength > 1 {
		c.cuts--
		half, err := io.ReadAll(io.LimitReader(r.Body, r.ContentLength/2))
		if err == nil {
			c.got[id] = append(c.got[id], half...)
			c.sent += len(half)
		}
		panic(http.ErrAbortHandler) // The client sees the connection end here.
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	c.sent += len(body)
	c.got[id] = append(c.got[id], body...)
	if r.Method == http.MethodPatch {
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusAccepted)
		return true
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(c.got[id])), int64(len(c.got[id]))
	return false
}

func TestCutUploadGoesOn(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000) // three chunks and a bit
	digest := artifact.FromBytes(content)
	fake, client := start(t)
	cut := &cutter{got: make(map[string][]byte)}
	fake.before = cut.before
	store, err := ociartifact.Open(t.Context(), client, fake.host+"/shop/store", &ociartifact.StoreOptions{ChunkSize: 1 << 20})
	require.NoError(t, err)
	cut.cuts = 3
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
	require.Zero(t, cut.cuts)
	require.Less(t, cut.sent, len(content)+100, "nothing is sent twice")
	back, err := store.ReadAll(t.Context(), digest, 0)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, back))
}

func TestCutUploadFailsCleanly(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("0123456789abcdef"), 200_000)
	digest := artifact.FromBytes(content)
	fake, client := start(t)
	cut := &cutter{got: make(map[string][]byte), refuses: true}
	fake.before = cut.before
	store, err := ociartifact.Open(t.Context(), client, fake.host+"/shop/store", &ociartifact.StoreOptions{ChunkSize: 1 << 20})
	require.NoError(t, err)
	cut.cuts = 1
	err = store.Put(t.Context(), digest, bytes.NewReader(content), nil)
	var typed *artifact.StoreError
	require.ErrorAs(t, err, &typed)
	_, err = store.Stat(t.Context(), digest)
	require.ErrorIs(t, err, artifact.ErrNotFound)
	require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
}

func TestCutCopyGoesOn(t *testing.T) {
	t.Parallel()
	from, _ := start(t)
	to, _ := start(t)
	img, err := random.Image(300_000, 2)
	require.NoError(t, err)
	newPusher(t, from.host+"/shop/web").image(img, "1")
	cut := &cutter{got: make(map[string][]byte), cuts: 4}
	to.before = cut.before
	// The source cuts downloads as well, once for each blob.
	var mu sync.Mutex
	begun := map[string]bool{}
	from.before = func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(r.URL.Path, "/blobs/") || r.Method != http.MethodGet || begun[r.URL.Path] {
			return false
		}
		begun[r.URL.Path] = true
		half := halfWriter{ResponseWriter: w}
		from.handler.ServeHTTP(&half, r)
		panic(http.ErrAbortHandler)
	}
	result, err := newClient(t, from.host, to.host).Copy(t.Context(), from.host+"/shop/web:1", to.host+"/prod/web:1", nil)
	require.NoError(t, err)
	require.Zero(t, cut.cuts)
	require.Len(t, begun, 3)
	require.Equal(t, 3, result.Sent)
	require.EqualValues(t, result.SentBytes, cut.sent, "nothing is sent twice")
}

// halfWriter passes on half of what the header announces.
type halfWriter struct {
	http.ResponseWriter
	left int
}

func (h *halfWriter) WriteHeader(status int) {
	_, _ = fmt.Sscan(h.Header().Get("Content-Length"), &h.left)
	h.left /= 2
	h.ResponseWriter.WriteHeader(status)
}

func (h *halfWriter) Write(p []byte) (int, error) {
	p = p[:min(len(p), h.left)]
	h.left -= len(p)
	return h.ResponseWriter.Write(p)
}
