package gitartifact

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Reasons, to be asked for with errors.Is.
var (
	// ErrNotFound says that there is no such repository, or none for these credentials.
	ErrNotFound = errors.New("repository not found")
	// ErrUnknownRef says that the repository has no such branch, tag or commit.
	ErrUnknownRef = errors.New("no such branch, tag or commit")
	// ErrAmbiguous says that a name is a branch and a tag, which are different commits.
	ErrAmbiguous = errors.New("a branch and a tag have this name; write refs/heads/… or refs/tags/…")
	// ErrUnknownCommit says that a commit is not in the history of any branch, as after a forced push.
	ErrUnknownCommit = errors.New("the commit is in no branch any more")
	// ErrTooLong says that a history is longer, or larger, than the limits.
	ErrTooLong = errors.New("the history is longer than the limit")
	// ErrAuth says that the server did not accept the credentials.
	ErrAuth = errors.New("not authorised")
	// ErrHostKey says that the server's key is not the one that is known of this host, or that none is.
	ErrHostKey = errors.New("the host's key is not known")
)

// An Error says what could not be done with which repository.
type Error struct {
	URL string
	Op  string // "resolve main" or "changes abc1234..main"
	Err error
}

func (e *Error) Error() string { return fmt.Sprintf("git %s: %s: %v", e.URL, e.Op, e.Err) }

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// A DivergedError says that one commit is not an ancestor of the other. The change log that comes with it has what was lost.
type DivergedError struct {
	From, To string // commit ids
	Base     string // the newest commit that both come from; empty if there is none
	Lost     int    // commits of From that To does not have
}

func (e *DivergedError) Error() string {
	base := "they have no commit in common"
	if e.Base != "" {
		base = "they part at " + short(e.Base)
	}
	return fmt.Sprintf("%s does not come from %s, %s: %d commits are lost", short(e.To), short(e.From), base, e.Lost)
}

func (r *Repository) fail(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed):
		err = fmt.Errorf("%w: %w", ErrAuth, err)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return &Error{URL: r.url, Op: op, Err: err}
}

func short(id string) string { return id[:min(len(id), 10)] }
