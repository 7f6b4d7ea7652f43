package kube_test

import (
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// A Group is one stage of a pipeline: a web server and its worker are released
// together, or not at all.
func ExampleGroup() {
	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}})
	defer k.Close()
	cluster, err := kube.Connect(k.Config(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	shop := kube.Group{Env: "prod", Apps: []kube.App{
		{Cluster: cluster, Namespace: "shop", Name: "shop", Manifests: kube.YAML("shop.yaml", []byte(shopYAML))},
		{Cluster: cluster, Namespace: "shop", Name: "worker", Manifests: kube.YAML("worker.yaml", []byte(workerYAML))},
	}}
	p := pipeline.Define("shop", 1, func(b *pipeline.Builder, images pipeline.Ref[artifact.Set]) pipeline.Ref[stage.Release] {
		return stage.Deploy(b, "prod", shop, images, strategy.RedBlack{KeepOld: time.Hour})
	})
	plan, err := p.Plan()
	fmt.Println(len(plan.Stages), err, shop.Validate())
	// Output: 1 <nil> <nil>
}
