package artifact

import (
	"bytes"
	"context"
	"fmt"
)

// PutSet stores a set and returns its digest, by which [Store.GetSet] finds it. It stores the description, not the content
// of the artifacts. Storing a set again changes nothing. The errors are those of [Store.Put].
func (s *Store) PutSet(ctx context.Context, set Set) (Digest, error) {
	data := set.Canonical()
	if err := s.put(ctx, setObject(set.Digest()), bytes.NewReader(data), int64(len(data)), nil); err != nil {
		return "", err
	}
	return set.Digest(), nil
}

// GetSet returns the set of digest d. The error is a [StoreError]: it wraps [ErrNotFound] when there is no such set,
// [ErrDigestMismatch] when it was changed in the backend, [ErrInvalid] when what has that digest is not the canonical JSON
// of a set, and [ErrTooLarge] when it is larger than any set.
func (s *Store) GetSet(ctx context.Context, d Digest) (Set, error) {
	data, err := s.readAll(ctx, setObject(d), maxSetBytes)
	if err != nil {
		return Set{}, err
	}
	var set Set
	if err := set.UnmarshalJSON(data); err != nil {
		return Set{}, setObject(d).error("get", fmt.Errorf("%w: %w", ErrInvalid, err))
	}
	if set.Digest() != d {
		return Set{}, setObject(d).error("get", fmt.Errorf("%w: its JSON is not canonical", ErrInvalid))
	}
	return set, nil
}

// DeleteSet removes a set, but not the content of its artifacts. Deleting what does not exist is not an error.
func (s *Store) DeleteSet(ctx context.Context, d Digest) error {
	return s.delete(ctx, setObject(d))
}

func setObject(d Digest) object { return object{"set", setFolder, d} }
