package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/dbos-inc/dbos-transact-golang/dbos"
	_ "github.com/dbos-inc/dbos-transact-golang/dbos/driver/sqlite"
)

type dbosPeer struct {
	db  *sql.DB
	ctx dbos.Context
}

// openDBOS hands over a pool as DBOS itself would make it, but for the flushes.
func openDBOS(ctx context.Context, dir string, _ int) (peer, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "dbos.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_pragma=foreign_keys(ON)")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	d, err := dbos.NewContext(context.WithoutCancel(ctx), dbos.Config{AppName: "peers", SQLiteSystemDB: db, ApplicationVersion: "1",
		Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	dbos.RegisterWorkflow(d, dbosRelease)
	if err := dbos.Launch(d); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &dbosPeer{db: db, ctx: d}, nil
}

func dbosRelease(ctx dbos.Context, in string) (string, error) {
	same := func(in string) dbos.Step[string] { return func(context.Context) (string, error) { return in, nil } }
	build, err := dbos.RunAsStep(ctx, same(in), dbos.WithStepName("build"))
	if err != nil {
		return "", err
	}
	unit, err := dbos.Go(ctx, same(build), dbos.WithStepName("unit"))
	if err != nil {
		return "", err
	}
	lint, err := dbos.Go(ctx, same(build), dbos.WithStepName("lint"))
	if err != nil {
		return "", err
	}
	u, l := <-unit, <-lint
	if err := errors.Join(u.Err, l.Err); err != nil {
		return "", err
	}
	deploy, err := dbos.RunAsStep(ctx, same(u.Result), dbos.WithStepName("deploy"))
	if err != nil {
		return "", err
	}
	return dbos.RunAsStep(ctx, same(deploy), dbos.WithStepName("verify"))
}

func (p *dbosPeer) run(_ context.Context, id, payload string) (string, error) {
	h, err := dbos.RunWorkflow(p.ctx, dbosRelease, payload, dbos.WithWorkflowID(id))
	if err != nil {
		return "", err
	}
	return h.GetResult()
}

func (p *dbosPeer) flushing(ctx context.Context) (string, error) { return pragmas(ctx, p.db) }

func (p *dbosPeer) close() error {
	dbos.Shutdown(p.ctx, 5*time.Second)
	return p.db.Close()
}

// pragmas reads what decides about flushes from a connection.
func pragmas(ctx context.Context, db *sql.DB) (string, error) {
	var mode, level string
	if err := db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&mode); err != nil {
		return "", err
	}
	if err := db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level); err != nil {
		return "", err
	}
	if level != "2" {
		return "", fmt.Errorf("PRAGMA synchronous is %s: the engine does not flush every commit", level)
	}
	return "SQLite, journal_mode " + mode + ", synchronous FULL", nil
}
