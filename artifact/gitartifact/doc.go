// Package gitartifact reads from Git repositories what a release needs of them: which commit a branch or a tag is, and what
// has changed between the commit that runs and the one that is to be promoted.
//
// # Model
//
// A [Repository] is a repository on a server, over https or ssh. [Repository.Resolve] asks the server for its references, as
// "git ls-remote" does, and downloads nothing else; annotated tags are peeled to their commits. [Repository.Changes] downloads
// commits, without files where the server can leave them out and never more of the history than is needed, into memory, and
// returns a [ChangeLog], whose text is for the approver of a promotion.
//
//	repo, err := gitartifact.Open("ssh://git@git.example.com/shop.git", gitartifact.Options{Key: pem})
//	commit, err := repo.Resolve(ctx, "main")
//	set, err = set.With(commit.Artifact("shop"))
//
// The client is go-git; no git program is needed.
//
// # Guarantees
//
//  1. Resolve returns a full commit id, or an error; a name that is a branch as well as a tag is not guessed.
//  2. A server is who it says: TLS is always verified, and over ssh the key of the host must be known.
//  3. Credentials go to the server alone. They are not part of the URL, and of no error.
//  4. Memory is bounded by Options.MaxBytes.
//
// # Errors
//
// [*Error] says which repository and what was asked of it; it wraps [ErrNotFound], [ErrUnknownRef], [ErrAmbiguous],
// [ErrUnknownCommit], [ErrTooLong], [ErrAuth], [ErrHostKey], or the network's error. [*DivergedError] comes with the change
// log, when what runs is not an ancestor of what is promoted: a branch was rewritten, or it is another one.
//
// # Cancellation
//
// Operations end with their context, with its cause. Connecting and
// shaking hands take at most Options.Timeout; over ssh, what a silent server was asked before that is given up, and its
// connection stays until the server closes it.
package gitartifact
