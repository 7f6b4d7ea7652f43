package ociartifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/internal/chunk"
)

// putBlob stores what r yields, up to its io.EOF, as the blob of digest d, and returns its size. Nothing can be seen before
// r has ended well. size is what the caller knows of it, or negative.
func (r *repository) putBlob(ctx context.Context, d artifact.Digest, src io.Reader, size int64, chunks *chunk.Pool) (int64, error) {
	ctx = r.pushScope(ctx)
	first, end, err := chunks.First(src, size)
	if err != nil {
		return 0, err
	}
	if end {
		return int64(len(first)), r.putWhole(ctx, d, first)
	}
	return r.putChunks(ctx, d, first, src, chunks)
}

// putWhole stores content that is in memory. It starts anew when a connection is cut.
func (r *repository) putWhole(ctx context.Context, d artifact.Digest, content []byte) error {
	for attempt := 0; ; attempt++ {
		u, _, err := r.startUpload(ctx, nil)
		if err != nil {
			return err
		}
		err = u.commit(ctx, d, bytes.NewReader(content), int64(len(content)))
		if err == nil {
			return nil
		}
		u.abort(ctx)
		if !isCut(err) && !isBusy(status(err)) || attempt >= retryMax {
			return err
		}
		if err := wait(ctx, attempt); err != nil {
			return err
		}
	}
}

// putChunks stores content of more than one chunk. One chunk is sent while the next is read.
func (r *repository) putChunks(ctx context.Context, d artifact.Digest, first []byte, src io.Reader, chunks *chunk.Pool) (size int64, err error) {
	u, _, err := r.startUpload(ctx, nil)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(chunks.Send(ctx, first, src, u.chunk)); err != nil {
		u.abort(ctx)
		return 0, err
	}
	if err := u.end(ctx, d); err != nil {
		u.abort(ctx)
		return 0, err
	}
	return u.at, nil
}

// end commits a session whose content has all been sent. When the answer is lost, the blob itself says what became of it.
func (u *upload) end(ctx context.Context, d artifact.Digest) error {
	for attempt := 0; ; attempt++ {
		err := u.commit(ctx, d, nil, 0)
		if err == nil || !isCut(err) && !isBusy(status(err)) || attempt >= retryMax {
			return err
		}
		if err := wait(ctx, attempt); err != nil {
			return err
		}
		if there, askErr := u.repo.hasBlob(ctx, d); there || askErr != nil {
			return errors.Join(askErr)
		}
	}
}

// checkChunk refuses chunks that registries refuse or that are a waste.
func checkChunk(size int64) error {
	if size < minChunk || size > maxChunk {
		return fmt.Errorf("chunk size of %d bytes: want %d to %d", size, minChunk, maxChunk)
	}
	return nil
}

const (
	defaultChunk = 6 << 20
	minChunk     = 1 << 20
	maxChunk     = 1 << 30
)
