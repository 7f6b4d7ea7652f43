package pgtest_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/pgtest"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m.Run, netns.Options{})) }

func TestCommittedIsThereAfterACrash(t *testing.T) {
	s := pgtest.Start(t)
	url := s.Database(t)
	s.Query(t, url, "CREATE TABLE a (b int); INSERT INTO a VALUES (7)")
	s.Crash(t)
	require.Equal(t, "7\n", s.Query(t, url, "SELECT b FROM a"))
}

func TestDatabasesAreApart(t *testing.T) {
	s := pgtest.Start(t)
	one, other := s.Database(t), s.Database(t)
	s.Query(t, one, "CREATE TABLE a (b int)")
	require.Equal(t, "0\n", s.Query(t, other, "SELECT count(*) FROM pg_tables WHERE tablename = 'a'"))
}
