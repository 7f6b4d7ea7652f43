package cluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/process"
)

// ready waits for the guarantee of Start, component by component, so that an
// error shows the log of the one that is not ready.
func (c *Cluster) ready(ctx context.Context, o Options) error {
	manager, sched := c.processes[len(c.processes)-2], c.processes[len(c.processes)-1]
	// kube-proxy wants the address of its node, so the nodes come first.
	if err := sched.Ready(ctx, func(ctx context.Context) error { return c.nodesReady(ctx, o.Nodes, false) }); err != nil {
		return err
	}
	p, err := c.run("proxy", o.Programs.Proxy, "--config", c.path("proxy.yaml"))
	if err != nil {
		return err
	}
	if err := manager.Ready(ctx, func(ctx context.Context) error {
		if err := c.nodesReady(ctx, o.Nodes, true); err != nil {
			return err
		}
		_, err := c.client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	}); err != nil {
		return err
	}
	client := c.httpClient()
	return p.Ready(ctx, func(ctx context.Context) error {
		return getWith(ctx, client, "https://"+serviceIP+"/readyz")
	})
}

// nodesReady wants all nodes registered, and also free of taints when it must be
// possible to schedule: the controller manager takes the first taint away.
func (c *Cluster) nodesReady(ctx context.Context, want int, schedulable bool) error {
	if err := c.Err(); err != nil {
		return process.Hopeless(err)
	}
	list, err := c.client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	if len(list.Items) < want {
		return fmt.Errorf("%d of %d nodes are registered", len(list.Items), want)
	}
	for _, node := range list.Items {
		if schedulable && len(node.Spec.Taints) > 0 {
			return fmt.Errorf("node %s still has the taint %s", node.Name, node.Spec.Taints[0].Key)
		}
		for _, condition := range node.Status.Conditions {
			if condition.Type == v1.NodeReady && condition.Status != v1.ConditionTrue {
				return fmt.Errorf("node %s: %s: %s", node.Name, condition.Reason, condition.Message)
			}
		}
	}
	return nil
}

// httpClient trusts the cluster's authority and keeps no connection.
func (c *Cluster) httpClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: c.ca.pool(), MinVersion: tls.VersionTLS12},
	}}
}
