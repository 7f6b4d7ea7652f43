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

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// laggard is a controller whose watches of routes and of addresses lag behind, each
// by anything up to lag. It keeps asking whether all Services that it may believe to be
// led to, as led tells, have ready pods, and the function that it returns says which
// had none.
func (w *world) laggard(lag time.Duration, led func() []string) (stop func() []string) {
	type sample struct {
		at       time.Time
		services []string
		ready    map[string]int
	}
	const every = 200 * time.Millisecond
	typed, ctx := w.typed(), context.Background()
	look := func() (sample, error) {
		s := sample{at: time.Now(), services: led(), ready: map[string]int{}}
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
			for _, route := range past {
				for _, known := range past {
					for _, service := range route.services {
						if known.ready[service] == 0 {
							wrong[service+" without addresses"] = true
						}
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

// sharing are the App's Services that have a share of the traffic.
func (w *world) sharing() []string {
	text := strings.ReplaceAll(w.split(), "ingress 0 shop-canary", "")
	words := strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ';' })
	words = slices.DeleteFunc(words, func(s string) bool { return !strings.HasPrefix(s, "shop") || strings.HasSuffix(s, ":0") })
	for i := range words {
		words[i], _, _ = strings.Cut(words[i], ":")
	}
	return words
}

// A controller that learns of weights and of addresses apart never believes in a share
// for a Service without ready pods, on the way there and on the way back.
func TestWeightsBehindALaggard(t *testing.T) {
	s := strategy.Canary{
		Steps:   []strategy.Step{{Weight: 25, Pause: strategy.Forever}, {Weight: 50, Pause: time.Minute}},
		KeepOld: 10 * time.Second,
	}
	for name, c := range map[string]struct {
		router  kube.Router
		compare bool
	}{
		"route": {kube.HTTPRoute{Name: "shop"}, false}, "compared": {kube.HTTPRoute{Name: "shop"}, true}, "ingress": {kube.Ingress{Name: "shop"}, false},
	} {
		for _, say := range []strategy.SignalKind{strategy.Promote, strategy.Abort} {
			t.Run(name+" "+string(say), func(t *testing.T) {
				canaryWorld(t, c.router, func(w *world) {
					s := s
					s.Compare = c.compare
					e := w.engine("run-2/prod/1", "v2", s)
					e.when("until it is promoted", func() strategy.SignalKind { return say })
					stop := w.laggard(800*time.Millisecond, w.sharing)
					_, err := e.run()
					require.Empty(t, stop())
					want := map[string]int{"v2": 3}
					if say == strategy.Abort {
						require.ErrorContains(t, err, "restored and verified")
						want = map[string]int{"v1": 3}
					} else {
						require.NoError(t, err)
					}
					require.Equal(t, want, w.running())
				})
			})
		}
	}
}
