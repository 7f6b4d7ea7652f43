// Command testcluster runs a program, by default a shell, beside a genuine cluster
// of its own and removes the cluster when the program ends.
//
//	testcluster [-nodes N] [-fake N] [-stock] [program argument...]
//
// The program runs in the namespaces of the cluster with KUBECONFIG set, so that
// kubectl and curl to ClusterIPs, Ingresses and Gateways just work. The exit code
// is that of the program.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/netns"
)

func main() {
	var o cluster.Options
	flag.IntVar(&o.Nodes, "nodes", 1, "number of `nodes`")
	fakes := flag.Int("fake", 0, "number of `nodes` whose pods exist in the API only")
	flag.BoolVar(&o.StockLimits, "stock", false, "leave the controller manager's rate limits as they are")
	flag.Parse()
	o.DataPlane = true
	os.Setenv("GENNAKER_E2E_STRICT", "1") // nothing works without namespaces
	os.Exit(netns.Main(func() int { return run(o, *fakes, flag.Args()) }, netns.Options{
		Prepare: func(ctx context.Context) ([]string, error) {
			_, err := cluster.FindPrograms(ctx)
			return nil, err
		},
	}))
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
		fmt.Fprintf(os.Stderr, "The cluster runs; its logs are in %s. Other terminals get in with\n  %s\n", c.Dir(), netns.Enter())
	}
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig(cluster.Admin))
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
