package artifact

import (
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
)

// A Reader streams stored content and verifies it on the way; [Store.Get] opens one. It is for one goroutine.
type Reader struct {
	object   object
	info     Info
	stream   io.Closer
	verifier *verifier
}

// Read implements [io.Reader]. It returns io.EOF only when the content was complete and has the digest it was asked for
// by; every other error is a [StoreError], and stays.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.verifier.Read(p)
	if err != nil && err != io.EOF {
		err = r.object.error("get", err)
	}
	return n, err
}

// Info returns what is known of the content before it is read: its size is the backend's word.
func (r *Reader) Info() Info { return r.info }

// Close releases the stream. It says nothing about the content; only io.EOF from Read does.
func (r *Reader) Close() error {
	if err := r.stream.Close(); err != nil {
		return r.object.error("get", err)
	}
	return nil
}

// verifier passes a stream on and lets it end with io.EOF only if it is what the digest says.
type verifier struct {
	cause    func() error
	src      io.Reader
	hash     hash.Hash
	want     Digest
	size     int64 // as announced; negative when it is not
	limit    int64
	done     int64
	progress func(done, total int64)
	err      error // what every later Read returns
}

func newVerifier(ctx context.Context, src io.Reader, want Digest, size, limit int64) *verifier {
	cause := func() error { return context.Cause(ctx) }
	return &verifier{cause: cause, src: src, hash: sha256.New(), want: want, size: size, limit: limit}
}

func (v *verifier) Read(p []byte) (int, error) {
	if v.err != nil {
		return 0, v.err
	}
	if v.err = v.cause(); v.err != nil {
		return 0, v.err
	}
	n, err := v.src.Read(p)
	v.hash.Write(p[:n])
	v.done += int64(n)
	if n > 0 && v.progress != nil {
		v.progress(v.done, max(v.size, 0))
	}
	switch {
	case v.done > v.limit:
		v.err = tooLarge(v.done, v.limit)
	case v.size >= 0 && v.done > v.size:
		v.err = fmt.Errorf("%w: %d bytes were announced, and there are more", ErrDigestMismatch, v.size)
	case err == io.EOF:
		v.err = v.verdict()
	default:
		v.err = err
	}
	return n, v.err
}

// verdict is what the end of the stream means: io.EOF if all is well.
func (v *verifier) verdict() error {
	if v.size >= 0 && v.done != v.size {
		return fmt.Errorf("%w: it ends after %d of %d bytes", ErrDigestMismatch, v.done, v.size)
	}
	if got := digestOf(v.hash.Sum(nil)); got != v.want {
		return fmt.Errorf("%w: the content of %d bytes has %s", ErrDigestMismatch, v.done, got)
	}
	return io.EOF
}
