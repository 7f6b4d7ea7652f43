package kube_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/kube"
)

// A workload beside the App's own keeps its pods when its manifest stops telling how
// many there are, also if it is changed otherwise or made anew.
func TestReplicasLeftOutOfAWorkloadBeside(t *testing.T) {
	worker := "---" + strings.Replace(strings.Replace(workerYAML, "replicas: 2", "replicas: 3", 1), "image: shop/worker", `image: "worker:v1"`, 1)
	silent := strings.Replace(worker, "  replicas: 3\n", "", 1)
	for name, yaml := range map[string]string{
		"only that":       silent,
		"another version": strings.Replace(silent, "worker:v1", "worker:v2", 1),
		"made anew":       strings.NewReplacer("matchLabels: {app: worker}", "matchLabels: {app: worker, tier: back}", "labels: {app: worker}", "labels: {app: worker, tier: back}").Replace(silent),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, smallYAML+worker, func(w *world) {
				w.app.Recreate = []string{"Deployment"}
				workers := func() int32 {
					d, err := w.typed().AppsV1().Deployments("shop").Get(context.Background(), "worker", metav1.GetOptions{})
					require.NoError(t, err)
					return *d.Spec.Replicas
				}
				s := strategies["redblack"]
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				before := w.picture()
				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+yaml))
				if name == "only that" {
					d, err := w.app.Diff(context.Background(), set(t, "v1"), s)
					require.NoError(t, err)
					require.NotContains(t, d.String(), ".spec.replicas")
				}
				e := w.engine("run-2/prod/1", "v2", s)
				rel, err := e.run()
				require.NoError(t, err)
				require.Equal(t, int32(3), workers())
				ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
				require.NoError(t, w.app.Undo(e.ctx(ctx), e.in, &rel))
				cancel()
				w.client.Close()
				require.Equal(t, before, w.picture())

				_, err = w.release("run-3/prod/1", "v2", s)
				require.NoError(t, err)
				_, err = w.typed().AppsV1().Deployments("shop").Patch(context.Background(), "worker", types.MergePatchType, []byte(`{"spec":{"replicas":5}}`), metav1.PatchOptions{FieldManager: "kubectl"})
				require.NoError(t, err)
				w.app.Manifests = kube.YAML("shop.yaml", []byte(smallYAML+strings.Replace(yaml, "worker:", "worker:b", 1)))
				_, err = w.release("run-4/prod/1", "v3", s)
				require.NoError(t, err)
				require.Equal(t, int32(5), workers(), "another manager has set it")
			})
		})
	}
}
