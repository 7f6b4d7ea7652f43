package ociartifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/gennaker/gennaker/artifact"
)

// putBlob stores what r yields, up to its io.EOF, as the blob of digest d, and returns its size. Nothing can be seen before
// r has ended well. size is what the caller knows of it, or negative.
func (r *repository) putBlob(ctx context.Context, d artifact.Digest, src io.Reader, size int64, chunks *chunks) (int64, error) {
	ctx = r.pushScope(ctx)
	first, end, err := chunks.first(src, size)
	if err != nil {
		return 0, err
	}
	if end {
		return int64(len(first)), r.putWhole(ctx, d, first)
	}
	return r.putChunks(ctx, d, first, src, chunks)
}

// chunks are the buffers of a store, used again as long as there is use for them.
type chunks struct {
	size int64
	pool sync.Pool
}

func (c *chunks) get() []byte {
	if buf, ok := c.pool.Get().(*[]byte); ok {
		return (*buf)[:0]
	}
	return make([]byte, 0, c.size)
}

// put takes a buffer back that no request uses any more. After an error, a transport may still read one.
func (c *chunks) put(buf []byte) { c.pool.Put(&buf) }

// first reads the first chunk and reports whether it is everything, for which a smaller buffer does.
func (c *chunks) first(src io.Reader, size int64) (buf []byte, end bool, err error) {
	const small = 64 << 10
	length := min(c.size, small)
	if size >= 0 {
		length = min(c.size, size+1) // One more, to see the end.
	}
	if length < c.size {
		buf = make([]byte, length)
		n, end, err := fill(buf, src)
		if buf = buf[:n]; end || err != nil {
			return buf, end, err
		}
	}
	whole := append(c.get(), buf...)
	n, end, err := fill(whole[len(whole):cap(whole)], src)
	return whole[:len(whole)+n], end, err
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
func (r *repository) putChunks(ctx context.Context, d artifact.Digest, chunk []byte, src io.Reader, chunks *chunks) (size int64, err error) {
	u, _, err := r.startUpload(ctx, nil)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := chunks.get()
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
	chunks.put(chunk)
	chunks.put(next)
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
