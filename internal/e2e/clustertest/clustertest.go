package clustertest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/netns"
)

// holdEnv keeps the cluster after the tests, and what they made in it.
const holdEnv = "GENNAKER_E2E_HOLD"

// shared is the cluster of this test binary. Tests have no other way to hand
// something from TestMain to each other.
var shared struct {
	options  cluster.Options
	start    sync.Once
	cluster  *cluster.Cluster
	err      error
	evidence sync.Once
}

// Main runs the tests in namespaces and exits. The options are for the cluster;
// Programs is filled in when it is empty.
func Main(m *testing.M, o cluster.Options) {
	shared.options = o
	flag.Parse()
	if err := checkHold(); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", holdEnv, err)
		os.Exit(1)
	}
	os.Exit(netns.Main(func() int { return run(m) }, netns.Options{
		Host: given() != "",
		Prepare: func(ctx context.Context) ([]string, error) {
			if given() != "" {
				return nil, nil
			}
			_, err := cluster.FindPrograms(ctx) // builds them where the network is
			return nil, err
		},
	}))
}

func given() string { return os.Getenv("GENNAKER_E2E_KUBECONFIG") }

func run(m *testing.M) int {
	code := m.Run()
	if shared.cluster == nil {
		return code
	}
	hold(shared.cluster)
	shared.cluster.Stop()
	return code
}

// Get returns the cluster and starts it first when it must. Where none can be
// had the test is skipped, and says why.
func Get(t testing.TB) *cluster.Cluster {
	t.Helper()
	if given() == "" {
		RequireNamespaces(t)
	}
	shared.start.Do(func() { shared.cluster, shared.err = start() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	if err := shared.cluster.Err(); err != nil {
		t.Fatal("the cluster is broken:", err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			shared.evidence.Do(func() { evidence(t) })
		}
	})
	return shared.cluster
}

// evidence logs what may explain the first failure.
func evidence(t testing.TB) {
	if err := shared.cluster.Err(); err != nil {
		t.Log("the cluster is broken:", err)
		return
	}
	if shared.cluster.Own() {
		t.Logf("the logs of the cluster end so:\n%s", shared.cluster.Logs(20))
	}
}

func start() (*cluster.Cluster, error) {
	if given() != "" {
		return cluster.Attach(given())
	}
	o := shared.options
	if o.Programs.APIServer.Path == "" {
		programs, err := cluster.FindPrograms(context.Background())
		if err != nil {
			return nil, err
		}
		o.Programs = programs
	}
	return cluster.Start(context.Background(), o)
}

// Own returns the cluster as [Get] does, and skips the test when it isn't one of
// our own, with process kubelets, an audit log and reachable pods.
func Own(t testing.TB) *cluster.Cluster {
	t.Helper()
	c := Get(t)
	if !c.Own() {
		Skip(t, "the cluster of GENNAKER_E2E_KUBECONFIG has no process kubelet and no reachable pods")
	}
	return c
}

// RequireNamespaces skips the test when it doesn't run in namespaces of its own.
func RequireNamespaces(t testing.TB) {
	t.Helper()
	if given() != "" {
		Skip(t, "with GENNAKER_E2E_KUBECONFIG there are no namespaces")
	}
	if reason := netns.Lacks(); reason != "" {
		Skip(t, reason)
	}
	if !netns.Inside() {
		t.Fatal("clustertest: not in namespaces: TestMain must call clustertest.Main or netns.Main")
	}
}

// Skip skips a test, or fails it with GENNAKER_E2E_STRICT=1.
func Skip(t testing.TB, reason string) {
	t.Helper()
	if netns.Strict() {
		t.Fatalf("GENNAKER_E2E_STRICT=1 allows no skip: %s", reason)
	}
	t.Skip(reason)
}

// Namespace makes a namespace for the test, in which pods can be made at once, and
// removes it after the test without waiting.
func Namespace(t testing.TB, c *cluster.Cluster) string {
	t.Helper()
	client, err := kubernetes.NewForConfig(c.Config(cluster.Admin))
	if err != nil {
		t.Fatal(err)
	}
	made, err := client.CoreV1().Namespaces().Create(t.Context(),
		&v1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix(t.Name())}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal("namespace:", err)
	}
	t.Cleanup(func() {
		if os.Getenv(holdEnv) != "" {
			return // somebody wants to look at it
		}
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		zero := int64(0)
		_ = client.CoreV1().Pods(made.Name).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{})
		if err := client.CoreV1().Namespaces().Delete(ctx, made.Name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("namespace %s: %v", made.Name, err)
		}
	})
	Eventually(t, 30*time.Second, func(ctx context.Context) error {
		// Pods are refused until their service account exists.
		_, err := client.CoreV1().ServiceAccounts(made.Name).Get(ctx, "default", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return fmt.Errorf("service account default of namespace %s: %w", made.Name, err)
		}
		return err
	})
	return made.Name
}

// prefix makes a name that is allowed for an object from that of a test.
func prefix(name string) string {
	clean := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	clean = strings.Trim(clean, "-")
	return clean[:min(len(clean), 40)] + "-"
}

// Eventually calls check every 20 ms until it returns nil, and fails the test with
// its last error after the timeout.
func Eventually(t testing.TB, timeout time.Duration, check func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not within %s: %v", timeout, err)
		case <-ticker.C:
		}
	}
}

// checkHold refuses a hold that would not be: one that makes no sense, or that go
// test would end.
func checkHold() error {
	text := os.Getenv(holdEnv)
	if text == "" {
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%w; want such as 10m", err)
	}
	limit, _ := time.ParseDuration(flag.Lookup("test.timeout").Value.String())
	switch {
	case d <= 0:
		return fmt.Errorf("%s: want more than nothing, such as 10m", text)
	case limit > 0 && d >= limit:
		return fmt.Errorf("%s: go test ends the tests and the hold after %s; give -timeout, too, as in -timeout %s", text, limit, d+limit)
	}
	return nil
}

// hold keeps the cluster for GENNAKER_E2E_HOLD, or until an interrupt.
func hold(c *cluster.Cluster) {
	text := os.Getenv(holdEnv)
	if text == "" || !c.Own() {
		return
	}
	d, _ := time.ParseDuration(text) // checked at the start
	fmt.Fprintf(os.Stderr, "The cluster is held for %s. Look at it from another terminal with\n  %s kubectl --kubeconfig %s get pods --all-namespaces\nEnd it with: kill -INT %s\n",
		d, netns.Enter(), c.Kubeconfig(cluster.Admin), netns.PID())
	interrupt := make(chan os.Signal, 1)
	signal.Notify(interrupt, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupt)
	select {
	case <-time.After(d):
	case <-interrupt:
	}
}
