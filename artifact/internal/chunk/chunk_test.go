package chunk_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/internal/chunk"
)

// Whatever the length of the stream and what is known of it, its chunks are full but for the last, and none is empty.
func TestSend(t *testing.T) {
	t.Parallel()
	p := chunk.NewPool(100_000)
	for _, length := range []int{0, 1, 65_535, 65_536, 65_537, 99_999, 100_000, 100_001, 200_000, 250_000} {
		for _, known := range []int64{-1, int64(length)} {
			content := bytes.Repeat([]byte("abcdefg"), length/7+1)[:length]
			r := iotest.HalfReader(bytes.NewReader(content))
			first, end, err := p.First(r, known)
			require.NoError(t, err)
			if end {
				require.Equal(t, content, first)
				require.LessOrEqual(t, length, 100_000)
				continue
			}
			var got []byte
			var sizes []int
			readErr, sendErr := p.Send(t.Context(), first, r, func(_ context.Context, part []byte) error {
				got, sizes = append(got, part...), append(sizes, len(part))
				return nil
			})
			require.NoError(t, errors.Join(readErr, sendErr))
			require.Equal(t, content, got)
			for i, n := range sizes {
				require.Positive(t, n)
				require.True(t, n == 100_000 || i == len(sizes)-1, sizes)
			}
		}
	}
}

// An error on one side ends the other.
func TestSendErrors(t *testing.T) {
	t.Parallel()
	p, errBad := chunk.NewPool(10), errors.New("bad")
	broken := io.MultiReader(bytes.NewReader(make([]byte, 15)), iotest.ErrReader(errBad))
	first, end, err := p.First(broken, -1)
	require.NoError(t, err)
	require.False(t, end)
	readErr, sendErr := p.Send(t.Context(), first, broken, func(ctx context.Context, _ []byte) error {
		<-ctx.Done()
		return context.Cause(ctx)
	})
	require.ErrorIs(t, readErr, errBad)
	require.ErrorIs(t, sendErr, errBad)
	calls := 0
	whole := bytes.NewReader(make([]byte, 100))
	first, _, err = p.First(whole, 100)
	require.NoError(t, err)
	readErr, sendErr = p.Send(t.Context(), first, whole, func(context.Context, []byte) error { calls++; return errBad })
	require.NoError(t, readErr)
	require.ErrorIs(t, sendErr, errBad)
	require.Equal(t, 1, calls)
	_, _, err = p.First(iotest.ErrReader(errBad), -1)
	require.ErrorIs(t, err, errBad)
}
