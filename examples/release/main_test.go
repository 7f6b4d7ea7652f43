package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
)

// asRelease makes the test binary run the program itself.
const asRelease = "GENNAKER_TEST_AS_RELEASE"

func TestMain(m *testing.M) {
	if os.Getenv(asRelease) != "" {
		main()
	}
	os.Exit(m.Run())
}

// call runs the program inside the test.
func call(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), append([]string{"-state", t.TempDir()}, args...), console{in: strings.NewReader(""), out: &o, err: &e})
	return code, o.String(), e.String()
}

func TestReleaseWithoutFlags(t *testing.T) {
	begin := time.Now()
	code, out, errs := call(t)
	require.Equal(t, exitOK, code, out+errs)
	require.Less(t, time.Since(begin), 20*time.Second)
	require.Contains(t, out, "approves itself")
	require.Contains(t, out, "prod runs harbor.example.com/shop/web@sha256:")
	require.Empty(t, errs)
}

func TestRolling(t *testing.T) {
	t.Parallel()
	code, out, errs := call(t, "-strategy", "rolling", "-approve", "auto")
	require.Equal(t, exitOK, code, out+errs)
}

func TestJSONIsEventsOnly(t *testing.T) {
	t.Parallel()
	code, out, errs := call(t, "-json", "-approve", "auto")
	require.Equal(t, exitOK, code, errs)
	lines := bufio.NewScanner(strings.NewReader(out))
	var last uint64
	for lines.Scan() {
		var ev pipeline.Event
		require.NoError(t, json.Unmarshal(lines.Bytes(), &ev), lines.Text())
		if ev.N != 0 {
			require.Equal(t, last+1, ev.N, "numbers have no gaps")
			last = ev.N
		}
	}
	require.Greater(t, last, uint64(10))
}

func TestPlanChangesNothing(t *testing.T) {
	dir := t.TempDir()
	code, out, errs := call(t, "-plan", "-state", filepath.Join(dir, "state"))
	require.Equal(t, exitOK, code, errs)
	require.Contains(t, out, "redblack/v1")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestRejectedApproval(t *testing.T) {
	t.Parallel()
	code, out, errs := call(t, "-approve", "never")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out+errs, "rejected by approver")
}

func TestBadInput(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.MkdirAll(broken, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(broken, "state.db"), bytes.Repeat([]byte("not a database"), 1000), 0o600))
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no commit", []string{"-commit", ""}, "commit: required"},
		{"malformed commit", []string{"-commit", "HEAD"}, `commit: "HEAD" does not match`},
		{"several", []string{"-commit", "", "-tag", "a b"}, "tag: "},
		{"strategy", []string{"-strategy", "yolo"}, "want rolling or redblack"},
		{"approval", []string{"-approve", "perhaps"}, "want ask, auto or never"},
		{"argument", []string{"extra"}, "unexpected argument"},
		{"id", []string{"-id", "a/b"}, "execution id"},
		{"kubeconfig", []string{"-kubeconfig", "/does/not/exist"}, "-kubeconfig /does/not/exist"},
		{"jenkins", []string{"-jenkins", "ftp://ci"}, "-jenkins ftp://ci"},
		{"state", []string{"-state", broken}, "state.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := call(t, c.args...)
			require.Equal(t, exitUsage, code, out+errs)
			require.Contains(t, errs, c.want)
			require.Empty(t, out)
		})
	}
}

// A real cluster's nodes follow a change of the routes within a second only.
func TestTrafficSettlesForLongerThanKubeProxyNeeds(t *testing.T) {
	for _, how := range []string{"rolling", "redblack"} {
		code, out, errs := call(t, "-plan", "-strategy", how, "-kubeconfig", newWorld(t).kube)
		require.Equal(t, exitOK, code, errs)
		require.Equal(t, 2, strings.Count(out, "1.5s"), "in test and in prod: %s", out)
	}
}

