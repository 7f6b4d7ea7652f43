package kube_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// An App is a Deployer for a pipeline's deploy stage. Here its methods are
// called as an engine calls them.
func ExampleApp() {
	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}})
	defer k.Close()
	cluster, err := kube.Connect(k.Config(), &kube.ConnectOptions{Name: "eu-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	app := kube.App{
		Cluster: cluster, Env: "prod", Namespace: "shop", Name: "shop",
		Manifests: kube.YAML("shop.yaml", []byte(shopYAML)),
	}
	image, err := artifact.Image("registry.example.com/shop/web:1.4.2@" + artifact.FromBytes([]byte("layers")).String())
	if err != nil {
		fmt.Println(err)
		return
	}
	set, _ := artifact.NewSet(image)
	spec, _ := strategy.Encode(strategy.RedBlack{Settle: 100 * time.Millisecond, KeepOld: strategy.Immediately})

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := stage.NewCtx(&pipeline.Call{Context: ctx, Key: "release-7/prod/1", Budget: time.Minute})
	h, err := app.Start(c, stage.DeployRequest{Set: set, Strategy: spec})
	for err == nil {
		var st stage.Status[stage.Release]
		st, err = app.Poll(c, &h)
		if done, failed := st.Done(); done && failed == nil {
			fmt.Println(st.Output().Set)
			fmt.Println(st.Output().Endpoints)
			return
		} else if done {
			err = failed
		}
	}
	fmt.Println(err)
	// Output:
	// {image shop/web:1.4.2@sha256:e3b816898ca5}
	// [http://shop.shop.svc http://shop.example.com]
}

func ExampleApp_Validate() {
	err := kube.App{Env: "prod", Namespace: "shop", Name: "shop", Manifests: kube.YAML("shop.yaml", []byte("kind: Service"))}.Validate()
	fmt.Println(err)
	fmt.Println(errors.Is(err, kube.ErrInvalid))
	// Output:
	// app "shop": Cluster: invalid: it is nil; use kube.Connect or kube.Open
	// manifest shop.yaml document 1 (Service ): invalid: apiVersion is missing
	// true
}

// The Ingress is led to a Service of the version. A strategy that cannot do with that
// is refused when the pipeline is defined.
func ExampleIngressSwitch() {
	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}})
	defer k.Close()
	cluster, err := kube.Connect(k.Config(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	app := kube.App{
		Cluster: cluster, Env: "prod", Namespace: "shop", Name: "shop", Router: kube.IngressSwitch{Name: "shop"},
		Manifests: kube.YAML("shop.yaml", []byte(shopYAML)),
	}
	image, err := artifact.Image("registry.example.com/shop/web:1.4.2@" + artifact.FromBytes([]byte("layers")).String())
	if err != nil {
		fmt.Println(err)
		return
	}
	set, _ := artifact.NewSet(image)
	d, err := app.Diff(context.Background(), set, strategy.RedBlack{})
	for _, o := range d.Objects {
		fmt.Println(o.Change, o.Object)
	}
	fmt.Println(err, app.Supports(strategy.RedBlack{}))
	fmt.Println(app.Supports(strategy.Rolling{}) != nil)
	// Output:
	// create Service shop/shop
	// create Service shop/shop-6eb0faf31a
	// create Deployment shop/shop-6eb0faf31a
	// create Ingress shop/shop
	// <nil> <nil>
	// true
}
