// Package chunk sends a stream in chunks of one size: one is sent while the next is read.
package chunk

import (
	"context"
	"io"
	"sync"
)

// A Pool has the buffers of a store, used again as long as there is use for them. It is safe for concurrent use; the zero Pool
// is not ready to use.
type Pool struct {
	size int64
	pool sync.Pool
}

// NewPool returns a pool of buffers of that many bytes.
func NewPool(size int64) *Pool { return &Pool{size: size} }

// Size returns the size of a chunk, in bytes.
func (p *Pool) Size() int64 { return p.size }

func (p *Pool) get() []byte {
	if buf, ok := p.pool.Get().(*[]byte); ok {
		return (*buf)[:0]
	}
	return make([]byte, 0, p.size)
}

// First reads the first chunk and reports whether it is everything, for which a smaller buffer does. size is what the caller
// knows of the stream's length, or negative.
func (p *Pool) First(r io.Reader, size int64) (buf []byte, end bool, err error) {
	const small = 64 << 10
	length := min(p.size, small)
	if size >= 0 {
		length = min(p.size, size+1) // One more, to see the end.
	}
	if length < p.size {
		buf = make([]byte, length)
		n, end, err := fill(buf, r)
		if buf = buf[:n]; end || err != nil {
			return buf, end, err
		}
	}
	whole := append(p.get(), buf...)
	n, end, err := fill(whole[len(whole):cap(whole)], r)
	return whole[:len(whole)+n], end, err
}

// Send sends the chunk that First has returned, and the rest of the stream. send is called with one chunk after the other,
// none of them empty, while the next is read. When reading fails, what is being sent is cancelled, and its error means nothing.
func (p *Pool) Send(ctx context.Context, first []byte, r io.Reader, send func(ctx context.Context, part []byte) error) (readErr, sendErr error) {
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	part, next := first, p.get()
	for end := false; !end; {
		sent := make(chan error, 1)
		go func() { sent <- send(sending, part) }()
		var n int
		if n, end, readErr = fill(next[:cap(next)], r); readErr != nil {
			cancel(readErr)
		}
		if sendErr = <-sent; readErr != nil || sendErr != nil {
			return readErr, sendErr // The buffers are not used again: a transport may still read one.
		}
		part, next = next[:n], part
	}
	if len(part) > 0 {
		if err := send(sending, part); err != nil {
			return nil, err
		}
	}
	p.pool.Put(&part)
	p.pool.Put(&next)
	return nil, nil
}

// fill reads until buf is full or r has ended with io.EOF.
func fill(buf []byte, r io.Reader) (n int, end bool, err error) {
	for n < len(buf) {
		m, err := r.Read(buf[n:])
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
