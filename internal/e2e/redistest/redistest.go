// Package redistest starts a genuine Redis server for a test.
//
// The server listens on a free port of 127.0.0.1, keeps its data in a folder of
// the test, writes every command to its append-only file before it answers, and is
// gone when the test ends. Several tests may share one server by prefixes.
package redistest

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/process"
)

// Server is a running Redis.
type Server struct {
	dir, program string
	port         int
	process      *process.Process
}

// Start starts a server that ends with the test. The test is skipped, or fails
// with GENNAKER_E2E_STRICT=1, when redis-server isn't installed.
func Start(t testing.TB) *Server {
	t.Helper()
	program, err := netns.Look("redis-server")
	if err != nil {
		clustertest.Skip(t, "no redis-server: install the package redis-server, or run internal/e2e/install.sh as root")
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

// Addr is host:port.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// URL is redis://host:port.
func (s *Server) URL() string { return "redis://" + s.Addr() }

// Crash kills the server as a crash would and starts it again on its data and
// port.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.process.Kill()
	s.start(t)
}

// Stop stops the server; [Server.Crash] or the end of the test are the next steps.
func (s *Server) Stop() { s.process.Stop(5 * time.Second) }

func (s *Server) start(t testing.TB) {
	t.Helper()
	p, err := process.Start(process.Command{
		Name: "redis", Path: s.program, Dir: s.dir,
		Args: []string{
			"--bind", "127.0.0.1", "--port", strconv.Itoa(s.port), "--dir", s.dir,
			"--appendonly", "yes", "--appendfsync", "always", "--save", "",
		},
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

// ping wants a PONG: while the server loads its data it answers otherwise.
func (s *Server) ping(context.Context) error {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && answer != "+PONG\r\n" {
		err = fmt.Errorf("answer %q", answer)
	}
	return err
}
