package main

import (
	"context"
	"path/filepath"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/stage"
)

type gennakerPeer struct {
	store  *boltstore.Store
	engine pipeline.Engine
	stop   context.CancelFunc
	done   chan error
}

var release = pipeline.Define("bench", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
	same := stage.Func("same/v1", func(_ *stage.Ctx, in string) (string, error) { return in, nil })
	build := stage.Run(b, "build", same, in)
	unit := stage.Run(b, "unit", same, build)
	lint := stage.Run(b, "lint", same, build)
	deploy := stage.Run(b, "deploy", same, unit, stage.After(lint))
	return stage.Run(b, "verify", same, deploy)
})

func openGennaker(_ context.Context, dir string, _ int) (peer, error) {
	store, err := boltstore.Open(filepath.Join(dir, "gennaker.db"), boltstore.Options{})
	if err != nil {
		return nil, err
	}
	p := &gennakerPeer{store: store, engine: pipeline.New(store, pipeline.Options{}), done: make(chan error, 1)}
	ctx, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() { p.done <- p.engine.Run(ctx) }()
	return p, nil
}

func (p *gennakerPeer) run(ctx context.Context, id, payload string) (string, error) {
	r, err := pipeline.Start(ctx, p.engine, release, id, payload)
	if err != nil {
		return "", err
	}
	return r.Wait(ctx)
}

func (p *gennakerPeer) flushing(context.Context) (string, error) {
	return "bbolt, fdatasync on every commit", nil
}

func (p *gennakerPeer) close() error {
	p.stop()
	if err := <-p.done; err != nil {
		return err
	}
	return p.store.Close()
}
