// World runs the simulated Jenkins and the simulated Kubernetes of the release
// example as a process of their own, so that the release can be killed and
// resumed against a world that goes on:
//
//	go run ./examples/world -dir /tmp/world
//	go run ./examples/release -state /tmp/state -id r1 …the flags that it prints
//	kubectl --kubeconfig /tmp/world/kubeconfig get deployments -A
//
// It serves loopback addresses only, until it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func main() {
	dir := flag.String("dir", filepath.Join(os.TempDir(), "gennaker-world"), "folder for the kubeconfig")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "world:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sim := shop.Simulate()
	defer sim.Close()
	server, err := sim.Kube.Serve("127.0.0.1:0")
	if err != nil {
		return err
	}
	defer server.Close()
	kubeconfig := filepath.Join(dir, "kubeconfig")
	if err := server.WriteKubeconfig(kubeconfig); err != nil {
		return err
	}
	url := sim.Jenkins.Start().URL
	fmt.Printf("JENKINS_USER=%s JENKINS_TOKEN=%s go run ./examples/release -jenkins %s -kubeconfig %s\n",
		jenkinstest.AdminUser, jenkinstest.AdminToken, url, kubeconfig)
	<-ctx.Done()
	return nil
}
