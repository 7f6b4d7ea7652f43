package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

var strategies = map[string]strategy.Strategy{
	"rolling":  strategy.Rolling{},
	"redblack": strategy.RedBlack{KeepOld: 10 * time.Second},
}

// switching are the same, and red/black by the backend of an Ingress.
var switching = map[string]strategy.Strategy{
	"rolling": strategies["rolling"], "redblack": strategies["redblack"], "switch": strategies["redblack"],
}

// as gives the App what it needs for one of them.
func (w *world) as(name string) {
	if name == "switch" {
		w.app.Router = kube.IngressSwitch{Name: "shop"}
	}
}

func TestFirstReleaseServes(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				rel, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				require.Equal(t, "prod", rel.Environment)
				require.Equal(t, []string{"http://shop.shop.svc", "http://shop.example.com"}, rel.Endpoints)
				require.Equal(t, map[string]int{"v1": 3}, w.serving())
			})
		})
	}
}

func TestSecondReleaseReplacesTheFirst(t *testing.T) {
	for name, s := range switching {
		t.Run(name, func(t *testing.T) {
			bubble(t, shopYAML, func(w *world) {
				w.as(name)
				_, err := w.release("run-1/prod/1", "v1", s)
				require.NoError(t, err)
				w.k.ResetRequests()
				rel, err := w.release("run-2/prod/1", "v2", s)
				require.NoError(t, err)
				require.Equal(t, set(t, "v1"), rel.Previous)
				require.Equal(t, map[string]int{"v2": 3}, w.serving())
				require.Equal(t, map[string]int{"v2": 3}, w.running())
			})
		})
	}
}
