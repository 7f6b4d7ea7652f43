package gitartifact

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/transport"

	"github.com/gennaker/gennaker/artifact"
)

// A Commit is what a name stood for when it was resolved.
type Commit struct {
	URL string `json:"url"` // of the repository
	ID  string `json:"id"`  // in full
	Ref string `json:"ref"` // the name in full, such as "refs/heads/main"; the id if a commit was asked for
}

// Artifact returns the commit as an artifact of that name.
func (c Commit) Artifact(name string) artifact.Artifact {
	a := artifact.Artifact{Kind: artifact.KindCommit, Name: name, Version: c.ID, Location: c.URL}
	if c.Ref != c.ID {
		a = a.WithMetadata("ref", c.Ref)
	}
	return a
}

// Resolve returns the commit of a branch ("main"), a tag ("v1.4", peeled if it is annotated), a reference in full
// ("refs/heads/main"), or "HEAD", as the server has it now. The full id of a commit is accepted if it is the commit of one of
// them or the server can be asked for it. The error wraps [ErrUnknownRef] or [ErrAmbiguous], among others.
func (r *Repository) Resolve(ctx context.Context, name string) (Commit, error) {
	op := "resolve " + name
	refs, closeSession, err := r.session(ctx)
	if err != nil {
		return Commit{}, r.fail(ctx, op, err)
	}
	defer closeSession()
	t, err := refs.find(name)
	if errors.Is(err, ErrUnknownRef) && isID(name) && refs.anyCommit() {
		err = nil
		t = target{name: name, commit: plumbing.NewHash(name), want: plumbing.NewHash(name)}
		if _, ferr := r.fetch(ctx, []plumbing.Hash{t.want}, 1); ferr != nil {
			err = ErrUnknownRef
			if ctx.Err() != nil {
				err = ferr
			}
		}
	}
	if err != nil {
		return Commit{}, r.fail(ctx, op, err)
	}
	return Commit{URL: r.url, ID: t.commit.String(), Ref: t.name}, nil
}

// refs are a server's references and what it can do.
type refs struct{ *packp.AdvRefs }

// target is a name with its commit, and the object to ask the server for to get it.
type target struct {
	name         string
	commit, want plumbing.Hash
}

// session asks for the references. The session must be closed.
func (r *Repository) session(ctx context.Context) (refs, func(), error) {
	s, adv, err := r.open(ctx)
	if err != nil {
		return refs{}, nil, err
	}
	return refs{adv}, func() { _ = s.Close() }, nil // nothing was asked that Close could report on
}

func (r *Repository) open(ctx context.Context) (transport.UploadPackSession, *packp.AdvRefs, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	s, err := r.connect(ctx)
	if err != nil {
		return nil, nil, connecting(err)
	}
	adv, err := s.AdvertisedReferencesContext(ctx)
	if err != nil {
		_ = s.Close() // the first error is the telling one
		if errors.Is(err, transport.ErrEmptyRemoteRepository) {
			return nil, nil, ErrUnknownRef
		}
		return nil, nil, err
	}
	return s, adv, nil
}

// connect opens a session. Over ssh that means to shake hands, for which go-git
// knows no end: a server that accepts the connection and says nothing is given up
// after the timeout, and the session closed if it comes about after all.
func (r *Repository) connect(ctx context.Context) (transport.UploadPackSession, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.o.Timeout, fmt.Errorf("no session within %s: %w", r.o.Timeout, context.DeadlineExceeded))
	defer cancel()
	type result struct {
		session transport.UploadPackSession
		err     error
	}
	done := make(chan result)
	go func() {
		ep := *r.endpoint // go-git follows the first redirect by changing it
		s, err := r.client.NewUploadPackSession(&ep, r.auth)
		select {
		case done <- result{s, err}:
		case <-ctx.Done():
			if err == nil {
				_ = s.Close() // nobody waits for it any more
			}
		}
	}()
	select {
	case r := <-done:
		return r.session, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// connecting adds to an error of the ssh library what it says in words only.
func connecting(err error) error {
	if !errors.Is(err, ErrHostKey) && strings.Contains(err.Error(), "unable to authenticate") {
		return errors.Join(ErrAuth, err)
	}
	return err
}

// find returns what a name stands for.
func (s refs) find(name string) (target, error) {
	if name == "HEAD" && s.Head != nil {
		return target{"HEAD", *s.Head, *s.Head}, nil
	}
	if strings.HasPrefix(name, "refs/") {
		return s.exact(name)
	}
	if isID(name) {
		for _, h := range s.References {
			if h.String() == name {
				return target{name, h, h}, nil
			}
		}
		for ref, h := range s.Peeled {
			if h.String() == name {
				return target{name, h, s.References[ref]}, nil
			}
		}
		return target{}, ErrUnknownRef
	}
	branch, noBranch := s.exact("refs/heads/" + name)
	tag, noTag := s.exact("refs/tags/" + name)
	switch {
	case noBranch == nil && noTag == nil && branch.commit != tag.commit:
		return target{}, ErrAmbiguous
	case noBranch == nil:
		return branch, nil
	}
	return tag, noTag
}

func (s refs) exact(ref string) (target, error) {
	h, ok := s.References[ref]
	if !ok {
		return target{}, ErrUnknownRef
	}
	t := target{ref, h, h}
	if peeled, ok := s.Peeled[ref]; ok {
		t.commit = peeled
	}
	return t, nil
}

// anyCommit reports whether the server can be asked for commits that are not those of a reference.
func (s refs) anyCommit() bool {
	return s.Capabilities.Supports("allow-reachable-sha1-in-want") || s.Capabilities.Supports("allow-tip-sha1-in-want")
}

// heads returns the commits of all branches.
func (s refs) heads() []plumbing.Hash {
	var all []plumbing.Hash
	for ref, h := range s.References {
		if strings.HasPrefix(ref, "refs/heads/") {
			all = append(all, h)
		}
	}
	return all
}

func isID(name string) bool {
	return len(name) == 40 && strings.Trim(name, "0123456789abcdef") == ""
}