func TestUnknownJenkinsJob(t *testing.T) {
	t.Parallel()
	code, out, errs := call(t, "-job", "shop/other")
	require.Equal(t, exitFailed, code)
	require.Contains(t, out+errs, jenkins.ErrJobNotFound.Error())
}

func TestOccupiedState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	cmd := w.command(t, "first", "-approve", "auto")
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return len(w.sim.Jenkins.Builds(shop.Job)) == 1 }, 20*time.Second, 10*time.Millisecond)
	code, _, errs := call(t, "-state", w.state)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errs, "in use by another process")
	require.NoError(t, cmd.Wait())
}

// world is a simulated Jenkins and Kubernetes that outlive the program.
type world struct {
	sim           shop.Simulators
	jenkins, kube string
	state         string
}

func newWorld(t *testing.T) world {
	t.Helper()
	w := world{sim: shop.Simulate(), state: t.TempDir()}
	t.Cleanup(w.sim.Close)
	server, err := w.sim.Kube.Serve("")
	require.NoError(t, err)
	t.Cleanup(func() { server.Close() })
	w.kube = filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, server.WriteKubeconfig(w.kube))
	w.jenkins = w.sim.Jenkins.Start().URL
	return w
}

// command is the program as a process of its own.
func (w world) command(t *testing.T, id string, args ...string) *exec.Cmd {
	t.Helper()
	args = append([]string{"-id", id, "-state", w.state, "-jenkins", w.jenkins, "-kubeconfig", w.kube}, args...)
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asRelease+"=1", "JENKINS_USER="+jenkinstest.AdminUser, "JENKINS_TOKEN="+jenkinstest.AdminToken)
	return cmd
}

// TestKilledAtAnyMoment kills the program at 20 random moments, each in a
// release of its own, and starts it again. The releases run side by side: they
// mostly wait.
func TestKilledAtAnyMoment(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	var all sync.WaitGroup
	defer all.Wait()
	for range 20 {
		moment := time.Duration(rnd.Int64N(int64(6 * time.Second)))
		w := newWorld(t)
		all.Go(func() { w.killAndResume(t, moment) })
	}
}

func (w world) killAndResume(t *testing.T, moment time.Duration) {
	first := w.command(t, "r", "-approve", "auto")
	if !assert.NoError(t, first.Start()) {
		return
	}
	time.Sleep(moment)
	_ = first.Process.Kill()
	_ = first.Wait()
	out, err := w.command(t, "r", "-approve", "auto").CombinedOutput()
	assert.NoError(t, err, "killed after %v: %s", moment, out)
	assert.Contains(t, string(out), "prod runs harbor.example.com/shop/web@sha256:")
	assert.NotContains(t, string(out), "cannot be written", "it was resumed, which is no trouble")
	w.oneRollout(t)
	third, err := w.command(t, "r").CombinedOutput()
	assert.NoError(t, err, string(third))
	assert.Contains(t, string(third), "has ended before")
	assert.Len(t, w.sim.Jenkins.Builds(shop.Job), 1, "one build, killed after %v", moment)
}

// oneRollout checks that each environment was rolled out once: its controllers
// made one ReplicaSet, whose pods are the first that it made.
func (w world) oneRollout(t *testing.T) {
	t.Helper()
	client, err := kubernetes.NewForConfig(w.sim.Kube.Config())
	if !assert.NoError(t, err) {
		return
	}
	for ns, replicas := range map[string]int32{"shop-test": 1, "shop-prod": 3} {
		sets, err := client.AppsV1().ReplicaSets(ns).List(t.Context(), metav1.ListOptions{})
		if !assert.NoError(t, err) || !assert.Len(t, sets.Items, 1, "ReplicaSets in %s", ns) {
			return
		}
		assert.Equal(t, replicas, sets.Items[0].Status.ReadyReplicas)
		assert.EqualValues(t, 1, sets.Items[0].Generation, "it was never scaled")
	}
}
