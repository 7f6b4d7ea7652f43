package gitartifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/storage/memory"
)

// history is the commits that were fetched. Parents that are not among them were cut off.
type history map[plumbing.Hash]*object.Commit

// fetch downloads the commits that are at most depth away from those that are wanted.
func (r *Repository) fetch(ctx context.Context, wants []plumbing.Hash, depth int) (history, error) {
	s, adv, err := r.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }() // the pack has been read to its end, and was checked
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Wants = wants
	if adv.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(depth)
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return nil, err
		}
	}
	if adv.Capabilities.Supports(capability.Filter) {
		req.Filter = packp.FilterTreeDepth(0) // commits only
		if err := req.Capabilities.Set(capability.Filter); err != nil {
			return nil, err
		}
	}
	res, err := s.UploadPack(ctx, req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Close() }()
	pack, err := r.read(res, req.Capabilities)
	if err != nil {
		return nil, err
	}
	return parse(pack)
}

// read reads the whole pack, to its limit. go-git would hold it in memory, too.
func (r *Repository) read(res io.Reader, caps *capability.List) ([]byte, error) {
	switch {
	case caps.Supports(capability.Sideband64k):
		res = sideband.NewDemuxer(sideband.Sideband64k, res)
	case caps.Supports(capability.Sideband):
		res = sideband.NewDemuxer(sideband.Sideband, res)
	}
	pack, err := io.ReadAll(io.LimitReader(res, r.o.MaxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(pack)) > r.o.MaxBytes:
		return nil, fmt.Errorf("%w: more than %d bytes; raise Options.MaxBytes, or let the server filter (uploadpack.allowFilter)", ErrTooLong, r.o.MaxBytes)
	}
	return pack, nil
}

func parse(pack []byte) (history, error) {
	store := memory.NewStorage()
	if err := packfile.UpdateObjectStorage(store, bytes.NewReader(pack)); err != nil {
		return nil, err
	}
	h := history{}
	for id, o := range store.Commits {
		c := &object.Commit{}
		if err := c.Decode(o); err != nil {
			return nil, fmt.Errorf("commit %s: %w", id, err)
		}
		h[id] = c
	}
	return h, nil
}

// reach returns the commits that one comes from, itself included, and whether some of them were cut off.
func (h history) reach(from plumbing.Hash) (all map[plumbing.Hash]bool, cut map[plumbing.Hash]bool) {
	all, cut = map[plumbing.Hash]bool{}, map[plumbing.Hash]bool{}
	for todo := []plumbing.Hash{from}; len(todo) > 0; {
		id := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if all[id] {
			continue
		}
		all[id] = true
		for _, p := range h[id].ParentHashes {
			if h[p] == nil {
				cut[id] = true
			} else {
				todo = append(todo, p)
			}
		}
	}
	return all, cut
}

// An Entry is one commit of a change log.
type Entry struct {
	ID      string    `json:"id"`
	Author  string    `json:"author"`
	At      time.Time `json:"at"` // when it was committed
	Subject string    `json:"subject"`
	Merge   bool      `json:"merge,omitempty"`
}

func entry(c *object.Commit) Entry {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return Entry{ID: c.Hash.String(), Author: c.Author.Name, At: c.Committer.When, Subject: strings.TrimSpace(subject), Merge: len(c.ParentHashes) > 1}
}
