package ociartifact

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// What is read ahead is what would have been read, with the error at the same place.
func TestAhead(t *testing.T) {
	t.Parallel()
	content := make([]byte, 3*aheadBuffers*aheadSize+12345)
	_, err := rand.NewChaCha8([32]byte{1}).Read(content)
	require.NoError(t, err)
	errBad := errors.New("bad")
	for name, src := range map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "halves": iotest.HalfReader, "with its end": iotest.DataErrReader,
		"error": func(r io.Reader) io.Reader { return io.MultiReader(r, iotest.ErrReader(errBad)) },
	} {
		want := io.EOF
		if name == "error" {
			want = errBad
		}
		a := newAhead(io.NopCloser(src(bytes.NewReader(content))), func() {})
		var got bytes.Buffer
		buf := make([]byte, 10_000)
		for err = nil; err == nil; {
			var n int
			n, err = a.Read(buf)
			got.Write(buf[:n])
		}
		require.ErrorIs(t, err, want, name)
		require.True(t, bytes.Equal(content, got.Bytes()), name)
		_, err = a.Read(buf)
		require.ErrorIs(t, err, want, "and it stays")
		require.NoError(t, a.Close())
		require.NoError(t, a.Close())
	}
}

// Whoever stops early leaves no goroutine behind, whether the source waits or its buffers are full.
func TestAheadClosedEarly(t *testing.T) {
	for _, endless := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) { // which fails if a goroutine is left
			r, w := io.Pipe()
			if endless {
				go func() {
					for {
						if _, err := w.Write(make([]byte, 1000)); err != nil {
							return
						}
					}
				}()
			}
			a := newAhead(r, func() { _ = r.Close() })
			synctest.Wait()
			require.NoError(t, a.Close())
		})
	}
}
