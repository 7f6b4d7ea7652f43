package gitartifact

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/gennaker/gennaker/artifact"
)

// A ChangeLog is what lies between two commits.
type ChangeLog struct {
	From string `json:"from"` // commit ids
	To   string `json:"to"`
	Base string `json:"base,omitempty"` // the newest commit that both come from
	// Added are the commits that To has and From has not, Lost those that From has and To has not; newest first.
	Added []Entry `json:"added,omitempty"`
	Lost  []Entry `json:"lost,omitempty"`
}

// Changes returns the change log between the commit that runs and a branch, tag or commit that is to be promoted. from is
// the full id of a commit, as [Repository.Resolve] returns it.
//
// If from is no ancestor of to, the error wraps a [*DivergedError] and the change log is complete all the same. It wraps
// [ErrUnknownCommit] if from is not to be had any more, and [ErrTooLong] if the two are further apart than
// Options.MaxCommits.
func (r *Repository) Changes(ctx context.Context, from, to string) (ChangeLog, error) {
	op := fmt.Sprintf("changes %s..%s", short(from), to)
	if !isID(from) {
		return ChangeLog{}, r.fail(ctx, op, fmt.Errorf("%w: %q is not a full commit id", ErrUnknownCommit, from))
	}
	log, err := r.changes(ctx, plumbing.NewHash(from), to)
	if err == nil && len(log.Lost) > 0 {
		err = &DivergedError{From: log.From, To: log.To, Base: log.Base, Lost: len(log.Lost)}
	}
	return log, r.fail(ctx, op, err)
}

func (r *Repository) changes(ctx context.Context, from plumbing.Hash, name string) (ChangeLog, error) {
	s, closeSession, err := r.session(ctx)
	if err != nil {
		return ChangeLog{}, err
	}
	closeSession()
	to, err := s.find(name)
	if errors.Is(err, ErrUnknownRef) && isID(name) {
		to, err = target{name: name, commit: plumbing.NewHash(name)}, nil
	}
	if err != nil {
		return ChangeLog{}, err
	}
	if to.commit == from {
		return ChangeLog{From: from.String(), To: to.commit.String(), Base: from.String()}, nil
	}
	err = ErrUnknownCommit
	for _, wants := range s.plans(from, to) {
		log, found, deeper, ferr := r.deepen(ctx, wants, from, to.commit)
		if ferr != nil || found {
			return log, ferr
		}
		if deeper {
			err = fmt.Errorf("%w: more than %d commits lie between them, or %s is gone", ErrTooLong, r.o.MaxCommits, short(from.String()))
		}
	}
	return ChangeLog{}, err
}

// plans returns what to ask for, one after the other until both commits are there: the two themselves, if the server can be
// asked for any commit; the references that they are; and all branches.
func (s refs) plans(from plumbing.Hash, to target) [][]plumbing.Hash {
	var all [][]plumbing.Hash
	if s.anyCommit() {
		all = append(all, []plumbing.Hash{to.commit, from})
	}
	var direct []plumbing.Hash
	if !to.want.IsZero() {
		direct = append(direct, to.want)
		if t, err := s.find(from.String()); err == nil && t.want != to.want {
			direct = append(direct, t.want)
		}
		all = append(all, direct)
	}
	if heads := s.heads(); len(heads) > 0 {
		for _, d := range direct {
			if !slices.Contains(heads, d) {
				heads = append(heads, d)
			}
		}
		all = append(all, heads)
	}
	return all
}

// firstDepth is how far the first attempt looks back: releases are seldom further apart.
const firstDepth = 64

// deepen fetches more and more of the history, until it suffices. found is false if the commits are not in it, or the server
// does not give away what is wanted; deeper says that more of the history could be had, but for the limit.
func (r *Repository) deepen(ctx context.Context, wants []plumbing.Hash, from, to plumbing.Hash) (log ChangeLog, found, deeper bool, err error) {
	for depth := min(firstDepth, r.o.MaxCommits); ; depth = min(depth*8, r.o.MaxCommits) {
		h, err := r.fetch(ctx, wants, depth)
		if err != nil && ctx.Err() == nil && refused(err) {
			return ChangeLog{}, false, false, nil
		}
		if err != nil {
			return ChangeLog{}, false, false, err
		}
		log, enough := h.between(from, to)
		switch {
		case enough:
			return log, true, false, nil
		case !h.isCut():
			return ChangeLog{}, false, false, nil
		case depth == r.o.MaxCommits:
			return ChangeLog{}, false, true, nil
		}
	}
}

