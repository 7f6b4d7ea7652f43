// Command servers builds the servers of the tests, those that are not in the cache
// yet, and prints where they are. The tests do so themselves, but their time-out
// runs meanwhile.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/gennaker/gennaker/internal/e2e/tools"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for _, build := range []func(context.Context) (string, error){tools.ControlPlane, tools.MinIO, tools.KWOK} {
		path, err := build(ctx)
		if err != nil {
			fmt.Fprintln(os.Stderr, "servers:", err)
			os.Exit(1)
		}
		fmt.Println(path)
	}
}
