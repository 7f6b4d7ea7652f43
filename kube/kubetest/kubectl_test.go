package kubetest_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/stretchr/testify/require"
)

const shopYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers: [{name: app, image: "shop:v1"}]
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec:
  selector: {app: shop}
  ports: [{port: 80, targetPort: 8080}]
`

// The genuine kubectl works on the server, where it is installed.
func TestKubectl(t *testing.T) {
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not installed")
	}
	k := kubetest.New(kubetest.Options{GatewayAPI: true})
	t.Cleanup(k.Close)
	s, err := k.Serve("")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	dir := t.TempDir()
	config, manifest := filepath.Join(dir, "kubeconfig"), filepath.Join(dir, "shop.yaml")
	require.NoError(t, s.WriteKubeconfig(config))
	require.NoError(t, os.WriteFile(manifest, []byte(shopYAML), 0o600))
	do := func(args ...string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), kubectl, args...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+config, "HOME="+dir)
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		require.NoError(t, err, "kubectl %v: %s", args, out.String())
		return out.String()
	}
	require.Contains(t, do("apply", "--server-side", "-f", manifest), "deployment.apps/shop serverside-applied")
	require.Contains(t, do("rollout", "status", "deployment/shop", "--timeout=20s"), "successfully rolled out")
	require.Regexp(t, `shop\s+2/2\s+2\s+2`, do("get", "deployment", "shop"))
	require.Contains(t, do("get", "pods", "-l", "app=shop"), "Running")
	do("set", "image", "deployment/shop", "app=shop:v2")
	require.Contains(t, do("rollout", "status", "deployment/shop", "--timeout=20s"), "successfully rolled out")
	require.Contains(t, do("rollout", "history", "deployment/shop"), "2")
	do("rollout", "undo", "deployment/shop")
	require.Eventually(t, func() bool {
		return do("get", "deploy", "shop", "-o", "jsonpath={.spec.template.spec.containers[0].image}") == "shop:v1"
	}, 10*time.Second, 10*time.Millisecond)
	do("scale", "deployment/shop", "--replicas=1")
	require.Contains(t, do("get", "httproutes"), "No resources found")
	require.Contains(t, do("apply", "-f", manifest), "configured")
	require.Contains(t, do("logs", "deployment/shop"), "starting shop:v1")
	require.Contains(t, do("describe", "deployment", "shop"), "ScalingReplicaSet")
	require.Contains(t, do("delete", "-f", manifest), `service "shop" deleted`)
}
