package artifacttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/gennaker/gennaker/artifact/driver"
)

var errCut = errors.New("artifacttest: the stream is cut")

// testReadsToEOF gives all the bytes that were announced, and then an error in place of io.EOF: that is how the store says
// that the digest is wrong.
func testReadsToEOF(t *testing.T, d driver.Driver) {
	for _, n := range []int{0, 1, 100_000} {
		content := pattern(n)
		for _, size := range []int64{int64(n), -1} {
			err := d.Put(t.Context(), keyOf(content), io.MultiReader(bytes.NewReader(content), iotest.ErrReader(errCut)), size)
			if !errors.Is(err, errCut) {
				t.Errorf("Put of %d bytes announced as %d that end with an error: %v; want that error", n, size, err)
			}
			wantAbsent(t, d, keyOf(content))
		}
	}
}

func testCutStream(t *testing.T, d driver.Driver) {
	content := pattern(300_000)
	key := keyOf(content)
	cut := func() {
		t.Helper()
		for _, n := range []int64{0, 1, 131_072, 299_999} {
			for _, size := range []int64{int64(len(content)), -1} {
				r := io.MultiReader(io.LimitReader(bytes.NewReader(content), n), iotest.ErrReader(errCut))
				if err := d.Put(t.Context(), key, r, size); !errors.Is(err, errCut) {
					t.Errorf("Put of a stream cut after %d bytes: %v; want the reader's error", n, err)
				}
			}
		}
	}
	cut()
	wantAbsent(t, d, key)
	mustPut(t, d, key, content)
	cut()
	wantContent(t, d, key, content)
}

func testInvisibleWhileWriting(t *testing.T, d driver.Driver) {
	content := pattern(200_000)
	key := keyOf(content)
	source, sink := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := d.Put(t.Context(), key, source, int64(len(content)))
		_ = source.CloseWithError(errors.New("artifacttest: Put has returned"))
		done <- err
	}()
	if _, err := sink.Write(content[:150_000]); err != nil {
		t.Errorf("Put stopped reading: %v", err)
	}
	wantAbsent(t, d, key)
	if _, err := sink.Write(content[150_000:]); err != nil {
		t.Errorf("Put stopped reading: %v", err)
	}
	wantAbsent(t, d, key)
	_ = sink.Close() // Closing a pipe never fails.
	if err := <-done; err != nil {
		t.Fatalf("Put: %v", err)
	}
	wantContent(t, d, key, content)
}

func testCancelledContext(t *testing.T, d driver.Driver) {
	content := []byte("content")
	key := keyOf(content)
	mustPut(t, d, key, content)
	cause := errors.New("artifacttest: cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)

	_, _, getErr := get(ctx, d, key)
	_, statErr := d.Stat(ctx, key)
	_, listErr := d.List(ctx, key.Folder, "", 10)
	for op, err := range map[string]error{
		"Put":    d.Put(ctx, keyOf(nil), bytes.NewReader(nil), 0),
		"Get":    getErr,
		"Stat":   statErr,
		"Delete": d.Delete(ctx, key),
		"List":   listErr,
	} {
		if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
			t.Errorf("%s with a cancelled context: %v; want the context's error or cause", op, err)
		}
	}
	wantContent(t, d, key, content)
	wantAbsent(t, d, keyOf(nil))
}

// testCancelledWhileWriting cancels as the store does it: the reader ends with the cause of the context.
func testCancelledWhileWriting(t *testing.T, d driver.Driver) {
	content := pattern(200_000)
	cause := errors.New("artifacttest: cancelled")
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := readerFunc(func([]byte) (int, error) {
		cancel(cause)
		return 0, cause
	})
	err := d.Put(ctx, keyOf(content), io.MultiReader(bytes.NewReader(content[:150_000]), stop), int64(len(content)))
	if !errors.Is(err, cause) && !errors.Is(err, context.Canceled) {
		t.Errorf("Put cancelled half-way: %v; want the context's error or cause", err)
	}
	wantAbsent(t, d, keyOf(content))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
