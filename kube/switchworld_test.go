package kube_test

import (
	"context"
	"maps"
	"slices"
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
func (w *world) edge() string {
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
	return w.named(strings.Join(out, " "))
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

// laggard is an ingress controller whose watches of Ingresses and of addresses lag
// behind, each by anything up to lag. It keeps asking whether all that it may believe
// leads to ready pods, and the function that it returns says what did not.
func (w *world) laggard(lag time.Duration) (stop func() []string) {
	type sample struct {
		at      time.Time
		service string
		ready   map[string]int
	}
	const every = 200 * time.Millisecond
	typed, ctx := w.typed(), context.Background()
	look := func() (sample, error) {
		s := sample{at: time.Now(), ready: map[string]int{}}
		entry, err := typed.NetworkingV1().Ingresses("shop").Get(ctx, "shop", metav1.GetOptions{})
		if err != nil {
			return s, err
		}
		s.service = entry.Spec.Rules[0].HTTP.Paths[0].Backend.Service.Name
		list, err := typed.DiscoveryV1().EndpointSlices("shop").List(ctx, metav1.ListOptions{})
		if err != nil {
			return s, err
		}
		for _, e := range list.Items {
			for _, a := range e.Endpoints {
				if a.Conditions.Ready == nil || *a.Conditions.Ready {
					s.ready[e.Labels["kubernetes.io/service-name"]]++
				}
			}
		}
		return s, nil
	}
	end, done := make(chan struct{}), make(chan struct{})
	wrong := map[string]bool{}
	go func() {
		defer close(done)
		var past []sample
		for {
			now, err := look()
			if err != nil {
				wrong[err.Error()] = true
			} else {
				past = append(past, now)
			}
			past = slices.DeleteFunc(past, func(s sample) bool { return time.Since(s.at) > lag })
			for _, led := range past {
				for _, known := range past {
					if known.ready[led.service] == 0 {
						wrong[led.service+" without addresses"] = true
					}
				}
			}
			select {
			case <-end:
				return
			case <-time.After(every):
			}
		}
	}()
	return func() []string {
		time.Sleep(2 * lag) // it may still believe in what has just gone
		close(end)
		<-done
		return slices.Sorted(maps.Keys(wrong))
	}
}
