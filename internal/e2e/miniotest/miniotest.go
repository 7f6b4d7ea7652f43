// Package miniotest starts a genuine MinIO server for a test.
//
// The server listens on a free port of 127.0.0.1, keeps its data in a folder of
// the test and is gone when the test ends. Several tests may share one server:
// [Server.Bucket] makes a bucket for each. The program is built from its Go module
// the first time, by [Prepare], which needs the module proxy.
package miniotest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gennaker/gennaker/internal/e2e/process"
	"github.com/gennaker/gennaker/internal/e2e/tools"
)

// AccessKey and SecretKey are the credentials of every server.
const (
	AccessKey = "e2e-access"
	SecretKey = "e2e-secret-key"
)

// Server is a running MinIO.
type Server struct {
	dir, program string
	port         int
	process      *process.Process
	buckets      atomic.Int64
}

// Prepare builds MinIO if it isn't in the cache. It is made for netns.Options.
func Prepare(ctx context.Context) ([]string, error) {
	_, err := tools.MinIO(ctx)
	return nil, err
}

// Start starts a server that ends with the test.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := tools.MinIO(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: t.TempDir(), program: program, port: port}
	s.start(t)
	t.Cleanup(func() { s.process.Stop(5 * time.Second) })
	return s
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	console, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	p, err := process.Start(process.Command{
		Name: "minio", Path: s.program, Dir: s.dir,
		Args: []string{
			"server", "--address", s.Addr(), "--console-address", "127.0.0.1:" + strconv.Itoa(console),
			"--certs-dir", s.dir + "/certs", s.dir + "/data",
		},
		Env: []string{
			"MINIO_ROOT_USER=" + AccessKey, "MINIO_ROOT_PASSWORD=" + SecretKey,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off", "HOME=" + s.dir,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	if err := p.Ready(ctx, s.healthy); err != nil {
		t.Fatal(err)
	}
}

// healthy asks for cluster health: it means that objects can be written, which
// the plainer checks do not.
func (s *Server) healthy(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL()+"/minio/health/cluster", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("health: %s", response.Status)
	}
	return nil
}

// Addr is host:port.
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// URL is http://host:port.
func (s *Server) URL() string { return "http://" + s.Addr() }

// Client returns a client with the server's credentials that repeats nothing.
func (s *Server) Client(t testing.TB) *minio.Client {
	t.Helper()
	client, err := minio.New(s.Addr(), &minio.Options{
		Creds:      credentials.NewStaticV4(AccessKey, SecretKey, ""),
		MaxRetries: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// Bucket makes an empty bucket and returns its name.
func (s *Server) Bucket(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test-%d", s.buckets.Add(1))
	if err := s.Client(t).MakeBucket(t.Context(), name, minio.MakeBucketOptions{}); err != nil {
		t.Fatal("bucket:", err)
	}
	return name
}

// Crash kills the server as a crash would and starts it again on its data and
// port.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.process.Kill()
	s.start(t)
}

// Stop stops the server; [Server.Crash] or the end of the test are the next steps.
func (s *Server) Stop() { s.process.Stop(5 * time.Second) }
