// Package pgtest starts a genuine PostgreSQL server for a test.
//
// The server listens on a free port of 127.0.0.1, keeps its data in a folder of
// the test and is gone when the test ends. The user postgres needs no password.
// Several tests may share one server: [Server.Database] makes a database for each.
//
// PostgreSQL refuses to run as root, so root runs it in a user namespace in which
// the same user has another number.
package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/process"
)

// Server is a running PostgreSQL.
type Server struct {
	bin, dir  string
	port      int
	process   *process.Process
	databases atomic.Int64
}

// Start starts a server that ends with the test. The test is skipped, or fails
// with GENNAKER_E2E_STRICT=1, when PostgreSQL isn't installed.
func Start(t testing.TB) *Server {
	t.Helper()
	bin, err := find()
	if err != nil {
		clustertest.Skip(t, err.Error())
	}
	if reason := netns.Lacks(); reason != "" && os.Geteuid() == 0 {
		clustertest.Skip(t, "PostgreSQL refuses to run as root, and "+reason)
	}
	port, err := process.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{bin: bin, dir: t.TempDir(), port: port}
	initdb := exec.CommandContext(t.Context(), filepath.Join(bin, "initdb"),
		"--pgdata", s.data(), "--username", "postgres", "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	initdb.SysProcAttr = ordinaryUser()
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// find returns the folder of the newest installed server's programs.
func find() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if path, lookErr := exec.LookPath("initdb"); lookErr == nil {
		found = append(found, path)
	}
	if err != nil || len(found) == 0 {
		return "", fmt.Errorf("no PostgreSQL server programs: install the package postgresql, or run internal/e2e/install.sh as root")
	}
	slices.SortFunc(found, func(a, b string) int { return version(a) - version(b) })
	return filepath.Dir(found[len(found)-1]), nil
}

func version(path string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(path)))) // 0 for one without a version
	return n
}

// ordinaryUser makes root look like somebody else to the program: the user postgres
// or else nobody. Everything stays owned by root outside.
func ordinaryUser() *syscall.SysProcAttr {
	if os.Geteuid() != 0 {
		return nil
	}
	id := 65534
	if u, err := user.Lookup("postgres"); err == nil {
		if n, err := strconv.Atoi(u.Uid); err == nil {
			id = n
		}
	}
	return &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: 0, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: id, HostID: os.Getegid(), Size: 1}},
	}
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

func (s *Server) start(ctx context.Context) error {
	p, err := process.Start(process.Command{
		Name: "postgres", Path: filepath.Join(s.bin, "postgres"), Dir: s.dir,
		Args: []string{
			"-D", s.data(), "-p", strconv.Itoa(s.port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			// Nothing of it may outlive a kill.
			"-c", "dynamic_shared_memory_type=mmap",
		},
		StopSignal: syscall.SIGINT, // which doesn't wait for clients to go
		Attr:       ordinaryUser(),
	})
	if err != nil {
		return err
	}
	s.process = p
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	return p.Ready(ctx, func(ctx context.Context) error {
		out, err := s.tool(ctx, "pg_isready").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// tool is a client program that connects to this server.
func (s *Server) tool(ctx context.Context, name string, args ...string) *exec.Cmd {
	return exec.CommandContext(ctx, filepath.Join(s.bin, name),
		append([]string{"--host", "127.0.0.1", "--port", strconv.Itoa(s.port), "--username", "postgres"}, args...)...)
}

// URL is the connection string of a database; every server has "postgres".
func (s *Server) URL(database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", s.port, database)
}

// Database makes an empty database and returns its connection string.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if out, err := s.tool(t.Context(), "createdb", name).CombinedOutput(); err != nil {
		t.Fatalf("createdb: %v\n%s", err, out)
	}
	return s.URL(name)
}

// Query runs SQL with psql in a database, given by its connection string, and
// returns the rows, one a line and without headings.
func (s *Server) Query(t testing.TB, url, sql string) string {
	t.Helper()
	psql := exec.CommandContext(t.Context(), filepath.Join(s.bin, "psql"),
		"--dbname", url, "--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", sql)
	out, err := psql.CombinedOutput()
	if err != nil {
		t.Fatalf("psql: %v\n%s", err, out)
	}
	return string(out)
}

// Crash kills the server as a crash would and starts it again on its data and
// port; it recovers from its log then.
func (s *Server) Crash(t testing.TB) {
	t.Helper()
	s.process.Kill()
	// The dead server's helpers end by themselves within moments; as long as one of
	// them is attached to the old shared memory a new server refuses to start.
	deadline := time.Now().Add(30 * time.Second)
	err := s.start(t.Context())
	for err != nil && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
		err = s.start(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Stop stops the server; [Server.Crash] or the end of the test are the next steps.
func (s *Server) Stop() { s.process.Stop(10 * time.Second) }
