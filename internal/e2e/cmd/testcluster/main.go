// Command testcluster runs a program, by default a shell, beside a genuine cluster
// of its own and removes the cluster when the program ends.
//
//	testcluster [-nodes N] [-fake N] [-stock] [program argument...]
//
// The program runs in the namespaces of the cluster with KUBECONFIG set, so that
// kubectl and curl to ClusterIPs, Ingresses and Gateways just work. The exit code
// is that of the program (go run makes 1 of every other than 0). It cannot be started
// from its own shell, and neither can the tests.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/netns"
)

func main() {
	var o cluster.Options
	flag.IntVar(&o.Nodes, "nodes", 1, fmt.Sprintf("number of `nodes`, at most %d", cluster.MaxNodes))
	fakes := flag.Int("fake", 0, "number of `nodes` whose pods exist in the API only")
	flag.BoolVar(&o.StockLimits, "stock", false, "leave the controller manager's rate limits as they are")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "usage: testcluster [flags] [program argument...]")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := check(o, *fakes, flag.Args()); err != nil {
		os.Exit(fail(err))
	}
	o.DataPlane = true
	os.Setenv("GENNAKER_E2E_STRICT", "1") // nothing works without namespaces
	os.Exit(netns.Main(func() int { return run(o, *fakes, flag.Args()) }, netns.Options{
		Prepare: func(ctx context.Context) ([]string, error) {
			_, err := cluster.FindPrograms(ctx)
			return nil, err
		},
	}))
}

// check refuses what cannot be before the cluster starts.
func check(o cluster.Options, fakes int, command []string) error {
	if o.Nodes < 1 || o.Nodes > cluster.MaxNodes {
		return fmt.Errorf("-nodes %d: want 1 to %d; -fake has more", o.Nodes, cluster.MaxNodes)
	}
	if fakes < 0 {
		return fmt.Errorf("-fake %d: want 0 or more", fakes)
	}
	if len(command) > 0 {
		if _, err := exec.LookPath(command[0]); err != nil {
			return err
		}
	}
	return nil
}

// run is what happens in the namespaces.
func run(o cluster.Options, fakes int, command []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	programs, err := cluster.FindPrograms(ctx)
	if err != nil {
		return fail(err)
	}
	o.Programs = programs
	c, err := cluster.Start(ctx, o)
	if err != nil {
		return fail(err)
	}
	defer c.Stop()
	if fakes > 0 {
		if err := c.FakeNodes(ctx, fakes); err != nil {
			return fail(err)
		}
	}
	if len(command) == 0 {
		command = []string{os.Getenv("SHELL")}
		if command[0] == "" {
			command[0] = "/bin/sh"
		}
		fmt.Fprintf(os.Stderr, "The cluster runs; its logs are in %s. Look at it from another terminal with\n  %s kubectl --kubeconfig %s get pods --all-namespaces\n",
			c.Dir(), netns.Enter(), c.Kubeconfig(cluster.Admin))
		if _, err := exec.LookPath("kubectl"); err != nil {
			fmt.Fprintln(os.Stderr, "There is no kubectl on this machine; https://kubernetes.io/docs/tasks/tools tells where to get it.")
		}
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = slices.DeleteFunc(os.Environ(), func(pair string) bool { return strings.HasPrefix(pair, "GENNAKER_E2E_STRICT=") })
	// All clusters have the same address, so kubectl must not remember one for the next.
	cmd.Env = append(cmd.Env, "KUBECONFIG="+c.Kubeconfig(cluster.Admin), "KUBECACHEDIR="+filepath.Join(c.Dir(), "kubectl"))
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		return max(exit.ExitCode(), 1)
	case err != nil:
		return fail(err)
	}
	return 0
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "testcluster:", err)
	return 1
}
