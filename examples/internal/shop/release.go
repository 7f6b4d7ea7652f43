// Package shop is the release of a team's shop service, as the examples run it:
// Jenkins builds an image, it goes to test, is smoke-tested, approved, and goes
// to prod with its Service and Ingress.
package shop

import (
	"embed"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

//go:embed manifests
var manifests embed.FS

// Commit is what a release starts with.
type Commit struct {
	Image  string `json:"image" param:"required" pattern:"[a-z0-9.:/_-]+"`
	Branch string `json:"branch" param:"required" max:"200"`
	Tag    string `json:"tag" param:"required" pattern:"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"`
	Commit string `json:"commit" param:"required" pattern:"[0-9a-f]{7,40}"`
}

// Systems are what the release talks to.
type Systems struct {
	Jenkins *jenkins.Client
	Job     string        // full name of the Jenkins job
	Grace   time.Duration // see jenkins.JobOptions; 0 means its default
	Kube    *rest.Config
	Settle  time.Duration // see strategy.Rolling; 0 means its default
}

// Namespaces are where the shop runs; they must exist.
var Namespaces = []string{"shop-test", "shop-prod"}

// Parts are what a release of the shop is made of.
type Parts struct {
	Build      stage.Builder[Commit, jenkins.Handle]
	Test, Prod kube.App
	Smoke      stage.Verifier // of test
}

// Assemble makes the parts, and reports everything that is wrong with the systems.
func Assemble(sys Systems) (Parts, error) {
	build, err1 := jenkins.NewJob(sys.Jenkins, sys.Job, parameters, jenkins.JobOptions{
		Images: []jenkins.Image{{Path: "image.json"}},
		Grace:  sys.Grace,
	})
	cluster, err2 := kube.Connect(sys.Kube, nil)
	smoke, err3 := smokeTest(sys.Kube)
	if err := errors.Join(err1, err2, err3); err != nil {
		return Parts{}, err
	}
	return Parts{build, app(cluster, "test"), app(cluster, "prod"), smoke}, nil
}

// Release defines the pipeline.
func Release(sys Systems, toProd strategy.Strategy) (*pipeline.Pipeline[Commit, stage.Release], error) {
	parts, err := Assemble(sys)
	if err != nil {
		return nil, err
	}
	build, test, prod, smoke := parts.Build, parts.Test, parts.Prod, parts.Smoke
	return pipeline.Define("shop", 1, func(b *pipeline.Builder, in pipeline.Ref[Commit]) pipeline.Ref[stage.Release] {
		image := stage.Build(b, "build", build, in, stage.Timeout(time.Hour))
		inTest := stage.Deploy(b, "test", test, image, strategy.Rolling{Settle: sys.Settle, ProgressDeadline: 2 * time.Minute})
		ok := stage.Verify(b, "smoke", smoke, inTest)
		approved := stage.Approve(b, "approve", stage.Approval{
			Deadline: 72 * time.Hour, Message: "the shop's release to prod",
		}, stage.After(ok))
		return stage.Promote(b, "prod", prod, inTest, toProd, stage.After(approved))
	}), nil
}

func parameters(c Commit) map[string]string {
	return map[string]string{"IMAGE": c.Image, "BRANCH": c.Branch, "TAG": c.Tag, "COMMIT": c.Commit}
}

func app(cluster *kube.Cluster, env string) kube.App {
	files, err := fs.Sub(manifests, "manifests/"+env)
	if err != nil {
		panic(err) // the folders are embedded above
	}
	return kube.App{
		Cluster: cluster, Env: env, Namespace: "shop-" + env, Name: "shop", Manifests: kube.FS(files),
	}
}

// smokeTest asks the shop in test through the API server, which works from
// outside the cluster, and wants the answer of the new image.
func smokeTest(cfg *rest.Config) (stage.Verifier, error) {
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, err
	}
	base := strings.TrimSuffix(cfg.Host, "/")
	if !strings.Contains(base, "://") {
		base = "https://" + base
	}
	return smokeCheck{client: client, url: base + "/api/v1/namespaces/shop-test/services/shop:http/proxy/"}, nil
}

type smokeCheck struct {
	client *http.Client
	url    string
}

func (s smokeCheck) Kind() string { return "shop.smoke/v1" }

func (s smokeCheck) Exec(c *stage.Ctx, r stage.Release) (stage.Verdict, error) {
	image, _ := r.Set.Find(artifact.KindImage, "shop/web")
	return stage.HTTPCheck{
		Client: s.client, URL: func(stage.Release) string { return s.url }, Contains: string(image.Digest),
		Interval: 100 * time.Millisecond,
	}.Exec(c, r)
}
