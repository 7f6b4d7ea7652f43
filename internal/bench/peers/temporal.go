//go:build temporal

package main

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"
	"go.temporal.io/server/temporal"
)

const (
	temporalQueue = "peers"
	temporalSpace = "default"
)

// temporalEntry is this engine in the table.
func temporalEntry() map[string]entry {
	return map[string]entry{"temporal": {
		module("go.temporal.io/server"),
		"server, worker and client in one process; SQLite, WAL, one connection as it has by default; eager starts and activities, no limits of rates", openTemporal,
	}}
}

type temporalPeer struct {
	server temporal.Server
	client client.Client
	worker sdkworker.Worker
	file   string
}

func openTemporal(_ context.Context, dir string, inFlight int) (peer, error) {
	p := &temporalPeer{file: filepath.Join(dir, "temporal.db")}
	server, address, err := temporalServer(p.file)
	if err != nil {
		return nil, err
	}
	if err := server.Start(); err != nil {
		return nil, err
	}
	p.server = server
	p.client, err = client.Dial(client.Options{HostPort: address, Namespace: temporalSpace,
		Logger: sdklog.NewStructuredLogger(slog.New(slog.DiscardHandler))})
	if err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	p.worker = sdkworker.New(p.client, temporalQueue, sdkworker.Options{
		MaxConcurrentWorkflowTaskExecutionSize: max(2, inFlight), MaxConcurrentActivityExecutionSize: 2 * inFlight,
		MaxConcurrentWorkflowTaskPollers: 16, MaxConcurrentActivityTaskPollers: 16, MaxConcurrentEagerActivityExecutionSize: 2 * inFlight,
	})
	p.worker.RegisterWorkflow(temporalRelease)
	p.worker.RegisterActivity(temporalSame)
	if err := p.worker.Start(); err != nil {
		return nil, errors.Join(err, p.close())
	}
	return p, nil
}

func temporalSame(_ context.Context, in string) (string, error) { return in, nil }

func temporalRelease(ctx workflow.Context, in string) (string, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: time.Minute})
	var build, unit, lint, deploy, verify string
	if err := workflow.ExecuteActivity(ctx, temporalSame, in).Get(ctx, &build); err != nil {
		return "", err
	}
	u, l := workflow.ExecuteActivity(ctx, temporalSame, build), workflow.ExecuteActivity(ctx, temporalSame, build)
	if err := errors.Join(u.Get(ctx, &unit), l.Get(ctx, &lint)); err != nil {
		return "", err
	}
	if err := workflow.ExecuteActivity(ctx, temporalSame, unit).Get(ctx, &deploy); err != nil {
		return "", err
	}
	err := workflow.ExecuteActivity(ctx, temporalSame, deploy).Get(ctx, &verify)
	return verify, err
}

func (p *temporalPeer) run(ctx context.Context, id, payload string) (string, error) {
	r, err := p.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{ID: id, TaskQueue: temporalQueue, EnableEagerStart: true}, temporalRelease, payload)
	if err != nil {
		return "", err
	}
	var out string
	err = r.Get(ctx, &out)
	return out, err
}

// flushing reads a second connection to the file, opened in the same way: the
// server keeps its own to itself.
func (p *temporalPeer) flushing(ctx context.Context) (string, error) {
	db, err := sql.Open("sqlite", "file:"+p.file+"?_pragma=journal_mode=wal&_pragma=synchronous=2&mode=rwc")
	if err != nil {
		return "", err
	}
	defer db.Close()
	return pragmas(ctx, db)
}

func (p *temporalPeer) close() error {
	p.worker.Stop()
	p.client.Close()
	return p.server.Stop()
}
