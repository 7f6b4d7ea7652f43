package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// Commit is the input of the pipeline.
type Commit struct{ SHA, Tag string }

// A job is built, and the image it pushed is known by its digest. A pipeline does the same with stage.Build.
func Example() {
	server := jenkinstest.New(jenkinstest.Options{QuietPeriod: -1})
	defer server.Close()
	server.AddJob(jenkinstest.Job{
		Name:       "team/shop",
		Parameters: []jenkinstest.Parameter{{Name: "COMMIT"}, {Name: "TAG"}, {Name: jenkins.DefaultKeyParameter}},
		Build: func(b *jenkinstest.Build) {
			b.Log("compiling %s", b.Param("COMMIT"))
			b.Archive("out/image.properties", []byte(
				"IMAGE=registry.example.com/shop/web:"+b.Param("TAG")+"\n"+
					"DIGEST=sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\n"))
		},
	})

	ctx := context.Background()
	client, err := jenkins.Connect(ctx, jenkins.Options{
		URL: server.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: server.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	builder, err := jenkins.NewJob(client, "team/shop",
		func(c Commit) map[string]string { return map[string]string{"COMMIT": c.SHA, "TAG": c.Tag} },
		jenkins.JobOptions{Images: []jenkins.Image{{Path: "out/image.properties"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	set, err := build(ctx, builder, "shop-4711/build/1", Commit{SHA: "4f2c1e9", Tag: "1.4.2"})
	fmt.Println(set, err)

	_, err = build(ctx, misspelt(client), "shop-4712/build/1", Commit{})
	fmt.Println(errors.Is(err, jenkins.ErrJobNotFound), stage.IsPermanent(err))
	// Output:
	// {image shop/web:1.4.2@sha256:9f86d081884c} <nil>
	// true true
}

func misspelt(c *jenkins.Client) *jenkins.Job[Commit] {
	job, err := jenkins.NewJob(c, "team/shpo", func(Commit) map[string]string { return nil }, jenkins.JobOptions{})
	if err != nil {
		panic(err)
	}
	return job
}

// build is what an engine does, without crashes.
func build(ctx context.Context, b *jenkins.Job[Commit], key string, in Commit) (artifact.Set, error) {
	c := stage.NewCtx(&pipeline.Call{Context: ctx, Key: key})
	h, err := b.Start(c, in)
	for err == nil {
		var st stage.Status[artifact.Set]
		if st, err = b.Poll(c, &h); err != nil {
			break
		}
		if done, err := st.Done(); done {
			return st.Output(), err
		}
		time.Sleep(st.Next())
	}
	return artifact.Set{}, err
}
