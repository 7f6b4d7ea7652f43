package kube_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// A version that brings a Service for a port, or a label, that the old pods do not
// have, fails: everything is as it was.
func TestNewServiceThatTheOldPodsDoNotHave(t *testing.T) {
	named := strings.Replace(smallYAML, "ports: [{containerPort: 8080}]", "ports: [{containerPort: 8080}, {name: grpc, containerPort: 9090}]", 1) +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-grpc}\nspec: {selector: {app: shop}, ports: [{port: 90, targetPort: grpc}]}\n"
	label := strings.Replace(smallYAML, "labels: {app: shop}", "labels: {app: shop, tier: web}", 1) +
		"---\napiVersion: v1\nkind: Service\nmetadata: {name: shop-grpc}\nspec: {selector: {app: shop, tier: web}, ports: [{port: 90, targetPort: 8080}]}\n"
	worker, _, _ := strings.Cut(smallYAML, "---\napiVersion: v1\nkind: Service")
	for sname, s := range strategies {
		for name, c := range map[string]struct{ was, yaml string }{"port": {smallYAML, named}, "label": {smallYAML, label}, "of a worker": {worker, label}} {
			t.Run(sname+" "+name, func(t *testing.T) {
				bubble(t, c.was, func(w *world) {
					w.images["bad"] = kubetest.Behavior{Crash: true}
					_, err := w.release("run-1/prod/1", "v1", s)
					require.NoError(t, err)
					before := w.picture()
					w.app.Manifests = kube.YAML("shop.yaml", []byte(c.yaml))
					begun := time.Now()
					_, err = w.release("run-2/prod/1", "bad", s)
					var failed *kube.RolloutError
					require.ErrorAs(t, err, &failed)
					require.True(t, failed.Restored, "after %s: %v", time.Since(begun), err)
					require.Equal(t, before, w.picture())
					require.Less(t, time.Since(begun), 5*time.Minute)
				})
			})
		}
	}
}
