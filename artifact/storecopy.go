package artifact

import (
	"context"
	"errors"
)

// Copy stores the content of digest d, which from holds, in s as well. It streams: memory use does not depend on the size,
// and the content is read once, written once, and verified once on the way. Content that s holds already is not copied; it is
// not read either, so [Store.Put] is the way to repair it.
//
// Size is taken from the backend of from, whatever opts say. The error is a [StoreError] of op "copy": it wraps
// [ErrNotFound] when from does not hold the content, [ErrDigestMismatch] when it was changed there, and otherwise the
// errors of [Store.Put]. After an error s holds nothing new.
func (s *Store) Copy(ctx context.Context, from *Store, d Digest, opts *PutOptions) error {
	obj := object{"blob", blobFolder, d}
	key, err := obj.key()
	if err != nil {
		return obj.error("copy", err)
	}
	if _, err := s.Stat(ctx, d); !errors.Is(err, ErrNotFound) {
		return withOp(err, "copy")
	}
	// The stream is verified by Put, on its way in: verifying it on its way out, too, would hash everything twice.
	stream, info, err := from.driver.Get(ctx, key)
	if err != nil {
		return obj.error("copy", ended(ctx, err))
	}
	var progress func(done, total int64)
	if opts != nil {
		progress = opts.Progress
	}
	err = withOp(s.put(ctx, obj, stream, info.Size, progress), "copy")
	if closeErr := stream.Close(); err == nil && closeErr != nil {
		err = obj.error("copy", closeErr)
	}
	return err
}

// CopySet stores the set of digest d, which from holds, in s as well. It copies the description, not the content of the
// artifacts. The errors are those of [Store.GetSet] and [Store.PutSet].
func (s *Store) CopySet(ctx context.Context, from *Store, d Digest) error {
	set, err := from.GetSet(ctx, d)
	if err != nil {
		return withOp(err, "copy")
	}
	_, err = s.PutSet(ctx, set)
	return withOp(err, "copy")
}

// withOp names the operation that the caller asked for.
func withOp(err error, op string) error {
	var e *StoreError
	if errors.As(err, &e) {
		return &StoreError{Op: op, Object: e.Object, Err: e.Err}
	}
	return err
}
