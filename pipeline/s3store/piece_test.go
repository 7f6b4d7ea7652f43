package s3store_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline/s3store"
)

// line is a way to the server that counts what is sent on it, and can let a process
// seem suspended after it has sent something.
type line struct {
	sent    atomic.Int64
	suspend atomic.Bool
	resume  chan struct{}
}

type lineConn struct {
	net.Conn
	*line
}

func (c lineConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.sent.Add(1)
	if c.suspend.Load() {
		<-c.resume
	}
	return n, err
}

func newLine() *line { return &line{resume: make(chan struct{})} }

func (l *line) transport() http.RoundTripper {
	return &http.Transport{WriteBufferSize: 72 << 10, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		return lineConn{conn, l}, err
	}}
}

func TestRequestLeavesInOnePiece(t *testing.T) {
	srv := httptest.NewServer(&simple{honours: "none and match", objects: make(map[string][]byte)})
	defer srv.Close()
	l := newLine()
	s := open(t, s3store.Config{
		Endpoint: strings.TrimPrefix(srv.URL, "http://"), Bucket: "bucket", Region: "us-east-1", Transport: l.transport(),
		Credentials: credentials.New(&credentials.Static{Value: credentials.Value{SignerType: credentials.SignatureAnonymous}}),
	})
	for _, size := range []int{0, 10, 60 << 10} {
		l.sent.Store(0)
		_, err := s.Put(t.Context(), "k", make([]byte, size), "")
		require.NoError(t, err)
		require.EqualValues(t, 1, l.sent.Load(), "%d bytes", size)
		require.NoError(t, s.Delete(t.Context(), "k"))
	}
	_, err := s.Put(t.Context(), "k", make([]byte, 1<<20), "")
	require.NoError(t, err)
	it, err := s.Get(t.Context(), "k")
	require.NoError(t, err)
	require.Len(t, it.Value, 1<<20)
}

// A process that is suspended in the middle of a write does not keep others from the
// record, as it would if the server waited for the rest.
func TestSuspendedInTheMiddleOfAWrite(t *testing.T) {
	c := server(t, false)
	s := open(t, c)
	v, err := s.Put(t.Context(), "k", []byte("old"), "")
	require.NoError(t, err)
	l := newLine()
	c.Transport = l.transport()
	suspended := open(t, c)
	l.suspend.Store(true)
	sent := l.sent.Load()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = suspended.Put(context.WithoutCancel(t.Context()), "k", make([]byte, 10<<10), v)
	}()
	defer func() { close(l.resume); <-done }()
	require.Eventually(t, func() bool { return l.sent.Load() > sent }, 10*time.Second, time.Millisecond)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for {
		it, err := s.Get(ctx, "k")
		require.NoError(t, err)
		if it.Version != v { // what was on its way has arrived
			break
		}
	}
}
