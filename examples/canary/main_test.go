package main

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

// release runs v1 and then v2 through the pipeline and returns how v2 ended.
func release(t *testing.T, judge strategy.Judge) error {
	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}, GatewayAPI: true})
	defer k.Close()
	cluster, err := kube.Connect(k.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	p := Release(App(cluster, judge), 24*time.Hour)
	engine, stop := pipelinetest.On(t, pipeline.NewMemory(), pipeline.Options{PollBudget: time.Hour}, p)
	defer stop()
	for _, tag := range []string{"v1", "v2"} {
		set, err := Image(tag)
		if err != nil {
			t.Fatal(err)
		}
		run, err := pipeline.Start(t.Context(), engine, p, tag, set)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = run.Wait(t.Context()); err != nil || tag == "v2" {
			return err
		}
	}
	return nil
}

// Three days pass in well under a second.
func TestCanaryTakesThreeDays(t *testing.T) {
	wall := time.Now()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		judge := &strategytest.Script{}
		if err := release(t, judge); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 72*time.Hour || took > 80*time.Hour {
			t.Errorf("it took %s", took)
		}
		if n := len(judge.Asked()); n < 12 {
			t.Errorf("only %d measurements", n)
		}
	})
	if took := time.Since(wall); took > time.Minute { // with the race detector, on a machine that is busy otherwise
		t.Errorf("the test took %s", took)
	}
}

func TestBadLatencyGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		err := release(t, metrics(true))
		if err == nil || !strings.Contains(err.Error(), "p99 of 900 ms") || !strings.Contains(err.Error(), "is restored and verified") {
			t.Errorf("it ended with %v", err)
		}
		if took := time.Since(begun); took > 40*time.Hour {
			t.Errorf("it took %s to notice", took)
		}
	})
}