// refused reports whether the server has answered, but does not give away what is wanted.
func refused(err error) bool {
	return strings.Contains(err.Error(), "not our ref") || strings.Contains(err.Error(), "unadvertised object")
}

func (h history) isCut() bool {
	for _, c := range h {
		for _, p := range c.ParentHashes {
			if h[p] == nil {
				return true
			}
		}
	}
	return false
}

// between returns the change log, and whether enough of the history is there to know it.
func (h history) between(from, to plumbing.Hash) (ChangeLog, bool) {
	if h[from] == nil || h[to] == nil {
		return ChangeLog{}, false
	}
	old, oldCut := h.reach(from)
	now, nowCut := h.reach(to)
	log := ChangeLog{From: from.String(), To: to.String()}
	collect := func(in, without, cut map[plumbing.Hash]bool) (all []Entry, whole bool) {
		for id := range in {
			if without[id] {
				continue
			}
			if cut[id] {
				return nil, false // what it comes from may be in both, or not
			}
			all = append(all, entry(h[id]))
		}
		slices.SortFunc(all, func(a, b Entry) int {
			if c := b.At.Compare(a.At); c != 0 {
				return c
			}
			return strings.Compare(a.ID, b.ID)
		})
		return all, true
	}
	var ok1, ok2 bool
	log.Added, ok1 = collect(now, old, nowCut)
	log.Lost, ok2 = collect(old, now, oldCut)
	if !ok1 || !ok2 {
		return ChangeLog{}, false
	}
	var base Entry
	for id := range old {
		if e := entry(h[id]); now[id] && (base.ID == "" || e.At.After(base.At)) {
			base = e
		}
	}
	log.Base = base.ID
	return log, true
}

// Text returns the change log for people: a line for each commit, of each list at most limit, and how many more there are. A
// limit of zero or less means 50.
func (l ChangeLog) Text(limit int) string {
	if limit <= 0 {
		limit = 50
	}
	var b strings.Builder
	if len(l.Added) == 0 && len(l.Lost) == 0 {
		return "no commits\n"
	}
	list := func(what string, all []Entry) {
		if len(all) == 0 {
			return
		}
		fmt.Fprintf(&b, "%d %s:\n", len(all), what)
		for _, e := range all[:min(limit, len(all))] {
			fmt.Fprintf(&b, "  %s %s (%s, %s)\n", short(e.ID), printable(e.Subject), printable(e.Author), e.At.UTC().Format("2006-01-02"))
		}
		if more := len(all) - limit; more > 0 {
			fmt.Fprintf(&b, "  and %d more\n", more)
		}
	}
	list("new commits", l.Added)
	list("commits that are lost", l.Lost)
	return b.String()
}

// printable keeps what somebody else has written to one line, and from steering a terminal.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) {
			return -1
		}
		return r
	}, s)
	if r := []rune(s); len(r) > 100 {
		s = string(r[:100]) + "…"
	}
	return s
}

// Log returns the change log between the commits of that name in two sets, as text; it has the form that stage.Propose wants.
// Divergence is part of the text and no error.
func (r *Repository) Log(name string) func(ctx context.Context, before, after artifact.Set) (string, error) {
	return func(ctx context.Context, before, after artifact.Set) (string, error) {
		now, ok := after.Find(artifact.KindCommit, name)
		if !ok {
			return "", fmt.Errorf("the set has no commit %q", name)
		}
		old, ok := before.Find(artifact.KindCommit, name)
		if !ok {
			return "commit " + short(now.Version) + ", and nothing to compare it with", nil
		}
		log, err := r.Changes(ctx, old.Version, now.Version)
		var diverged *DivergedError
		if errors.As(err, &diverged) {
			return diverged.Error() + "\n" + log.Text(0), nil
		}
		if err != nil {
			return "", err
		}
		return log.Text(0), nil
	}
}
