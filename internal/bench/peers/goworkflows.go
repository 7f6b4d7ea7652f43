package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/cschleiden/go-workflows/backend"
	"github.com/cschleiden/go-workflows/backend/history"
	"github.com/cschleiden/go-workflows/backend/monoprocess"
	"github.com/cschleiden/go-workflows/backend/sqlite"
	"github.com/cschleiden/go-workflows/client"
	"github.com/cschleiden/go-workflows/core"
	"github.com/cschleiden/go-workflows/worker"
	"github.com/cschleiden/go-workflows/workflow"
)

type goWorkflowsPeer struct {
	file   string
	told   *telling
	client *client.Client
	worker *worker.Worker
	stop   context.CancelFunc
}

func openGoWorkflows(_ context.Context, dir string, inFlight int) (peer, error) {
	p := &goWorkflowsPeer{file: filepath.Join(dir, "goworkflows.db")}
	b := sqlite.NewSqliteBackend(p.file, sqlite.WithBackendOptions(backend.WithLogger(slog.New(slog.DiscardHandler))))
	p.told = &telling{Backend: monoprocess.NewMonoprocessBackend(b)}
	o := worker.DefaultOptions
	o.WorkflowExecutorCacheSize = 4 * inFlight
	o.WorkflowExecutorCacheTTL = time.Minute
	o.WorkflowPollingInterval, o.ActivityPollingInterval = time.Millisecond, time.Millisecond
	p.worker = worker.New(p.told, &o)
	if err := errors.Join(p.worker.RegisterWorkflow(goWorkflowsRelease), p.worker.RegisterActivity(same)); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	if err := p.worker.Start(ctx); err != nil {
		return nil, err
	}
	p.client = client.New(p.told)
	return p, nil
}

func same(_ context.Context, in string) (string, error) { return in, nil }

func goWorkflowsRelease(ctx workflow.Context, in string) (string, error) {
	activity := func(in string) workflow.Future[string] {
		return workflow.ExecuteActivity[string](ctx, workflow.ActivityOptions{RetryOptions: workflow.RetryOptions{MaxAttempts: 1}}, same, in)
	}
	build, err := activity(in).Get(ctx)
	if err != nil {
		return "", err
	}
	unit, lint := activity(build), activity(build)
	u, err := unit.Get(ctx)
	if err != nil {
		return "", err
	}
	if _, err := lint.Get(ctx); err != nil {
		return "", err
	}
	deploy, err := activity(u).Get(ctx)
	if err != nil {
		return "", err
	}
	return activity(deploy).Get(ctx)
}

func (p *goWorkflowsPeer) run(ctx context.Context, id, payload string) (string, error) {
	ended := p.told.about(id)
	i, err := p.client.CreateWorkflowInstance(ctx, client.WorkflowInstanceOptions{InstanceID: id}, goWorkflowsRelease, payload)
	if err != nil {
		return "", err
	}
	select {
	case <-ended:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	return client.GetWorkflowResult[string](ctx, p.client, i, time.Minute)
}

// flushing reads a second connection to the file, opened with the same driver:
// the backend keeps its own to itself and leaves the level at the default.
func (p *goWorkflowsPeer) flushing(ctx context.Context) (string, error) {
	db, err := sql.Open("sqlite", "file:"+p.file+"?_txlock=immediate")
	if err != nil {
		return "", err
	}
	defer db.Close()
	return pragmas(ctx, db)
}

func (p *goWorkflowsPeer) close() error {
	p.stop()
	return errors.Join(p.worker.WaitForCompletion(), p.told.Close())
}

// telling is a backend that tells in process when an instance has ended, so that
// nobody has to poll for it.
type telling struct {
	backend.Backend
	ends sync.Map // instance id → chan struct{}
}

func (t *telling) about(id string) <-chan struct{} {
	c := make(chan struct{})
	t.ends.Store(id, c)
	return c
}

func (t *telling) CompleteWorkflowTask(ctx context.Context, task *backend.WorkflowTask, state core.WorkflowInstanceState,
	executed, activities, timers []*history.Event, workflows []*history.WorkflowEvent) error {
	err := t.Backend.CompleteWorkflowTask(ctx, task, state, executed, activities, timers, workflows)
	if err == nil && state == core.WorkflowInstanceStateFinished {
		if c, ok := t.ends.LoadAndDelete(task.WorkflowInstance.InstanceID); ok {
			close(c.(chan struct{}))
		}
	}
	return err
}
