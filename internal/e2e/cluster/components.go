package cluster

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gennaker/gennaker/internal/e2e/netns"
)

const etcdURL = "http://127.0.0.1:2379"

// auditPolicy notes one line for each request, when it is complete.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
`

// proxyConfig: the settings of the nftables mode exist in the file only. The zero
// conntrack values leave the kernel's settings alone.
const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: n1
clientConnection: {kubeconfig: %s}
clusterCIDR: ` + netns.PodCIDR + `
detectLocalMode: ClusterCIDR
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
nftables: {minSyncPeriod: %s}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`

// writeFiles writes everything that the components read.
func (c *Cluster) writeFiles(o Options) error {
	ca, err := newAuthority(c.dir)
	if err != nil {
		return err
	}
	c.ca = ca
	if err := signingKey(c.dir); err != nil {
		return err
	}
	names := []string{"kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"}
	if _, err := ca.issue("apiserver", apiServer, names, netns.NodeIP, serviceIP, "127.0.0.1"); err != nil {
		return err
	}
	if err := c.writeUsers(o.Nodes); err != nil {
		return err
	}
	if err := os.WriteFile(c.path("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	config := fmt.Sprintf(proxyConfig, c.Kubeconfig(proxy), o.ProxyPeriod)
	return os.WriteFile(c.path("proxy.yaml"), []byte(config), 0o600)
}

func (c *Cluster) startEtcd(ctx context.Context, program Program) error {
	const peers = "http://127.0.0.1:2380"
	p, err := c.run("etcd", program,
		"--data-dir", c.path("etcd"),
		"--listen-client-urls", etcdURL, "--advertise-client-urls", etcdURL,
		"--listen-peer-urls", peers, "--initial-advertise-peer-urls", peers,
		"--initial-cluster", "default="+peers, "--unsafe-no-fsync")
	if err != nil {
		return err
	}
	return p.Ready(ctx, func(ctx context.Context) error { return get(ctx, etcdURL+"/health") })
}

func (c *Cluster) startAPIServer(ctx context.Context, program Program) error {
	p, err := c.run("apiserver", program,
		"--etcd-servers", etcdURL,
		"--secure-port", "6443", "--bind-address", netns.NodeIP, "--advertise-address", netns.NodeIP,
		"--tls-cert-file", c.path("apiserver.crt"), "--tls-private-key-file", c.path("apiserver.key"),
		"--client-ca-file", c.path("ca.crt"),
		"--kubelet-preferred-address-types", "InternalIP", // nothing resolves names
		"--kubelet-certificate-authority", c.path("ca.crt"),
		"--kubelet-client-certificate", c.path("apiserver.crt"), "--kubelet-client-key", c.path("apiserver.key"),
		"--service-account-key-file", c.path("sa.pub"), "--service-account-signing-key-file", c.path("sa.key"),
		"--service-account-issuer", "https://kubernetes.default.svc",
		"--token-auth-file", c.path("tokens.csv"), "--authorization-mode", "Node,RBAC",
		"--service-cluster-ip-range", netns.ServiceCIDR, "--allow-privileged",
		"--audit-policy-file", c.path("audit.yaml"), "--audit-log-path", c.path("audit.log"), "--audit-log-maxsize", "2000")
	if err != nil {
		return err
	}
	client := c.httpClient()
	return p.Ready(ctx, func(ctx context.Context) error { return getWith(ctx, client, serverURL+"/readyz") })
}

// startControllers starts what talks to the API server; all of it retries.
func (c *Cluster) startControllers(o Options) error {
	manager, sched := c.Kubeconfig(controllerManager), c.Kubeconfig(scheduler)
	args := []string{
		"--kubeconfig", manager, "--authentication-kubeconfig", manager, "--authorization-kubeconfig", manager,
		"--service-account-private-key-file", c.path("sa.key"), "--root-ca-file", c.path("ca.crt"),
		"--use-service-account-credentials", "--leader-elect=false", "--secure-port", "0",
	}
	if !o.StockLimits {
		args = append(args, "--kube-api-qps", "500", "--kube-api-burst", "1000")
	}
	if _, err := c.run("controller-manager", o.Programs.ControllerManager, args...); err != nil {
		return err
	}
	_, err := c.run("scheduler", o.Programs.Scheduler,
		"--kubeconfig", sched, "--authentication-kubeconfig", sched, "--authorization-kubeconfig", sched,
		"--leader-elect=false", "--secure-port", "0")
	return err
}

// get fetches an address and wants 200.
func get(ctx context.Context, url string) error { return getWith(ctx, http.DefaultClient, url) }

func getWith(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096))
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return nil
}
