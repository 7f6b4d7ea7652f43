package jenkins_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// Every build of a job that ends well starts an execution of a pipeline, once: the execution's id is made of the build's, so that a
// build which is reported again, after a crash for instance, starts nothing.
func ExampleClient_Watch() {
	server := jenkinstest.New(jenkinstest.Options{})
	defer server.Close()
	server.AddJob(jenkinstest.Job{Name: "team/shop", QuietPeriod: -1, Parameters: []jenkinstest.Parameter{{Name: "TAG"}}})
	client, err := jenkins.New(jenkins.Options{
		URL: server.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: server.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	release := pipeline.Define("release", 1, func(b *pipeline.Builder, tag pipeline.Ref[string]) pipeline.Ref[string] {
		return stage.Run(b, "announce", stage.Func("announce/v1", func(_ *stage.Ctx, tag string) (string, error) {
			return "released " + tag, nil
		}), tag)
	})
	store := pipeline.NewMemory() // a durable one in production
	engine := pipeline.New(store, pipeline.Options{})
	ctx, stop := context.WithTimeout(context.Background(), 10*time.Second)
	defer stop()
	go func() { _ = engine.Run(ctx) }()

	done := errors.New("seen enough")
	watching, enough := context.WithCancelCause(ctx)
	time.AfterFunc(50*time.Millisecond, func() {
		server.Trigger("team/shop", map[string]string{"TAG": "1.4.2"}, jenkinstest.Cause{User: "alice"})
	})
	err = client.Watch(watching, jenkins.WatchOptions{
		Name: "releases", Cursors: jenkins.StoreCursors(store), Jobs: []string{"team"}, Every: 20 * time.Millisecond,
	}, func(ctx context.Context, b jenkins.Completed) error {
		if b.Result != jenkins.Success {
			return nil
		}
		run, err := pipeline.Start(ctx, engine, release, b.ID(), b.Parameters["TAG"])
		if err != nil {
			return err // the build is reported again
		}
		text, err := run.Wait(ctx)
		fmt.Println(b.Job, b.Build, text, err)
		enough(done)
		return nil
	})
	fmt.Println(err)
	// Output:
	// team/shop 1 released 1.4.2 <nil>
	// seen enough
}

// A Pipeline that waits for input is answered in the name of the person who decided.
func ExampleBuild_Answer() {
	server := jenkinstest.New(jenkinstest.Options{QuietPeriod: -1})
	defer server.Close()
	answered := make(chan jenkinstest.Answer, 1)
	server.AddJob(jenkinstest.Job{Name: "shop", Kind: jenkinstest.Pipeline, Build: func(b *jenkinstest.Build) {
		answered <- b.Input(jenkinstest.Input{ID: "Ship", Message: "Ship it?", Parameters: []jenkinstest.Parameter{
			{Name: jenkins.ActorParameter}, {Name: "WHERE", Type: jenkinstest.ChoiceParameter, Choices: []string{"eu", "us"}},
		}})
	}})
	client, err := jenkins.New(jenkins.Options{
		URL: server.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: server.Transport(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	server.Trigger("shop", nil, jenkinstest.Cause{})

	ctx := context.Background()
	build := client.Build("shop", 1)
	var inputs []jenkins.Input
	for len(inputs) == 0 && err == nil {
		inputs, err = build.Inputs(ctx)
	}
	fmt.Println(inputs[0].Message, inputs[0].Parameters[1].Choices, err)
	err = build.Answer(ctx, "Ship", jenkins.Decision{
		Approve: true, Actor: "alice", Comment: "the tests are green", Parameters: map[string]string{"WHERE": "us"},
	})
	fmt.Println(err)
	a := <-answered
	fmt.Println(a.Params[jenkins.ActorParameter], a.Params["WHERE"])
	// Output:
	// Ship it? [eu us] <nil>
	// <nil>
	// alice us
}
