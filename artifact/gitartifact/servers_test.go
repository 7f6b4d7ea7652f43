package gitartifact_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/gennaker/gennaker/artifact/gitartifact"
)

// server is a genuine Git server: the repositories of a folder, served by git's own programs.
type server struct {
	t    *testing.T
	root string
}

func newServer(t *testing.T) *server {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	return &server{t, t.TempDir()}
}

// git runs a git command in a repository and returns what it prints.
func (s *server) git(repo, stdin string, args ...string) string {
	s.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", filepath.Join(s.root, repo)}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "HOME="+s.root)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// create makes a repository with a main of n commits, c1 to cn, each with a file of 1 KiB that does not compress, and:
// v1 an annotated tag of c10, light a tag of c20, feature a branch of two commits from c140, merged a branch that merges it, and
// a branch and a tag that are both called both.
func (s *server) create(repo string, n int, settings ...string) {
	s.t.Helper()
	require.NoError(s.t, os.MkdirAll(filepath.Join(s.root, repo), 0o750))
	s.git(repo, "", "init", "-q", "--bare", "-b", "main")
	for _, set := range settings {
		key, value, _ := strings.Cut(set, "=")
		s.git(repo, "", "config", key, value)
	}
	var b strings.Builder
	mark := 0
	commit := func(branch, subject string, parents ...int) int {
		mark++
		noise := make([]byte, 1024)
		_, err := rand.Read(noise)
		require.NoError(s.t, err)
		message := subject + "\n\nWhy it was done.\n"
		fmt.Fprintf(&b, "commit refs/heads/%s\nmark :%d\ncommitter Dora <dora@example.com> %d +0000\ndata %d\n%s\n", branch, mark, 1700000000+60*mark, len(message), message)
		for i, p := range parents {
			fmt.Fprintf(&b, "%s :%d\n", []string{"from", "merge"}[i], p)
		}
		fmt.Fprintf(&b, "M 100644 inline file\ndata %d\n%s\n\n", len(noise), noise)
		return mark
	}
	for i := 1; i <= n; i++ {
		if i == 1 {
			commit("main", "c1")
		} else {
			commit("main", fmt.Sprint("c", i), i-1)
		}
	}
	base := min(140, n)
	f := commit("feature", "f2", commit("feature", "f1", base))
	commit("merged", "merge of feature", n, f)
	commit("both", "both", base)
	fmt.Fprintf(&b, "reset refs/tags/light\nfrom :%d\n\nreset refs/tags/both\nfrom :1\n\n", min(20, n))
	fmt.Fprintf(&b, "tag v1\nfrom :%d\ntagger Dora <dora@example.com> 1700000000 +0000\ndata 3\nv1\n\n", min(10, n))
	s.git(repo, b.String(), "fast-import", "--quiet")
}

func (s *server) id(repo, rev string) string { return s.git(repo, "", "rev-parse", rev+"^{commit}") }

// https serves the folder by git's own HTTP backend over TLS, to a user with a password. sent counts the bytes of the answers.
func (s *server) https() (url string, ca []byte, sent *atomic.Int64) {
	git, err := exec.LookPath("git")
	require.NoError(s.t, err)
	sent = new(atomic.Int64)
	backend := &cgi.Handler{Logger: log.New(io.Discard, "", 0), Path: git, Args: []string{"http-backend"}, Env: []string{"GIT_PROJECT_ROOT=" + s.root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + s.root},
		Stderr: io.Discard}
	ts := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "release" || password != "s3cret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(counter{w, sent}, r)
	}))
	ts.Config.ErrorLog = backend.Logger
	ts.StartTLS()
	s.t.Cleanup(ts.Close)
	return ts.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ts.Certificate().Raw}), sent
}

type counter struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return c.ResponseWriter.Write(p)
}

// open opens a repository over https.
func (s *server) open(repo string, o gitartifact.Options) (*gitartifact.Repository, *atomic.Int64) {
	s.t.Helper()
	url, ca, sent := s.https()
	o.User, o.Password, o.CA = "release", "s3cret", ca
	r, err := gitartifact.Open(url+"/"+repo, o)
	require.NoError(s.t, err)
	return r, sent
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	require.NoError(t, err)
	block, err := ssh.MarshalPrivateKey(key, "")
	require.NoError(t, err)
	return signer, pem.EncodeToMemory(block)
}

// ssh serves the folder over ssh by git's own upload-pack, to whoever has the key. It returns the address, and the line of
// known_hosts that is true.
func (s *server) ssh(client ssh.PublicKey) (address, known string) {
	host, _ := newKey(s.t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if !bytes.Equal(key.Marshal(), client.Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(s.t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.converse(conn, config) })
		}
	})
	s.t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return l.Addr().String(), knownhosts.Line([]string{l.Addr().String()}, host.PublicKey())
}

// converse serves one connection, whose errors are the client's to notice.
func (s *server) converse(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	sc, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	defer sc.Close()
	go ssh.DiscardRequests(requests)
	for nc := range channels {
		ch, reqs, err := nc.Accept()
		if err != nil {
			return
		}
		for req := range reqs {
			var payload struct{ Command string }
			if req.Type != "exec" || ssh.Unmarshal(req.Payload, &payload) != nil {
				_ = req.Reply(false, nil)
				continue
			}
			_ = req.Reply(true, nil)
			path := strings.Trim(strings.TrimPrefix(payload.Command, "git-upload-pack "), "'")
			cmd := exec.Command("git", "upload-pack", filepath.Join(s.root, path))
			cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+s.root)
			cmd.Stdout, cmd.Stderr = ch, ch.Stderr()
			status := struct{ Status uint32 }{}
			// A pipe, since Run would wait until the client has no more to say.
			if stdin, err := cmd.StdinPipe(); err == nil {
				go func() { _, _ = io.Copy(stdin, ch) }()
			}
			if cmd.Run() != nil {
				status.Status = 128
			}
			_, _ = ch.SendRequest("exit-status", false, ssh.Marshal(status))
			_ = ch.Close()
		}
	}
}

func mustRaw(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return key
}
