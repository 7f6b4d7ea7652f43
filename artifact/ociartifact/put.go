package ociartifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/gennaker/gennaker/artifact"
)

// putBlob stores what r yields, up to its io.EOF, as the blob of digest d, and returns its size. Nothing can be seen before
// r has ended well. size is what the caller knows of it, or negative.
func (r *repository) putBlob(ctx context.Context, d artifact.Digest, src io.Reader, size, chunk int64) (int64, error) {
	ctx = r.pushScope(ctx)
	first, end, err := readFirst(src, size, chunk)
	if err != nil {
		return 0, err
	}
	if end {
		return int64(len(first)), r.putWhole(ctx, d, first)
	}
	return r.putChunks(ctx, d, first, src)
}

// readFirst reads the first chunk and reports whether it is everything. The buffer grows with what there is.
func readFirst(src io.Reader, size, chunk int64) (buf []byte, end bool, err error) {
	const small = 64 << 10
	length := min(chunk, small)
	if size >= 0 {
		length = min(chunk, size+1) // One more, to see the end.
	}
	buf = make([]byte, 0, length)
	for {
		n, end, err := fill(buf[len(buf):cap(buf)], src)
		buf = buf[:len(buf)+n]
		if end || err != nil || int64(len(buf)) == chunk {
			return buf, end, err
		}
		buf = append(make([]byte, 0, min(chunk, 2*int64(cap(buf)))), buf...)
	}
}

// fill reads until buf is full or src has ended with io.EOF.
func fill(buf []byte, src io.Reader) (n int, end bool, err error) {
	for n < len(buf) {
		m, err := src.Read(buf[n:])
		n += m
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
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
func (r *repository) putChunks(ctx context.Context, d artifact.Digest, chunk []byte, src io.Reader) (size int64, err error) {
	u, _, err := r.startUpload(ctx, nil)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make([]byte, cap(chunk))
	for end := false; !end; {
		sent := make(chan error, 1)
		go func() { sent <- u.chunk(ctx, chunk) }()
		var n int
		var readErr error
		if n, end, readErr = fill(next[:cap(next)], src); readErr != nil {
			cancel(readErr)
		}
		if err := errors.Join(readErr, <-sent); err != nil {
			u.abort(ctx)
			return 0, err
		}
		chunk, next = next[:n], chunk
	}
	if err := u.chunk(ctx, chunk); err != nil {
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
	defaultChunk = 8 << 20
	minChunk     = 1 << 20
	maxChunk     = 1 << 30
)
