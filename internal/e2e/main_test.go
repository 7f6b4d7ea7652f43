package e2e

import (
	"context"
	"os"
	"testing"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/netns"
)

func TestMain(m *testing.M) {
	os.Exit(netns.Main(m.Run, netns.Options{Prepare: func(ctx context.Context) ([]string, error) {
		_, err := cluster.FindPrograms(ctx)
		return nil, err
	}}))
}

func TestX(t *testing.T) {
	p, err := cluster.FindPrograms(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Start(t.Context(), cluster.Options{Programs: p})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	t.Log(c.Logs(3))
}
