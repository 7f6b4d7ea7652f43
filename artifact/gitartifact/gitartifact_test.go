package gitartifact_test

import (
	"context"
	"encoding/pem"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/gitartifact"
)

func TestResolve(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.create("shop.git", 30)
	repo, sent := s.open("shop.git", gitartifact.Options{})
	for name, ref := range map[string]string{
		"main": "refs/heads/main", "v1": "refs/tags/v1", "light": "refs/tags/light", "refs/heads/both": "refs/heads/both", "refs/tags/both": "refs/tags/both",
		"refs/tags/v1": "refs/tags/v1", "HEAD": "HEAD",
	} {
		c, err := repo.Resolve(t.Context(), name)
		require.NoError(t, err, name)
		require.Equal(t, gitartifact.Commit{URL: repo.URL(), ID: s.id("shop.git", name), Ref: ref}, c)
		require.NoError(t, c.Artifact("shop").Validate())
	}
	require.Less(t, sent.Load(), int64(20_000), "the references are sent, and not the repository")
	tip := s.id("shop.git", "main")
	c, err := repo.Resolve(t.Context(), tip)
	require.NoError(t, err)
	require.Equal(t, artifact.Artifact{Kind: artifact.KindCommit, Name: "shop", Version: tip, Location: repo.URL()}, c.Artifact("shop"))
	peeled, err := repo.Resolve(t.Context(), s.id("shop.git", "v1"))
	require.NoError(t, err, "the commit of an annotated tag")
	require.Equal(t, s.id("shop.git", "v1"), peeled.ID)

	for name, want := range map[string]error{
		"both": gitartifact.ErrAmbiguous, "nothing": gitartifact.ErrUnknownRef, "": gitartifact.ErrUnknownRef, "refs/heads/v1": gitartifact.ErrUnknownRef,
		s.id("shop.git", "main~3"): gitartifact.ErrUnknownRef, strings.Repeat("a", 40): gitartifact.ErrUnknownRef,
	} {
		_, err := repo.Resolve(t.Context(), name)
		require.ErrorIs(t, err, want, name)
		var e *gitartifact.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, "resolve "+name, e.Op)
	}

	// A server that may be asked for any commit is.
	s.git("shop.git", "", "config", "uploadpack.allowReachableSHA1InWant", "true")
	c, err = repo.Resolve(t.Context(), s.id("shop.git", "main~3"))
	require.NoError(t, err)
	require.Equal(t, c.ID, c.Ref)
	_, err = repo.Resolve(t.Context(), strings.Repeat("a", 40))
	require.ErrorIs(t, err, gitartifact.ErrUnknownRef)

	require.NoError(t, os.MkdirAll(filepath.Join(s.root, "empty.git"), 0o750))
	s.git("empty.git", "", "init", "-q", "--bare")
	empty, _ := s.open("empty.git", gitartifact.Options{})
	_, err = empty.Resolve(t.Context(), "main")
	require.ErrorIs(t, err, gitartifact.ErrUnknownRef)
}

// subjects are those of a list of commits.
func subjects(all []gitartifact.Entry) (s []string) {
	for _, e := range all {
		s = append(s, e.Subject)
	}
	return s
}

