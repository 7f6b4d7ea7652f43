package evidence

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/gennaker/gennaker/artifact"
)

// kind is what evidence is attached as.
const kind = "evidence"

// A Store keeps evidence beside the sets that it is about, in an artifact store.
type Store struct{ artifacts *artifact.Store }

// NewStore returns a store that keeps its evidence in s.
func NewStore(s *artifact.Store) *Store { return &Store{artifacts: s} }

// Artifacts returns the store below.
func (s *Store) Artifacts() *artifact.Store { return s.artifacts }

// Put stores an envelope as evidence about a set and returns its digest. It may be signed by anybody: what is stored is
// verified when it is used. Storing the same again changes nothing.
func (s *Store) Put(ctx context.Context, set artifact.Digest, e Envelope) (artifact.Digest, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return "", malformed("envelope: %v", err)
	}
	if len(data) > MaxSize {
		return "", malformed("envelope of %d bytes, at most %d are allowed", len(data), MaxSize)
	}
	return s.artifacts.Attach(ctx, set, kind, data)
}

// Get returns the evidence of that digest as it is stored, not verified.
func (s *Store) Get(ctx context.Context, set, d artifact.Digest) ([]byte, error) {
	return s.artifacts.Attachment(ctx, set, kind, d, MaxSize)
}

// List returns the digests of all evidence about a set, whether it is any good or not.
func (s *Store) List(ctx context.Context, set artifact.Digest) ([]artifact.Digest, error) {
	var all []artifact.Digest
	for info, err := range s.artifacts.Attachments(ctx, set, kind) {
		if err != nil {
			return nil, err
		}
		all = append(all, info.Digest)
	}
	return all, nil
}

// Open returns the evidence about a set that [Open] accepts, in the order of its digests, and why each of the rest is
// refused. An error says that not all of it could be read. Evidence whose bytes were changed in the store is among the
// refused, as [ErrTampered].
func (s *Store) Open(ctx context.Context, set artifact.Set, trust Trust) (good []Verified, refused []*Error, err error) {
	all, err := s.List(ctx, set.Digest())
	if err != nil {
		return nil, nil, err
	}
	for _, d := range all {
		v, err := s.open(ctx, set, d, trust)
		var why *Error
		switch {
		case err == nil:
			good = append(good, v)
		case errors.As(err, &why):
			refused = append(refused, why)
		default:
			return nil, nil, err
		}
	}
	return good, refused, nil
}

func (s *Store) open(ctx context.Context, set artifact.Set, d artifact.Digest, trust Trust) (Verified, error) {
	data, err := s.Get(ctx, set.Digest(), d)
	switch {
	case errors.Is(err, artifact.ErrDigestMismatch):
		return Verified{}, &Error{Evidence: d, Err: ErrTampered, Detail: "what is stored does not have its digest"}
	case errors.Is(err, artifact.ErrTooLarge):
		return Verified{}, &Error{Evidence: d, Err: ErrMalformed, Detail: "it is too large"}
	case err != nil:
		return Verified{}, err
	}
	return Open(ctx, data, set, trust)
}
