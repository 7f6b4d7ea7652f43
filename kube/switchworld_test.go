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

// edgeYAML has an Ingress with a backend of somebody else and a default backend.
var edgeYAML = strings.NewReplacer(
	"spec:\n  rules:", "spec:\n  defaultBackend: {service: {name: shop, port: {number: 80}}}\n  rules:",
	"port: {number: 80}}}}]}", "port: {number: 80}}}}, {path: /static, pathType: Prefix, backend: {service: {name: assets, port: {number: 80}}}}]}",
).Replace(shopYAML)

// switchBubble is a bubble with an IngressSwitch.
func switchBubble(t *testing.T, yaml string, f func(w *world)) {
	t.Helper()
	bubble(t, yaml, func(w *world) {
		w.as("switch")
		f(w)
	})
}

// edge is where the Ingress leads, with what runs there in place of a version.
func (w *world) edge() string { return w.named(w.edgeServices()) }

func (w *world) edgeServices() string {
	u, err := w.typed().NetworkingV1().Ingresses("shop").Get(context.Background(), "shop", metav1.GetOptions{})
	require.NoError(w.t, err)
	var out []string
	if d := u.Spec.DefaultBackend; d != nil {
		out = append(out, d.Service.Name)
	}
	for _, r := range u.Spec.Rules {
		for _, p := range r.HTTP.Paths {
			out = append(out, p.Backend.Service.Name)
		}
	}
	return strings.Join(out, " ")
}

// named replaces the versions in a text by the names of the images.
func (w *world) named(text string) string {
	for _, p := range w.pods() {
		if id := p.Labels[kube.LabelVersion]; id != "" {
			text = strings.ReplaceAll(text, id, w.name(p))
		}
	}
	return text
}

// patch changes an object as another program would.
func (w *world) patch(kind, name, patch string) {
	ctx, opts := context.Background(), metav1.PatchOptions{FieldManager: "gennaker"}
	var err error
	switch kind {
	case "ingress":
		_, err = w.typed().NetworkingV1().Ingresses("shop").Patch(ctx, name, types.JSONPatchType, []byte(patch), opts)
	default:
		_, err = w.typed().CoreV1().Services("shop").Patch(ctx, name, types.JSONPatchType, []byte(patch), opts)
	}
	require.NoError(w.t, err)
	time.Sleep(time.Second)
}

// backend is the Service to which the Ingress leads.
func (w *world) backend() []string { return strings.Fields(w.edgeServices())[:1] }