func TestChanges(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	for repo, settings := range map[string][]string{
		"plain.git": nil,
		"able.git":  {"uploadpack.allowFilter=true", "uploadpack.allowReachableSHA1InWant=true"},
	} {
		s.create(repo, 150, settings...)
		r, sent := s.open(repo, gitartifact.Options{})
		main := s.id(repo, "main")
		log, err := r.Changes(t.Context(), s.id(repo, "main~3"), "main")
		require.NoError(t, err, repo)
		require.Equal(t, []string{"c150", "c149", "c148"}, subjects(log.Added))
		require.Empty(t, log.Lost)
		require.Equal(t, main, log.To)
		require.Equal(t, s.id(repo, "main~3"), log.Base)
		require.Equal(t, "Dora", log.Added[0].Author)
		require.Contains(t, log.Text(2), "3 new commits:\n  "+main[:10]+" c150 (Dora, 2023-11-15)\n")
		require.Contains(t, log.Text(2), "  and 1 more\n")
		if settings != nil {
			require.Less(t, sent.Load(), int64(40_000), "no files are sent")
		}

		log, err = r.Changes(t.Context(), s.id(repo, "v1"), "main")
		require.NoError(t, err, "further back than the first attempt looks")
		require.Len(t, log.Added, 140)
		log, err = r.Changes(t.Context(), s.id(repo, "main~5"), "merged")
		require.NoError(t, err)
		require.Len(t, log.Added, 8)
		require.True(t, log.Added[0].Merge)
		log, err = r.Changes(t.Context(), main, "main")
		require.NoError(t, err)
		require.Equal(t, "no commits\n", log.Text(0))
		log, err = r.Changes(t.Context(), s.id(repo, "main~9"), s.id(repo, "main~7"))
		require.NoError(t, err, "commits that no reference names")
		require.Equal(t, []string{"c143", "c142"}, subjects(log.Added))

		// The branch goes elsewhere.
		log, err = r.Changes(t.Context(), main, "feature")
		var diverged *gitartifact.DivergedError
		require.ErrorAs(t, err, &diverged)
		require.Equal(t, s.id(repo, "main~10"), diverged.Base)
		require.Equal(t, 10, diverged.Lost)
		require.Equal(t, []string{"f2", "f1"}, subjects(log.Added))
		require.Len(t, log.Lost, 10)
		require.Contains(t, log.Text(0), "10 commits that are lost:")
		// Going back is divergence, too: nothing is new, and something is lost.
		_, err = r.Changes(t.Context(), main, "v1")
		require.ErrorAs(t, err, &diverged)
		require.Equal(t, s.id(repo, "v1"), diverged.Base)

		// A forced push: what ran is in no branch any more.
		orphan := s.git(repo, "", "-c", "user.name=Dora", "-c", "user.email=d@example.com", "commit-tree", "-m", "orphan", "-p", s.id(repo, "main~2"), main+"^{tree}")
		_, err = r.Changes(t.Context(), orphan, "main")
		require.ErrorIs(t, err, gitartifact.ErrUnknownCommit, repo)
		_, err = r.Changes(t.Context(), strings.Repeat("a", 40), "main")
		require.ErrorIs(t, err, gitartifact.ErrUnknownCommit)
		_, err = r.Changes(t.Context(), "main", "main")
		require.ErrorIs(t, err, gitartifact.ErrUnknownCommit, "from is a full id")
		_, err = r.Changes(t.Context(), main, "nothing")
		require.ErrorIs(t, err, gitartifact.ErrUnknownRef)
	}
	short, _ := s.open("plain.git", gitartifact.Options{MaxCommits: 20})
	_, err := short.Changes(t.Context(), s.id("plain.git", "v1"), "main")
	require.ErrorIs(t, err, gitartifact.ErrTooLong)
	small, _ := s.open("plain.git", gitartifact.Options{MaxBytes: 20_000})
	_, err = small.Changes(t.Context(), s.id("plain.git", "main~3"), "main")
	require.ErrorIs(t, err, gitartifact.ErrTooLong)
	require.ErrorContains(t, err, "allowFilter")
}

func TestLogOfSets(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.create("shop.git", 12)
	r, _ := s.open("shop.git", gitartifact.Options{})
	at := func(rev string) artifact.Set {
		set, err := artifact.NewSet(gitartifact.Commit{URL: r.URL(), ID: s.id("shop.git", rev), Ref: "refs/heads/main"}.Artifact("shop"))
		require.NoError(t, err)
		return set
	}
	log := r.Log("shop")
	text, err := log(t.Context(), at("main~1"), at("main"))
	require.NoError(t, err)
	require.Contains(t, text, "1 new commits:")
	text, err = log(t.Context(), at("main"), at("feature~1"))
	require.NoError(t, err)
	require.Contains(t, text, "f1")
	text, err = log(t.Context(), at("feature"), at("main"))
	require.NoError(t, err)
	require.Contains(t, text, "2 commits are lost")
	text, err = log(t.Context(), artifact.Set{}, at("main"))
	require.NoError(t, err)
	require.Contains(t, text, "nothing to compare it with")
	_, err = log(t.Context(), at("main"), artifact.Set{})
	require.ErrorContains(t, err, `no commit "shop"`)
}

func TestSSH(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.create("shop.git", 80, "uploadpack.allowFilter=true")
	client, clientPEM := newKey(t)
	address, line := s.ssh(client.PublicKey())
	known := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(known, []byte(line+"\n"), 0o600))
	url := "ssh://git@" + address + "/shop.git"
	open := func(key []byte, known string) *gitartifact.Repository {
		r, err := gitartifact.Open(url, gitartifact.Options{Key: key, KnownHosts: []string{known}, Timeout: 10 * time.Second})
		require.NoError(t, err)
		return r
	}
	repo := open(clientPEM, known)
	c, err := repo.Resolve(t.Context(), "v1")
	require.NoError(t, err)
	require.Equal(t, s.id("shop.git", "v1"), c.ID)
	log, err := repo.Changes(t.Context(), s.id("shop.git", "v1"), "main")
	require.NoError(t, err)
	require.Len(t, log.Added, 70)

	_, stranger := newKey(t)
	_, err = open(stranger, known).Resolve(t.Context(), "main")
	require.ErrorIs(t, err, gitartifact.ErrAuth)
	// Another key than the one that is known, and none.
	other, _ := newKey(t)
	_, otherLine := s.ssh(other.PublicKey())
	_, keyText, _ := strings.Cut(otherLine, " ")
	hosts, _, _ := strings.Cut(line, " ")
	wrong := filepath.Join(t.TempDir(), "known_hosts")
	for _, text := range []string{hosts + " " + keyText, ""} {
		require.NoError(t, os.WriteFile(wrong, []byte(text+"\n"), 0o600))
		_, err = open(clientPEM, wrong).Resolve(t.Context(), "main")
		require.ErrorIs(t, err, gitartifact.ErrHostKey)
	}
	require.NoError(t, os.Remove(wrong))
	_, err = open(clientPEM, wrong).Resolve(t.Context(), "main")
	require.ErrorIs(t, err, gitartifact.ErrHostKey)

	gone, err := gitartifact.Open("ssh://git@"+address+"/nowhere.git", gitartifact.Options{Key: clientPEM, KnownHosts: []string{known}})
	require.NoError(t, err)
	_, err = gone.Resolve(t.Context(), "main")
	require.ErrorIs(t, err, gitartifact.ErrNotFound)
}

