package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/load"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// scalerYAML is an autoscaler of canaryYAML's workload. There are no metrics, but it
// keeps to its bounds.
const scalerYAML = `
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {minReplicas: 3, maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
`

// With the traffic, the autoscaler moves to the Deployment of the new version, and
// back; the version that has no traffic keeps the pods that it had.
func TestAutoscalerFollowsTheTraffic(t *testing.T) {
	t.Parallel()
	b := newCanaryBench(t, nil)
	text := strings.Replace(strings.Replace(canaryYAML, "HOST", b.host(), 1), "  replicas: 4\n", "", 1) + scalerYAML
	b.app.Manifests = kube.YAML("web.yaml", []byte(text))
	b.release("v1", strategy.RedBlack{Settle: time.Second})
	b.scales("v1")
	b.sized(map[string]int32{"v1": 3})
	o := load.Options{URL: "http://" + cluster.IngressIP, Host: b.host(), Method: http.MethodPost, Rate: 50}
	b.answers(o.URL, o.Host, shopDigest("v1"))
	l, err := load.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { l.Stop() })

	b.app.Manifests = kube.YAML("web.yaml", []byte(strings.Replace(text, "minReplicas: 3", "minReplicas: 5", 1)))
	run := b.begin("v2", strategy.RedBlack{KeepOld: time.Hour, Settle: time.Second})
	b.scales("v2")
	b.sized(map[string]int32{"v1": 3, "v2": 5})
	require.NoError(t, run.Tell(t.Context(), "deploy", string(strategy.Rollback), "ada", "not today"))
	_, err = run.Wait(t.Context())
	require.ErrorContains(t, err, "is restored and verified")
	b.scales("v1")
	b.sized(map[string]int32{"v1": 3, "v2": 0})
	b.split(o, "v1", 100)
	r := l.Stop()
	require.Zero(t, r.Failures, r)
	require.Positive(t, r.ByVersion[shopDigest("v2")], r)
}

// scales waits until the autoscaler's target is the Deployment of the tag.
func (b *canaryBench) scales(tag string) {
	b.t.Helper()
	b.eventually(func() error {
		h, err := b.client.AutoscalingV2().HorizontalPodAutoscalers(b.namespace).Get(b.t.Context(), "web", metav1.GetOptions{})
		if err != nil {
			return err
		}
		d, err := b.client.AppsV1().Deployments(b.namespace).Get(b.t.Context(), h.Spec.ScaleTargetRef.Name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; image != shopImage+"@"+shopDigest(tag) {
			return fmt.Errorf("it scales %s of %s", d.Name, image)
		}
		return nil
	})
}

// sized waits until the Deployments of the tags ask for so many pods.
func (b *canaryBench) sized(want map[string]int32) {
	b.t.Helper()
	b.eventually(func() error {
		list, err := b.client.AppsV1().Deployments(b.namespace).List(b.t.Context(), metav1.ListOptions{})
		if err != nil {
			return err
		}
		for _, d := range list.Items {
			for tag, n := range want {
				if have := *d.Spec.Replicas; d.Spec.Template.Spec.Containers[0].Image == shopImage+"@"+shopDigest(tag) && have != n {
					return fmt.Errorf("%s has %d pods, want %d", tag, have, n)
				}
			}
		}
		return nil
	})
}
