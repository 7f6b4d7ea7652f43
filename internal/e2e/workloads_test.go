package e2e

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// A StatefulSet and a DaemonSet are rolled forward, stop at a pause point, and
// are rolled back from a version that crashes: the controller of a StatefulSet
// would wait for its pod for ever.
func TestOtherWorkloads(t *testing.T) {
	for kind, change := range map[string]*strings.Replacer{
		"StatefulSet": strings.NewReplacer("kind: Deployment", "kind: StatefulSet", "replicas: REPLICAS", "replicas: 3\n  serviceName: web"),
		"DaemonSet":   strings.NewReplacer("kind: Deployment", "kind: DaemonSet", "  replicas: REPLICAS\n", ""),
	} {
		t.Run(kind, func(t *testing.T) {
			b := newBench(t)
			d := b.direct(b.namespace, "web", b.connect())
			manifests := func(notes string) kube.Manifests {
				text := strings.NewReplacer("NOTES", notes, "      NODES\n", "").Replace(change.Replace(webYAML))
				return kube.YAML("web.yaml", []byte(text))
			}
			images := func() map[string]int {
				list, err := b.client.CoreV1().Pods(b.namespace).List(context.Background(), metav1.ListOptions{LabelSelector: "app=web"})
				require.NoError(t, err)
				out := map[string]int{}
				for _, p := range list.Items {
					if p.DeletionTimestamp == nil && ready(&p) {
						out[p.Spec.Containers[0].Image]++
					}
				}
				return out
			}
			s := strategy.Rolling{Settle: 200 * time.Millisecond}
			d.app.Manifests = manifests("")
			require.NoError(t, d.release(t.Context(), "one", "v1", s))
			first := images()
			require.Len(t, first, 1)

			s.PauseAt, s.PauseFor = strategy.Pods(1), 2*time.Second
			began := time.Now()
			require.NoError(t, d.release(t.Context(), "two", "v2", s))
			second := images()
			require.Len(t, second, 1)
			require.NotEqual(t, first, second)
			if kind == "StatefulSet" { // of one node's pod there is no part
				require.Greater(t, time.Since(began), 2*time.Second)
			}

			d.app.Manifests = manifests(`testcluster/crash: "true"`)
			err := d.release(t.Context(), "three", "v3", strategy.Rolling{Settle: 200 * time.Millisecond})
			var failed *kube.RolloutError
			require.ErrorAs(t, err, &failed)
			require.Equal(t, "CrashLoopBackOff", failed.Trouble.Reason)
			require.True(t, failed.Restored, "%v", err)
			require.Equal(t, second, images())
		})
	}
}
