package jenkins

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"sync"

	"github.com/gennaker/gennaker/pipeline"
)

// Cursors keeps what watches must not forget: small JSON documents by key, printable ASCII of at most 400 bytes. One process uses a watch's
// cursors at a time; [StoreCursors] notices when two do.
type Cursors interface {
	// Load returns what was saved last under key, and nil without an error if nothing was.
	Load(ctx context.Context, key string) ([]byte, error)
	// Save replaces it, durably when it returns. After an error either value may be there.
	Save(ctx context.Context, key string, value []byte) error
}

// StoreCursors keeps cursors in a state store, beside the executions that a watch starts. If another process saved meanwhile, Save fails with
// pipeline.ErrConflict, and the watch reads the cursor again: two watches of one name report builds twice, but lose none.
func StoreCursors(s pipeline.Store) Cursors {
	return &storeCursors{store: s, versions: map[string]pipeline.Version{}}
}

type storeCursors struct {
	store pipeline.Store

	mu       sync.Mutex
	versions map[string]pipeline.Version // as last read or written
}

func (s *storeCursors) Load(ctx context.Context, key string) ([]byte, error) {
	it, err := s.store.Get(ctx, key)
	if errors.Is(err, pipeline.ErrNotFound) {
		s.set(key, "")
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	s.set(key, it.Version)
	return it.Value, nil
}

func (s *storeCursors) Save(ctx context.Context, key string, value []byte) error {
	s.mu.Lock()
	want := s.versions[key]
	s.mu.Unlock()
	v, err := s.store.Put(ctx, key, value, want)
	if errors.Is(err, pipeline.ErrUnknown) {
		it, getErr := s.store.Get(ctx, key)
		if getErr != nil {
			return errors.Join(err, getErr)
		}
		if bytes.Equal(it.Value, value) {
			v, err = it.Version, nil
		}
	}
	if err != nil {
		return err
	}
	s.set(key, v)
	return nil
}

func (s *storeCursors) set(key string, v pipeline.Version) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[key] = v
}

// key is where the cursor of a job is kept.
func (w *watcher) key(job string) string {
	name := url.PathEscape(job)
	if len(name) > 300 {
		sum := sha256.Sum256([]byte(job))
		name = fmt.Sprintf("%s~%s", name[:200], hex.EncodeToString(sum[:16]))
	}
	return "jenkins-watch/" + w.o.Name + "/" + name
}
