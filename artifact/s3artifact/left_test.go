package s3artifact

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What was left is remembered for a while, and not for ever; what is forgotten is handed out once, to be aborted.
func TestLeft(t *testing.T) {
	t.Parallel()
	var l left
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	id, dropped := l.take("a", now)
	require.Empty(t, id)
	require.Empty(t, dropped)
	l.keep("a", "1", now)
	l.keep("b", "2", now)
	l.keep("a", "3", now)
	id, dropped = l.take("a", now)
	require.Equal(t, "3", id, "the newer one")
	require.Equal(t, []leftUpload{{"a", "1", now}}, dropped)
	id, dropped = l.take("a", now)
	require.Empty(t, id, "it is taken")
	require.Empty(t, dropped)
	id, dropped = l.take("b", now.Add(25*time.Hour))
	require.Empty(t, id, "the service has forgotten it, too")
	require.Len(t, dropped, 1)

	for n := range 3 * maxLeft {
		l.keep(fmt.Sprint(n), "x", now)
	}
	require.Len(t, l.uploads, maxLeft)
	require.Len(t, l.dropped, maxLeft, "nothing grows without an end")
	id, dropped = l.take(fmt.Sprint(3*maxLeft-1), now)
	require.Equal(t, "x", id)
	require.Len(t, dropped, maxLeft)
	require.Empty(t, l.dropped)
}
