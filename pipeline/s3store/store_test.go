package s3store_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/s3store"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// server returns the endpoint and the credentials of the genuine server that
// GENNAKER_MINIO names, as in "http://user:password@127.0.0.1:9000", and a bucket
// made for the test.
func server(t *testing.T, versioned bool) s3store.Config {
	env := os.Getenv("GENNAKER_MINIO")
	if env == "" {
		t.Skip("GENNAKER_MINIO does not name a MinIO server")
	}
	u, err := url.Parse(env)
	require.NoError(t, err)
	password, _ := u.User.Password()
	creds, endpoint := credentials.NewStaticV4(u.User.Username(), password, ""), u.Host
	require.Equal(t, "http", u.Scheme, "the tests of the wire need a server without TLS")
	client, err := minio.New(endpoint, &minio.Options{Creds: creds})
	require.NoError(t, err)
	bucket := "gennaker-" + strings.ToLower(rand.Text())
	require.NoError(t, client.MakeBucket(t.Context(), bucket, minio.MakeBucketOptions{}))
	t.Cleanup(func() {
		require.NoError(t, client.RemoveBucketWithOptions(context.WithoutCancel(t.Context()), bucket, minio.RemoveBucketOptions{ForceDelete: true}))
	})
	if versioned {
		require.NoError(t, client.EnableVersioning(t.Context(), bucket))
	}
	return s3store.Config{Endpoint: endpoint, Bucket: bucket, Credentials: creds}
}

func TestStore(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		t.Run(fmt.Sprintf("versioned=%v", versioned), func(t *testing.T) {
			c := server(t, versioned)
			var n atomic.Int64
			storetest.RunDurable(t, func(t *testing.T) storetest.Place {
				c := c
				c.Prefix = fmt.Sprintf("test %d/of_it", n.Add(1))
				return func() (pipeline.Store, error) { return s3store.Open(t.Context(), c) }
			})
		})
	}
}

// wire changes requests or answers on their way.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && !strings.Contains(r.URL.Path, "probe")
}

func open(t *testing.T, c s3store.Config) *s3store.Store {
	t.Helper()
	s, err := s3store.Open(t.Context(), c)
	require.NoError(t, err)
	return s
}

// simple is a server that knows objects, and of the conditions only those in
// honours.
type simple struct {
	honours string
	mu      sync.Mutex
	objects map[string][]byte
}

func (s *simple) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	etag := func(b []byte) string { return fmt.Sprintf("\"%x\"", md5.Sum(b)) }
	old, exists := s.objects[r.URL.Path]
	switch r.Method {
	case http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		match := r.Header.Get("If-Match")
		if exists && r.Header.Get("If-None-Match") == "*" && strings.Contains(s.honours, "none") || match != "" && match != etag(old) && strings.Contains(s.honours, "match") {
			w.WriteHeader(http.StatusPreconditionFailed)
			return
		}
		s.objects[r.URL.Path] = body
		w.Header().Set("ETag", etag(body))
	case http.MethodDelete:
		delete(s.objects, r.URL.Path)
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("ETag", etag(old))
		w.Header().Set("Content-Length", fmt.Sprint(len(old)))
		w.Header().Set("Last-Modified", time.Now().UTC().Format(http.TimeFormat))
		w.Write(old)
	}
}

func TestServerThatIgnoresConditionsIsRefused(t *testing.T) {
	for honours, says := range map[string]string{"": "If-None-Match", "none": "If-Match", "none and match": ""} {
		s := &simple{honours: honours, objects: make(map[string][]byte)}
		srv := httptest.NewServer(s)
		_, err := s3store.Open(t.Context(), s3store.Config{
			Endpoint: strings.TrimPrefix(srv.URL, "http://"), Bucket: "bucket", Region: "us-east-1",
			Credentials: credentials.New(&credentials.Static{Value: credentials.Value{SignerType: credentials.SignatureAnonymous}}),
		})
		srv.Close()
		require.Empty(t, s.objects, "what the probe left")
		if says == "" {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, s3store.ErrUnfit)
		require.ErrorContains(t, err, says)
	}
}

