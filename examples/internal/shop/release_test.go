package shop

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/pipeline/pipelinetest"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

var (
	commit   = Commit{Image: "harbor.example.com/shop/web", Branch: "main", Tag: "1.4.2", Commit: "4f2a9c1"}
	redBlack = strategy.RedBlack{KeepOld: time.Hour, ProgressDeadline: 2 * time.Minute}
)

// offline is the release with systems that nobody can reach.
func offline(t *testing.T) *pipeline.Pipeline[Commit, stage.Release] {
	t.Helper()
	client, err := jenkins.New(jenkins.Options{URL: "http://jenkins.test"})
	require.NoError(t, err)
	p, err := Release(Systems{Jenkins: client, Job: Job, Kube: &rest.Config{Host: "http://kube.test"}}, redBlack)
	require.NoError(t, err)
	return p
}

// scripted is the release with its stages' outcomes written down.
func scripted(t *testing.T, changed pipelinetest.Script) *pipeline.Pipeline[Commit, stage.Release] {
	t.Helper()
	set, err := artifact.NewSet(artifact.Artifact{
		Kind: artifact.KindImage, Name: "shop/web", Version: commit.Tag, Digest: artifact.Digest("sha256:" + strings.Repeat("a", 64)),
	})
	require.NoError(t, err)
	script := pipelinetest.Script{
		"build": pipelinetest.Returns(set).Takes(5 * time.Minute),
		"test":  pipelinetest.Returns(stage.Release{Environment: "test", Set: set}).Takes(time.Minute),
		"smoke": pipelinetest.Returns(stage.Verdict{}).Takes(10 * time.Second),
		"prod":  pipelinetest.Returns(stage.Release{Environment: "prod", Set: set}).Takes(3 * time.Minute),
	}
	for id, o := range changed {
		script[id] = o
	}
	return pipelinetest.Stub(t, offline(t), script)
}

// The plan may not change without a new version.
func TestPlan(t *testing.T) {
	pipelinetest.Golden(t, offline(t), filepath.Join("testdata", "plan.json"))
}

// A release waits for its approval as long as it may, and no longer.
func TestApproval(t *testing.T) {
	for name, c := range map[string]struct {
		decide func(t *testing.T, e pipeline.Engine)
		status pipeline.Status
		last   pipeline.EventKind
	}{
		"approved late": {func(t *testing.T, e pipeline.Engine) {
			pipelinetest.Advance(71 * time.Hour)
			pipelinetest.Approve(t, e, "r", "approve", "alice")
		}, pipeline.Succeeded, pipeline.EventSucceeded},
		"rejected": {func(t *testing.T, e pipeline.Engine) {
			pipelinetest.Reject(t, e, "r", "approve", "alice", "not on a Friday")
		}, pipeline.Failed, pipeline.EventFailed},
		"forgotten": {func(*testing.T, pipeline.Engine) {}, pipeline.Failed, pipeline.EventFailed},
		"cancelled": {func(t *testing.T, e pipeline.Engine) { pipelinetest.Cancel(t, e, "r", "alice", "a bug") }, pipeline.Canceled, pipeline.EventCanceled},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := scripted(t, nil)
				e := pipelinetest.Start(t, pipeline.Options{}, p)
				run, err := pipeline.Start(t.Context(), e, p, "r", commit, pipeline.By("ci"))
				require.NoError(t, err)
				pipelinetest.Advance(time.Hour)
				c.decide(t, e)
				events := pipelinetest.Events(t, e, "r")
				s, err := run.Snapshot(t.Context())
				require.NoError(t, err)
				require.Equal(t, c.status, s.Status, s.Reason)
				require.Equal(t, c.last, events[len(events)-1].Kind)
				require.Equal(t, c.status == pipeline.Succeeded, pipelinetest.Happened(events, pipeline.EventStageStarted, "prod"))
			})
		})
	}
}

// release is the case of a release that is approved, for CrashEverywhere.
func release(p *pipeline.Pipeline[Commit, stage.Release], check func(t *testing.T, s pipeline.Snapshot)) pipelinetest.Case {
	return pipelinetest.Case{
		Pipelines: []pipeline.Definition{p}, ID: "r",
		Start: func(ctx context.Context, e pipeline.Engine) error {
			_, err := pipeline.Start(ctx, e, p, "r", commit, pipeline.By("ci"))
			return err
		},
		Drive: func(ctx context.Context, e pipeline.Engine) {
			for e.Signal(ctx, "r", pipeline.Signal{ID: "1", Kind: pipeline.SignalApprove, Stage: "approve", Actor: "alice"}) != nil && ctx.Err() == nil {
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
				}
			}
		},
		Check: check,
	}
}

// The release survives every crash: at every write and every call of its stages.
func TestCrashEverywhere(t *testing.T) {
	for name, store := range map[string]func(t *testing.T) pipeline.Store{
		"memory": nil,
		"bolt": func(t *testing.T) pipeline.Store {
			s, err := boltstore.Open(filepath.Join(t.TempDir(), "state.db"), boltstore.Options{NoSync: true})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, s.Close()) })
			return s
		},
	} {
		t.Run(name, func(t *testing.T) {
			pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
				return release(scripted(t, nil), func(t *testing.T, s pipeline.Snapshot) {
					require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
				})
			}, pipelinetest.CrashOptions{Store: store, Pairs: 25, Seed: 1})
		})
	}
}

// The same with the simulated Jenkins and Kubernetes instead of a script: one
// build, and the release in prod. A sample of the crash points is tried here.
func TestCrashSimulated(t *testing.T) {
	pipelinetest.CrashEverywhere(t, func(t *testing.T) pipelinetest.Case {
		sim := Simulate()
		client, err := jenkins.New(jenkins.Options{
			URL: sim.Jenkins.URL(), Transport: sim.Jenkins.Transport(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken,
		})
		require.NoError(t, err)
		p, err := Release(Systems{Jenkins: client, Job: Job, Kube: sim.Kube.Config(), Settle: time.Second}, redBlack)
		require.NoError(t, err)
		c := release(p, func(t *testing.T, s pipeline.Snapshot) {
			require.Equal(t, pipeline.Succeeded, s.Status, s.Reason)
			require.Len(t, sim.Jenkins.Builds(Job), 1)
		})
		c.Close = sim.Close
		return c
	}, pipelinetest.CrashOptions{Singles: 10, Seed: 1, Outage: 10 * time.Second, Result: func(s pipeline.Snapshot) string {
		var r stage.Release // without the times in it
		if err := json.Unmarshal(s.Output, &r); err != nil {
			return err.Error()
		}
		return fmt.Sprint(s.Status, " ", r.Environment, " ", r.Set.Digest(), " ", r.Key)
	}})
}
