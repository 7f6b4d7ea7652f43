package kube_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// A kind that is established but not served everywhere yet is asked for again.
func TestDefinitionThatIsServedLate(t *testing.T) {
	bubble(t, smallYAML+databaseYAML, func(w *world) {
		w.app.Images = []kube.ImagePath{{Kind: "Database", Path: "spec.migrate.image"}}
		w.k.Inject(kubetest.Fault{Verb: "patch", Resource: "databases", Code: http.StatusNotFound, Message: "the server could not find the requested resource", Times: 4})
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		require.NotNil(t, w.database())
	})
}

const hookYAML = `---
apiVersion: v1
kind: Service
metadata: {name: hook}
spec: {selector: {app: hook}, ports: [{port: 443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: hook}
spec:
  selector: {matchLabels: {app: hook}}
  template:
    metadata: {labels: {app: hook}}
    spec: {containers: [{name: hook, image: "hook:v1-READY"}]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook}
webhooks:
- name: hook.example.com
  sideEffects: None
  admissionReviewVersions: [v1]
  clientConfig: {service: {namespace: shop, name: hook}, caBundle: Y2E=}
`

// A webhook is not registered before somebody answers it.
func TestWebhookWaitsForItsService(t *testing.T) {
	bubble(t, smallYAML+strings.Replace(hookYAML, "READY", "readydelay_5s", 1), func(w *world) {
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
	})
	// The Deployment of the webhook is another App's here, and has no pods.
	gone := strings.Replace(strings.Replace(hookYAML, "hook:v1-READY", "hook:v1", 1), "spec:\n  selector: {matchLabels", "spec:\n  replicas: 0\n  selector: {matchLabels", 1)
	bubble(t, smallYAML+gone, func(w *world) {
		w.app.Timeout = time.Minute
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		var failed *kube.RolloutError
		require.ErrorAs(t, err, &failed)
		require.Equal(t, "ValidatingWebhookConfiguration hook", failed.Trouble.Object)
		require.ErrorContains(t, err, "Service shop/hook, which it calls, has no ready address yet")
		require.True(t, failed.Restored, "%v", err)
		for _, r := range w.k.Requests() {
			require.False(t, r.Resource == "validatingwebhookconfigurations" && r.Verb == "patch" && !r.DryRun, "%+v", r)
		}
	})
}

// Pods cannot be made in a namespace that has no default ServiceAccount yet.
func TestNamespaceWaitsForItsServiceAccount(t *testing.T) {
	bubble(t, smallYAML+"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: fresh}\n", func(w *world) {
		w.app.Namespace = "fresh"
		_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.NoError(t, err)
		asked := false
		for _, r := range w.k.Requests() {
			asked = asked || r.Resource == "serviceaccounts" && r.Verb == "watch"
		}
		require.True(t, asked)
	})
}

const besideYAML = `---
apiVersion: apps/v1
kind: KIND
metadata: {name: beside}
spec:
  serviceName: beside
  selector: {matchLabels: {app: beside}}
  template:
    metadata: {labels: {app: beside}}
    spec: {containers: [{name: beside, image: "beside:v1-crash"}]}
`

// Workloads beside the App's own fail as fast, with the same evidence.
func TestBrokenWorkloadBeside(t *testing.T) {
	for _, kind := range []string{"StatefulSet", "DaemonSet", "Deployment"} {
		t.Run(kind, func(t *testing.T) {
			text := strings.Replace(besideYAML, "KIND", kind, 1)
			if kind != "StatefulSet" {
				text = strings.Replace(text, "  serviceName: beside\n", "", 1)
			}
			bubble(t, smallYAML+text, func(w *world) {
				start := time.Now()
				_, err := w.release("run-1/prod/1", "v1", strategies["redblack"])
				var failed *kube.RolloutError
				require.ErrorAs(t, err, &failed)
				require.Equal(t, "CrashLoopBackOff", failed.Trouble.Reason)
				require.Contains(t, failed.Trouble.Object, "Pod shop/beside-")
				require.Contains(t, failed.Evidence, "log of beside-")
				require.Equal(t, 1, strings.Count(err.Error(), "baseline"), "%v", err)
				require.True(t, failed.Restored, "%v", err)
				require.Less(t, time.Since(start), 45*time.Second)
			})
		})
	}
}

func TestQuotaOfAWorkloadBeside(t *testing.T) {
	text := strings.NewReplacer("KIND", "StatefulSet", "beside:v1-crash", "beside:v1").Replace(besideYAML)
	bubble(t, smallYAML+text, func(w *world) {
		_, err := w.typed().CoreV1().ResourceQuotas("shop").Create(context.Background(), &corev1.ResourceQuota{
			ObjectMeta: metav1.ObjectMeta{Name: "none"},
			Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"pods": resource.MustParse("0")}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		start := time.Now()
		_, err = w.release("run-1/prod/1", "v1", strategies["redblack"])
		require.ErrorContains(t, err, "exceeded quota")
		require.Less(t, time.Since(start), 30*time.Second)
	})
}
