package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"sync"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gennaker/gennaker/artifact"
)

// copyBlob has the destination hold a blob: it is there, or is mounted, or is sent.
func (j *copyJob) copyBlob(ctx context.Context, blob ocispec.Descriptor) error {
	d, err := artifact.ParseDigest(string(blob.Digest))
	if err != nil {
		return err
	}
	there, err := j.dst.hasBlob(ctx, d)
	if err != nil {
		return err
	}
	if there {
		j.count(func(r *CopyResult) { r.Present++ })
		j.report(blob.Size)
		return nil
	}
	for attempt := 0; ; attempt++ {
		err := j.mountOrSend(ctx, blob, d)
		if !errors.Is(err, errStale) || attempt >= retryMax {
			return err
		}
		if err := wait(ctx, attempt); err != nil {
			return err
		}
	}
}

func (j *copyJob) mountOrSend(ctx context.Context, blob ocispec.Descriptor, d artifact.Digest) error {
	var mount url.Values
	if j.src.ref.Registry == j.dst.ref.Registry {
		mount = url.Values{"mount": {string(d)}, "from": {j.src.ref.Repository}}
	}
	u, mounted, err := j.dst.startUpload(ctx, mount)
	if err != nil {
		return err
	}
	if mounted {
		j.count(func(r *CopyResult) { r.Mounted++ })
		j.report(blob.Size)
		return nil
	}
	sent, err := j.send(ctx, u, blob, d)
	if err != nil {
		u.abort(ctx)
		j.report(-sent)
		return err
	}
	j.count(func(r *CopyResult) { r.Sent++; r.SentBytes += blob.Size })
	return nil
}

// send streams a blob into a session, in one request. When the connection to the destination is cut, the session goes on
// from what the registry has: the source is read and verified from its beginning again, and what is there is not sent twice.
func (j *copyJob) send(ctx context.Context, u *upload, blob ocispec.Descriptor, d artifact.Digest) (reported int64, err error) {
	failed := 0
	for {
		src := &meter{report: func(n int64) { reported += n; j.report(n) }, seen: reported, closed: make(chan struct{})}
		err := j.stream(ctx, u, src, blob, d)
		if err == nil || src.err != nil || !isCut(err) && !isBusy(status(err)) {
			return reported, errors.Join(src.err, err)
		}
		if err := wait(ctx, failed); err != nil {
			return reported, err
		}
		if there, askErr := j.dst.hasBlob(ctx, d); there || askErr != nil {
			return reported, askErr // The answer was lost, not the content.
		}
		got, askErr := u.confirmed(ctx)
		if askErr != nil {
			return reported, errors.Join(err, askErr)
		}
		if got < u.at || got > blob.Size {
			return reported, errors.Join(err, fmt.Errorf("%w: it has %d bytes of %d", errStale, got, blob.Size))
		}
		if got > u.at {
			failed = 0
		}
		if failed++; failed > retryMax {
			return reported, fmt.Errorf("the connection was cut %d times in a row: %w", failed, err)
		}
		u.at = got
	}
}

// stream sends what the session does not have yet. An error of the source is in src.
func (j *copyJob) stream(ctx context.Context, u *upload, src *meter, blob ocispec.Descriptor, d artifact.Digest) error {
	reading, stop := context.WithCancel(ctx)
	defer stop()
	source, err := j.open(reading, blob)
	if err != nil {
		src.err = err
		return nil
	}
	body := newAhead(source, stop)
	defer body.Close()
	src.Reader = body
	if _, err := io.CopyN(io.Discard, src, u.at); err != nil {
		src.err = err
		return nil
	}
	if u.at < blob.Size {
		err := u.commit(ctx, d, src, blob.Size-u.at)
		<-src.closed
		return err
	}
	// Everything has been sent, so the end is all that is left to verify.
	if _, err := io.Copy(io.Discard, src); err != nil {
		return nil
	}
	return u.commit(ctx, d, nil, 0)
}

// meter is the body of a request. It reports what is read for the first time, and keeps the source's own error apart from
// the destination's. A transport may go on reading after it has returned; when closed is closed, it has finished.
type meter struct {
	io.Reader
	report   func(n int64)
	at, seen int64 // how much was read now, and at most before
	err      error
	once     sync.Once
	closed   chan struct{}
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Reader.Read(p)
	m.at += int64(n)
	if m.at > m.seen {
		m.report(m.at - m.seen)
		m.seen = m.at
	}
	if err != nil && err != io.EOF {
		m.err = err
	}
	return n, err
}

// Close implements [io.Closer].
func (m *meter) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}
