package kube_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// configuredYAML refers to a ConfigMap and a Secret in every way that a pod can.
const configuredYAML = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 1
  revisionHistoryLimit: 1
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      imagePullSecrets: [{name: key}]
      initContainers:
      - name: init
        image: shop/web
        envFrom: [{configMapRef: {name: settings}}, {secretRef: {name: key}}]
      containers:
      - name: web
        image: shop/web
        env:
        - {name: A, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
        - {name: B, valueFrom: {secretKeyRef: {name: key, key: password}}}
        - {name: C, valueFrom: {configMapKeyRef: {name: elsewhere, key: x, optional: true}}}
      volumes:
      - {name: a, configMap: {name: settings}}
      - {name: b, secret: {secretName: key}}
      - {name: c, projected: {sources: [{configMap: {name: settings}}, {secret: {name: key}}]}}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red}
---
apiVersion: v1
kind: Secret
metadata: {name: key}
stringData: {password: hunter2}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: unused}
data: {colour: red}
`

func coloured(colour string) kube.Manifests {
	return kube.YAML("shop.yaml", []byte(strings.Replace(configuredYAML, "colour: red", "colour: "+colour, 1)))
}

// configs lists the ConfigMaps and Secrets of the namespace but the library's own.
func (w *world) configs() []string {
	ctx := context.Background()
	var out []string
	cms, err := w.typed().CoreV1().ConfigMaps("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, m := range cms.Items {
		out = append(out, m.Name)
	}
	secrets, err := w.typed().CoreV1().Secrets("shop").List(ctx, metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, m := range secrets.Items {
		out = append(out, m.Name)
	}
	return slices.DeleteFunc(out, func(n string) bool { return strings.HasPrefix(n, "gennaker-") || n == "kube-root-ca.crt" })
}

// A change of a ConfigMap alone is a new version: its pods have it, those of the
// old version keep theirs, and what nothing refers to is collected.
func TestConfigsAreVersionedByContent(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, configuredYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				first := w.configs()
				require.Len(t, first, 3)
				for p := range w.pods() {
					spec := w.pods()[p].Spec
					settings, key := spec.Volumes[0].ConfigMap.Name, spec.Volumes[1].Secret.SecretName
					require.Regexp(t, `^settings-[0-9a-f]{10}$`, settings)
					require.Regexp(t, `^key-[0-9a-f]{10}$`, key)
					require.Equal(t, []string{settings, key}, []string{spec.Volumes[2].Projected.Sources[0].ConfigMap.Name, spec.Volumes[2].Projected.Sources[1].Secret.Name})
					require.Equal(t, []string{settings, key}, []string{spec.InitContainers[0].EnvFrom[0].ConfigMapRef.Name, spec.InitContainers[0].EnvFrom[1].SecretRef.Name})
					env := spec.Containers[0].Env
					require.Equal(t, []string{settings, key, "elsewhere"}, []string{env[0].ValueFrom.ConfigMapKeyRef.Name, env[1].ValueFrom.SecretKeyRef.Name, env[2].ValueFrom.ConfigMapKeyRef.Name})
					require.Equal(t, key, spec.ImagePullSecrets[0].Name)
				}
				for i, colour := range []string{"green", "blue", "white", "black"} {
					w.app.Manifests = coloured(colour)
					_, err = w.release("run-"+colour+string(rune('0'+i))+"/prod/1", "v1", s)
					require.NoError(t, err)
					require.Equal(t, map[string]int{"v1": 1}, w.serving())
					w.referred()
				}
				require.Contains(t, w.configs(), "unused")
				// In use, and what the kept ReplicaSets or Deployments would need: not all seven.
				require.LessOrEqual(t, len(w.configs()), 6)
				require.Greater(t, len(w.configs()), 3)
			})
		})
	}
}

// referred asserts that whatever a ReplicaSet or pod names is there.
func (w *world) referred() {
	w.t.Helper()
	have := w.configs()
	sets, err := w.typed().AppsV1().ReplicaSets("shop").List(context.Background(), metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, rs := range sets.Items {
		require.Contains(w.t, have, rs.Spec.Template.Spec.Volumes[0].ConfigMap.Name, rs.Name)
		require.Contains(w.t, have, rs.Spec.Template.Spec.Volumes[1].Secret.SecretName, rs.Name)
	}
}

func TestBrokenConfigIsTakenBack(t *testing.T) {
	for sname, s := range strategies {
		t.Run(sname, func(t *testing.T) {
			bubble(t, configuredYAML, func(w *world) {
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				before := w.picture()
				w.images["bad"] = kubetest.Behavior{Crash: true}
				w.app.Manifests = coloured("green")
				_, err = w.release("run-2/prod/1", "bad", s)
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.True(t, failed.Restored, "%v", err)
				time.Sleep(time.Minute)
				require.Equal(t, before, w.picture(), "the new ConfigMap is gone")
			})
		})
	}
}

func TestConfigsThatStay(t *testing.T) {
	const tls = `---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec: {tls: [{hosts: [a.example], secretName: key}], defaultBackend: {service: {name: shop, port: {number: 80}}}}
`
	bubble(t, configuredYAML+tls, func(w *world) {
		w.app.Manifests = kube.YAML("shop.yaml", []byte(strings.Replace(configuredYAML+tls,
			"metadata: {name: settings}", `metadata: {name: settings, annotations: {gennaker.dev/versioned: "false"}}`, 1)))
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		require.ElementsMatch(t, []string{"settings", "unused", "key"}, w.configs(), "one is annotated, one is read by an Ingress")
	})
	long := strings.ReplaceAll(configuredYAML, "settings", strings.Repeat("s", 250))
	bubble(t, long, func(w *world) {
		err := w.untouched(func() error {
			_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
			return err
		})
		require.ErrorContains(t, err, "shorten it")
	})
}
