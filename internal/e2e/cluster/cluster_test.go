package cluster_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
)

func TestMain(m *testing.M) { clustertest.Main(m, cluster.Options{}) }

func programs(t *testing.T) cluster.Programs {
	clustertest.RequireNamespaces(t)
	p, err := cluster.FindPrograms(t.Context())
	require.NoError(t, err)
	return p
}

func TestClustersComeAndGo(t *testing.T) {
	p := programs(t)
	for _, nodes := range []int{1, 3} {
		c, err := cluster.Start(t.Context(), cluster.Options{Programs: p, Nodes: nodes})
		require.NoError(t, err)
		require.NoError(t, c.Err())
		client, err := kubernetes.NewForConfig(c.Config(cluster.Tester))
		require.NoError(t, err)
		list, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		require.Len(t, list.Items, nodes)
		version, err := client.Discovery().ServerVersion()
		require.NoError(t, err)
		require.Equal(t, "v1.37.2", version.GitVersion)

		c.Stop()
		require.NoDirExists(t, c.Dir())
		for _, at := range []string{netns.NodeIP + ":6443", "127.0.0.1:2379", netns.NodeIP + ":10250"} {
			l, err := net.Listen("tcp", at)
			require.NoError(t, err, "a port is still in use")
			l.Close()
		}
	}
}

func TestADeadComponentIsNamed(t *testing.T) {
	p := programs(t)
	broken := filepath.Join(t.TempDir(), "broken")
	require.NoError(t, os.WriteFile(broken, []byte("#!/bin/sh\necho no such luck >&2\nexit 7\n"), 0o755))
	for name, spoil := range map[string]func(*cluster.Programs){
		"etcd":               func(p *cluster.Programs) { p.Etcd.Path = broken },
		"apiserver":          func(p *cluster.Programs) { p.APIServer.Path = broken },
		"controller-manager": func(p *cluster.Programs) { p.ControllerManager.Path = broken },
		"scheduler":          func(p *cluster.Programs) { p.Scheduler.Path = broken },
		"proxy":              func(p *cluster.Programs) { p.Proxy.Path = broken },
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := p
			spoil(&spoiled)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			c, err := cluster.Start(ctx, cluster.Options{Programs: spoiled})
			if err == nil {
				c.Stop()
			}
			require.ErrorContains(t, err, name+": ended")
			require.ErrorContains(t, err, "exit status 7")
			require.ErrorContains(t, err, "no such luck")
		})
	}
}

func TestAttachWantsAFile(t *testing.T) {
	_, err := cluster.Attach(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
