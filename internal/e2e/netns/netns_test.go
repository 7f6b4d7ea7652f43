package netns_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/process"
)

// victimEnv makes this test binary a program that fills its namespaces and waits to
// be killed. Its value marks the processes that belong to it.
const victimEnv = "GENNAKER_E2E_VICTIM"

func TestMain(m *testing.M) {
	body := m.Run
	if os.Getenv(victimEnv) != "" {
		body = victim
	}
	os.Exit(netns.Main(body, netns.Options{}))
}

// victim leaves as much behind as it can: a process, a file and a listener.
func victim() int {
	dir, err := os.MkdirTemp("", "victim-")
	if err == nil {
		_, err = process.Start(process.Command{Name: "sleep", Path: "sleep", Args: []string{"600"}, Dir: dir})
	}
	if err == nil {
		_, err = net.Listen("tcp", netns.NodeIP+":6443")
	}
	if err != nil {
		fmt.Println("victim:", err)
		return 1
	}
	fmt.Println("ready", netns.PID(), dir)
	time.Sleep(10 * time.Minute)
	return 0
}

func requireInside(t *testing.T) {
	if reason := netns.Lacks(); reason != "" {
		t.Skip(reason)
	}
	require.True(t, netns.Inside())
}

func TestEveryRangeIsLocal(t *testing.T) {
	requireInside(t)
	for _, host := range []string{"127.0.0.1", netns.NodeIP, "192.168.77.250", "10.244.0.10", "10.244.200.7"} {
		l, err := net.Listen("tcp", host+":6443")
		require.NoError(t, err)
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.Listener.Close()
		server.Listener = l
		server.Start()
		response, err := http.Get(server.URL)
		require.NoError(t, err)
		response.Body.Close()
		server.Close()
	}
}

func TestNothingIsSharedWithTheOutside(t *testing.T) {
	requireInside(t)
	require.Equal(t, 1, os.Getpid())
	interfaces, err := net.Interfaces()
	require.NoError(t, err)
	require.Len(t, interfaces, 1)
	require.Equal(t, "lo", interfaces[0].Name)
	file, err := os.CreateTemp("", "probe-")
	require.NoError(t, err)
	defer file.Close()
	require.True(t, strings.HasPrefix(file.Name(), "/dev/shm/"), file.Name())
}

// What is started inside, as from the shell of a test cluster, is refused and leaves
// the namespaces as they are.
func TestNestedIsRefused(t *testing.T) {
	requireInside(t)
	before := mounts(t)
	out, err := exec.Command("/proc/self/exe", "-test.run=^$").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "leave its shell first")
	require.Equal(t, before, mounts(t))
}

// A kill of the outer process, which no program can prepare for, leaves nothing.
func TestKillLeavesNothing(t *testing.T) {
	requireInside(t)
	before := mounts(t)
	marker := fmt.Sprintf("%s=%d", victimEnv, time.Now().UnixNano())
	// The victim makes its namespaces within ours, so that we see its processes.
	cmd := exec.Command("/proc/self/exe")
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "GENNAKER_E2E_INSIDE=") {
			cmd.Env = append(cmd.Env, pair)
		}
	}
	cmd.Env = append(cmd.Env, marker)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	cmd.Stderr = os.Stderr
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	fields := strings.Fields(line)
	require.Equal(t, "ready", fields[0], line)
	// The environment of a process that is just beginning cannot be read yet.
	require.Eventually(t, func() bool { return len(marked(t, marker)) == 3 }, 30*time.Second, 10*time.Millisecond,
		"the outer process, the inner one and its sleep")

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool { return len(marked(t, marker)) == 0 }, 30*time.Second, 10*time.Millisecond)
	require.NoDirExists(t, fields[2], "its files were in its own file system")
	require.Equal(t, before, mounts(t))
	l, err := net.Listen("tcp", netns.NodeIP+":6443")
	require.NoError(t, err)
	l.Close()
}

func mounts(t *testing.T) string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	require.NoError(t, err)
	return string(data)
}

// marked lists the processes whose environment has the marker.
func marked(t *testing.T, marker string) []string {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(t, err)
	var found []string
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(data), marker) {
			found = append(found, path)
		}
	}
	return found
}
