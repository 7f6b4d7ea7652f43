package main

import (
	_ "embed"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

//go:embed shop.yaml
var manifests []byte

// Canary gives a new version a twentieth, a quarter and half of the traffic over
// three days of the given length, compares it with fresh pods of the old version,
// and keeps an eye on its latency all the time.
func Canary(day time.Duration) strategy.Canary {
	hour := day / 24
	return strategy.Canary{
		Steps: []strategy.Step{
			{Weight: 5, Analysis: &strategy.Analysis{Name: "errors", Interval: hour, Count: 6, FailureLimit: 1}},
			{Weight: 25, Pause: day},
			{Weight: 50, Pause: 2 * day},
		},
		Compare:  true,
		Analysis: &strategy.Analysis{Name: "latency", Interval: 6 * hour},
		Settle:   min(5*time.Second, hour),
		KeepOld:  hour,
	}
}

// App is the shop in production.
func App(c *kube.Cluster, judge strategy.Judge) kube.App {
	return kube.App{
		Cluster: c, Env: "prod", Namespace: "shop", Name: "web", Manifests: kube.YAML("shop.yaml", manifests),
		Router: kube.HTTPRoute{Name: "web"}, Judge: judge,
	}
}

// Release is the pipeline: a set of artifacts goes to production as a canary.
func Release(app kube.App, day time.Duration) *pipeline.Pipeline[artifact.Set, stage.Release] {
	return pipeline.Define("canary", 1, func(b *pipeline.Builder, set pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
		return stage.Deploy(b, "prod", app, set, Canary(day))
	})
}

// Image is the set of a version.
func Image(tag string) (artifact.Set, error) {
	image, err := artifact.Image("registry.example.com/shop/web:" + tag + "@" + artifact.FromBytes([]byte(tag)).String())
	if err != nil {
		return artifact.Set{}, err
	}
	return artifact.NewSet(image)
}
