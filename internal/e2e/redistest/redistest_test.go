package redistest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/redistest"
)

func TestMain(m *testing.M) { os.Exit(netns.Main(m.Run, netns.Options{})) }

func TestWrittenIsThereAfterACrash(t *testing.T) {
	s := redistest.Start(t)
	require.Equal(t, "+OK\r\n", command(t, s, "SET a b"))
	s.Crash(t)
	require.Equal(t, "$1\r\n", command(t, s, "GET a"))
}

func TestServersAreApart(t *testing.T) {
	one, other := redistest.Start(t), redistest.Start(t)
	require.Equal(t, "+OK\r\n", command(t, one, "SET a b"))
	require.Equal(t, "$-1\r\n", command(t, other, "GET a"))
}

func command(t *testing.T, s *redistest.Server, text string) string {
	conn, err := net.Dial("tcp", s.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "%s\r\n", text)
	require.NoError(t, err)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	return answer
}