func TestRefusalsOverHTTPS(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.create("shop.git", 3)
	url, ca, _ := s.https()
	resolve := func(path string, o gitartifact.Options) error {
		r, err := gitartifact.Open(url+path, o)
		require.NoError(t, err)
		_, err = r.Resolve(t.Context(), "main")
		require.NotContains(t, err.Error(), "s3cret")
		return err
	}
	require.ErrorIs(t, resolve("/shop.git", gitartifact.Options{CA: ca}), gitartifact.ErrAuth)
	require.ErrorIs(t, resolve("/shop.git", gitartifact.Options{CA: ca, Password: "s3cret"}), gitartifact.ErrAuth, "the user is git, unless another is named")
	require.ErrorIs(t, resolve("/nowhere.git", gitartifact.Options{CA: ca, User: "release", Password: "s3cret"}), gitartifact.ErrNotFound)
	require.ErrorContains(t, resolve("/shop.git", gitartifact.Options{User: "release", Password: "s3cret"}), "certificate")

	stuck := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer stuck.Close()
	r, err := gitartifact.Open(stuck.URL+"/shop.git", gitartifact.Options{CA: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stuck.Certificate().Raw})})
	require.NoError(t, err)
	why := errors.New("the release was cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(why) })
	_, err = r.Resolve(ctx, "main")
	require.ErrorIs(t, err, why)
	_, err = r.Changes(ctx, strings.Repeat("a", 40), "main")
	require.ErrorIs(t, err, why)
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, key := newKey(t)
	block, err := ssh.MarshalPrivateKeyWithPassphrase(mustRaw(t), "", []byte("pass"))
	require.NoError(t, err)
	encrypted := pem.EncodeToMemory(block)
	for url, c := range map[string]struct {
		o    gitartifact.Options
		want string
	}{
		"http://git.test/shop.git":                 {gitartifact.Options{}, `scheme "http"`},
		"git://git.test/shop.git":                  {gitartifact.Options{}, `scheme "git"`},
		"/srv/shop.git":                            {gitartifact.Options{}, `scheme "file"`},
		"https://bob:s3cret@git.test/shop.git":     {gitartifact.Options{}, "credentials in the URL"},
		"https://s3cret@git.test/shop.git":         {gitartifact.Options{}, "credentials in the URL"},
		"ssh://git:s3cret@git.test/shop.git":       {gitartifact.Options{Key: key}, "credentials in the URL"},
		"https://bob:s3cret@git.test:port/%zz.git": {gitartifact.Options{}, "cannot be read"},
		"https://git.test/a.git":                   {gitartifact.Options{Key: key}, "no use over https"},
		"https://git.test/b.git":                   {gitartifact.Options{CA: []byte("x")}, "no certificate"},
		"https://git.test/c.git":                   {gitartifact.Options{MaxCommits: -1}, "negative"},
		"git@git.test:a.git":                       {gitartifact.Options{}, "no Key"},
		"git@git.test:b.git":                       {gitartifact.Options{Key: []byte("x")}, "key: "},
		"git@git.test:c.git":                       {gitartifact.Options{Key: encrypted}, "key: "},
		"git@git.test:d.git":                       {gitartifact.Options{Key: encrypted, Passphrase: "no"}, "key: "},
		"git@git.test:e.git":                       {gitartifact.Options{Key: key, Password: "p"}, "over ssh"},
	} {
		_, err := gitartifact.Open(url, c.o)
		require.ErrorContains(t, err, c.want, url)
		require.NotContains(t, err.Error(), "s3cret")
	}
	_, err = gitartifact.Open("git.test:shop.git", gitartifact.Options{Key: encrypted, Passphrase: "pass"})
	require.NoError(t, err)
}

func TestSilentServerIsGivenUp(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer silent.Close() // also ends what waits for it
	_, key := newKey(t)
	known := filepath.Join(t.TempDir(), "known_hosts")
	require.NoError(t, os.WriteFile(known, nil, 0o600))
	open := func(timeout time.Duration) *gitartifact.Repository {
		repo, err := gitartifact.Open("ssh://git@"+silent.Addr().String()+"/shop.git",
			gitartifact.Options{Key: key, KnownHosts: []string{known}, Timeout: timeout})
		require.NoError(t, err)
		return repo
	}

	_, err = open(50*time.Millisecond).Resolve(t.Context(), "main")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "no session within 50ms")

	stop := errors.New("the release was stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(50*time.Millisecond, func() { cancel(stop) })
	_, err = open(time.Hour).Resolve(ctx, "main")
	require.ErrorIs(t, err, stop)
}