func TestLostReplyIsUnknownAndNotRepeated(t *testing.T) {
	c := server(t, false)
	puts := 0
	c.Transport = wire(func(r *http.Request) (*http.Response, error) {
		resp, err := http.DefaultTransport.RoundTrip(r)
		if isPut(r) {
			puts++
			resp.Body.Close()
			return nil, io.ErrUnexpectedEOF
		}
		return resp, err
	})
	s := open(t, c)
	_, err := s.Put(t.Context(), "k", []byte("value"), "")
	require.ErrorIs(t, err, pipeline.ErrUnknown)
	require.Equal(t, 1, puts)
	it, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, "value", string(it.Value))
}

func TestRepeatedRequestIsNotAConflict(t *testing.T) {
	c := server(t, false)
	c.Transport = wire(func(r *http.Request) (*http.Response, error) {
		if isPut(r) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				return nil, err
			}
			first := r.Clone(r.Context())
			first.Body = io.NopCloser(bytes.NewReader(body))
			resp, err := http.DefaultTransport.RoundTrip(first)
			if err != nil {
				return nil, err
			}
			resp.Body.Close()
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	s := open(t, c)
	v1, err := s.Put(t.Context(), "k", []byte("1"), "")
	require.NoError(t, err)
	v2, err := s.Put(t.Context(), "k", []byte("2"), v1)
	require.NoError(t, err)
	_, err = s.Put(t.Context(), "k", []byte("3"), v1)
	require.ErrorIs(t, err, pipeline.ErrConflict)
	it, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Equal(t, v2, it.Version)
}

func TestCancelInFlightIsUnknown(t *testing.T) {
	c := server(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	c.Transport = wire(func(r *http.Request) (*http.Response, error) {
		if isPut(r) {
			cancel()
		}
		return http.DefaultTransport.RoundTrip(r)
	})
	_, err := open(t, c).Put(ctx, "k", nil, "")
	require.ErrorIs(t, err, pipeline.ErrUnknown)
	require.ErrorIs(t, err, context.Canceled)
}

func TestForeignObjects(t *testing.T) {
	c := server(t, false)
	client, err := minio.New(c.Endpoint, &minio.Options{Creds: c.Credentials})
	require.NoError(t, err)
	put := func(name, body string) {
		_, err := client.PutObject(t.Context(), c.Bucket, name, strings.NewReader(body), int64(len(body)), minio.PutObjectOptions{})
		require.NoError(t, err)
	}
	s := open(t, c)
	_, err = s.Put(t.Context(), "k/1", nil, "")
	require.NoError(t, err)
	put("k.s/readme.txt", "not a record")
	items, err := s.List(t.Context(), "", "", 0)
	require.NoError(t, err)
	require.Len(t, items, 1)
	for _, body := range []string{"", "GNK\x01", strings.Repeat("x", 100), "GNK\x01" + strings.Repeat("x", 100)} {
		put("k.s/2!", body)
		_, err = s.Get(t.Context(), "k/2")
		require.ErrorIs(t, err, pipeline.ErrCorrupt)
		_, err = s.List(t.Context(), "", "", 0)
		require.ErrorIs(t, err, pipeline.ErrCorrupt)
		require.ErrorContains(t, err, `"k/2"`)
	}
}

func TestOpenErrors(t *testing.T) {
	_, err := s3store.Open(t.Context(), s3store.Config{Prefix: "a//b"})
	for _, says := range []string{"Endpoint", "Bucket", "Credentials", "Prefix"} {
		require.ErrorContains(t, err, says)
	}
	// Nobody listens there: nothing was written, for certain.
	refused := s3store.Config{Endpoint: "127.0.0.1:1", Bucket: "bucket", Region: "us-east-1", Credentials: credentials.NewStaticV4("a", "b", "")}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = s3store.Open(ctx, refused)
	require.Error(t, err)
	require.NotErrorIs(t, err, pipeline.ErrUnknown)

	c := server(t, false)
	c.Bucket += "-absent"
	_, err = s3store.Open(t.Context(), c)
	var resp minio.ErrorResponse
	require.True(t, errors.As(err, &resp))
	require.Equal(t, "NoSuchBucket", resp.Code)
}
