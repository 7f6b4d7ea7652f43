package artifact

import (
	"context"
	"io"
	"math"
)

// VerifyOptions configure [Verify]. Nil and the zero value are the defaults.
type VerifyOptions struct {
	// Size is the number of bytes that the content has, if it is known; other content is refused. Zero or less means that
	// it is not known.
	Size int64
	// Progress, if not nil, is called by Read with the bytes read so far and the Size above. It should return quickly.
	Progress func(done, total int64)
}

// Verify returns a reader that passes r on and ends with io.EOF only if what it passed on is the content of digest d. What
// was read may be trusted only then: other content ends with an error that wraps [ErrDigestMismatch], and that error stays.
// When ctx ends, Read returns its cause. A [Store] does this by itself; Verify is for content that comes from elsewhere, such
// as a registry or a download.
func Verify(ctx context.Context, r io.Reader, d Digest, opts *VerifyOptions) io.Reader {
	if opts == nil {
		opts = &VerifyOptions{}
	}
	size := opts.Size
	if size <= 0 {
		size = -1
	}
	v := newVerifier(ctx, r, d, size, math.MaxInt64)
	v.progress = opts.Progress
	if err := d.Validate(); err != nil {
		v.err = err
	}
	return v
}
