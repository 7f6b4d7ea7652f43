// Package registrytest starts a genuine OCI registry for a test: Debian's
// docker-registry, which is the distribution project's.
//
// The server listens on a free port of 127.0.0.1 with TLS and basic
// authentication, keeps its data in a folder of the test, allows deletions, and is
// gone when the test ends. Several tests may share one server by repositories.
package registrytest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/process"
)

// Username and Password are the credentials of every server.
const (
	Username = "e2e-robot"
	Password = "e2e-secret"
)

// Server is a running registry.
type Server struct {
	dir, program string
	port         int
	identity     identity
	process      *process.Process
}

// Start starts a server that ends with the test. The test is skipped, or fails
// with GENNAKER_E2E_STRICT=1, when docker-registry isn't installed.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := netns.Look("docker-registry")
	if err != nil {
		clustertest.Skip(t, "no docker-registry: install the package docker-registry, or run internal/e2e/install.sh as root")
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{dir: t.TempDir(), program: program, port: port}
	if err := s.configure(); err != nil {
		t.Fatal("registry:", err)
	}
	s.start(t)
	t.Cleanup(func() { s.process.Stop(5 * time.Second) })
	return s
}

// configure writes the server's configuration, its users and its certificate.
func (s *Server) configure() error {
	hash, err := bcrypt.GenerateFromPassword([]byte(Password), bcrypt.MinCost)
	if err != nil {
		return err
	}
	if s.identity, err = newIdentity(s.dir); err != nil {
		return err
	}
	if err := os.WriteFile(s.path("htpasswd"), fmt.Appendf(nil, "%s:%s\n", Username, hash), 0o600); err != nil {
		return err
	}
	config := fmt.Sprintf(`version: 0.1
log: {level: warn, accesslog: {disabled: true}}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http:
  addr: %q
  tls: {certificate: %q, key: %q}
auth:
  htpasswd: {realm: e2e, path: %q}
`, s.Root(), s.Addr(), s.path("tls.crt"), s.path("tls.key"), s.path("htpasswd"))
	return os.WriteFile(s.path("config.yml"), []byte(config), 0o600)
}

func (s *Server) start(t testing.TB) {
	t.Helper()
	p, err := process.Start(process.Command{
		Name: "docker-registry", Path: s.program, Dir: s.dir, Args: []string{"serve", s.path("config.yml")},
		Env: []string{"OTEL_TRACES_EXPORTER=none"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.process = p
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := p.Ready(ctx, s.ping); err != nil {
		t.Fatal(err)
	}
}

// ping wants to be asked for a login.
func (s *Server) ping(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+s.Addr()+"/v2/", nil)
	if err != nil {
		return err
	}
	transport := s.Transport()
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("answer %s", resp.Status)
	}
	return nil
}

// Addr is host:port: what references to its images begin with.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Transport returns a transport of its own that trusts the server's certificate.
func (s *Server) Transport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = s.identity.config.Clone()
	t.Proxy = nil
	return t
}

// CertificateFile is the file with the certificate that clients have to trust.
func (s *Server) CertificateFile() string { return s.path("tls.crt") }

// Root is the folder with the server's data.
func (s *Server) Root() string { return s.path("data") }

// BlobFile is the file with the content of a blob or manifest, given by the
// hexadecimal digits of its digest.
func (s *Server) BlobFile(hash string) string {
	return filepath.Join(s.Root(), "docker/registry/v2/blobs/sha256", hash[:2], hash, "data")
}

// Crash kills the server as a crash would and starts it again on its data and
// port.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.process.Kill()
	s.start(t)
}

// PID is the server's process id.
func (s *Server) PID() int { return s.process.PID() }

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }
