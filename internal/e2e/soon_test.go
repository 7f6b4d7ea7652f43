package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/load"
	"github.com/gennaker/gennaker/internal/e2e/process"
	"github.com/gennaker/gennaker/kube"
)

// soon lets change roll out version after version, and returns how long each took
// until the new one served everything, sorted. Version 0 must serve already.
func (b *bench) soon(change func(n int)) []time.Duration {
	b.t.Helper()
	service, err := b.client.CoreV1().Services(b.namespace).Get(b.t.Context(), "web", metav1.GetOptions{})
	require.NoError(b.t, err)
	url := "http://" + service.Spec.ClusterIP
	b.warm(url)
	l := b.drive(load.Options{URL: url, Rate: 300}, soonVersion(0))
	var took []time.Duration
	for n := 1; n <= 5; n++ {
		time.Sleep(3 * time.Second) // kube-proxy is ready for the switch
		began := time.Now()
		change(n)
		changed := time.Since(began)
		b.more(l, soonVersion(n), 100)
		r := l.Report()
		require.Zero(b.t, r.Failures, r)
		first, last := r.First[soonVersion(n)].Sub(began), r.Last[soonVersion(n-1)].Sub(began)
		took = append(took, max(first, last))
		b.t.Logf("first answer of the new version after %s, last of the old one after %s; complete after %s",
			first.Round(time.Millisecond), last.Round(time.Millisecond), changed.Round(time.Millisecond))
	}
	slices.Sort(took)
	return took
}

func soonVersion(n int) string { return artifact.FromBytes(fmt.Append(nil, "v", n)).String() }

func soonYAML() string {
	return strings.NewReplacer("REPLICAS", "10", "NOTES", "testcluster/drain: 3s", "      NODES\n", "").Replace(webYAML)
}

// With ten pods that are ready at once, the new version serves everything within
// moments of the release's begin. The median of five releases is logged; the quickest
// counts, as the machine may be busy.
func TestServesEverythingSoon(t *testing.T) {
	b := newBench(t)
	d := b.direct(b.namespace, "web", b.connect())
	d.app.Manifests = kube.YAML("web.yaml", []byte(soonYAML()))
	release := func(n int) {
		require.NoError(t, d.release(t.Context(), fmt.Sprint("r", n), fmt.Sprint("v", n), quick))
	}
	release(0)
	took := b.soon(release)
	t.Logf("ten pods served everything after %s, the median of %v", took[2].Round(time.Millisecond), took)
	require.Less(t, took[0], 2*time.Second)
}

var argo = flag.String("argo", "", "a folder with the sources of Argo Rollouts and the program rollouts-controller, built from them, to be measured")

// The same for Argo Rollouts' blue/green, as a yardstick on this machine:
//
//	go mod download -json github.com/argoproj/argo-rollouts@v1.10.1 # a copy of its Dir is DIR
//	go -C DIR build ./cmd/rollouts-controller
//	go -C internal/e2e test -v -run 'TestServesEverythingSoon|TestArgoServesEverythingSoon' . -argo DIR
func TestArgoServesEverythingSoon(t *testing.T) {
	if *argo == "" {
		t.Skip("it needs a program that takes minutes to build; see the test's comment")
	}
	b := newBench(t)
	objects, err := dynamic.NewForConfig(b.cluster.Config(cluster.Admin))
	require.NoError(t, err)
	definitions := objects.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	files, err := filepath.Glob(filepath.Join(*argo, "manifests", "crds", "*-crd.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		var u unstructured.Unstructured
		require.NoError(t, yaml.Unmarshal(text, &u.Object))
		_, err = definitions.Create(t.Context(), &u, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			require.NoError(t, definitions.Delete(context.Background(), u.GetName(), metav1.DeleteOptions{}))
		})
	}
	p, err := process.Start(process.Command{
		Name: "argo", Path: filepath.Join(*argo, "rollouts-controller"), Dir: t.TempDir(),
		Args: []string{
			"--kubeconfig", b.cluster.Kubeconfig(cluster.Admin), "--namespace", b.namespace, "--namespaced", "--leader-elect=false",
			"--healthzPort", "18080", "--metricsPort", "18090", "--loglevel", "warn",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		p.Stop(10 * time.Second)
		if t.Failed() {
			t.Log(p.Tail(20))
		}
	})

	deployment, service, _ := strings.Cut(soonYAML(), "---\n")
	var s v1.Service
	require.NoError(t, yaml.UnmarshalStrict([]byte(service), &s))
	_, err = b.client.CoreV1().Services(b.namespace).Create(t.Context(), &s, metav1.CreateOptions{})
	require.NoError(t, err)
	var u unstructured.Unstructured
	require.NoError(t, yaml.Unmarshal([]byte(deployment), &u.Object))
	u.SetAPIVersion("argoproj.io/v1alpha1")
	u.SetKind("Rollout")
	image := func(n int) string { return "registry.test/shop/web@" + soonVersion(n) }
	containers := []any{map[string]any{"name": "web", "image": image(0), "ports": []any{map[string]any{"name": "http", "containerPort": int64(8080)}}}}
	require.NoError(t, unstructured.SetNestedSlice(u.Object, containers, "spec", "template", "spec", "containers"))
	require.NoError(t, unstructured.SetNestedMap(u.Object, map[string]any{
		"blueGreen": map[string]any{"activeService": "web", "scaleDownDelaySeconds": int64(1)},
	}, "spec", "strategy"))
	rollouts := objects.Resource(schema.GroupVersionResource{Group: "argoproj.io", Version: "v1alpha1", Resource: "rollouts"}).Namespace(b.namespace)
	b.eventually(func() error { // its kind is served in a moment
		_, err := rollouts.Create(t.Context(), &u, metav1.CreateOptions{})
		return err
	})
	took := b.soon(func(n int) {
		patch, err := json.Marshal([]any{map[string]any{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image(n)}})
		require.NoError(t, err)
		_, err = rollouts.Patch(t.Context(), "web", types.JSONPatchType, patch, metav1.PatchOptions{})
		require.NoError(t, err)
	})
	t.Logf("ten pods of Argo Rollouts served everything after %s, the median of %v", took[2].Round(time.Millisecond), took)
}
