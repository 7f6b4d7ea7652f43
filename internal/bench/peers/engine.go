package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// peer is one engine, opened on an empty folder.
type peer interface {
	// run makes one execution and returns its result.
	run(ctx context.Context, id, payload string) (string, error)
	// flushing says how the engine's file is set to be flushed, as read from it.
	flushing(ctx context.Context) (string, error)
	close() error
}

// entry is what the table says about an engine.
type entry struct {
	version string
	with    string // how it is set up to be at its best
	open    func(ctx context.Context, dir string, inFlight int) (peer, error)
}

func engines() map[string]entry {
	all := map[string]entry{
		"gennaker": {module("github.com/gennaker/gennaker"),
			"defaults on boltstore", openGennaker},
		"dbos": {module("github.com/dbos-inc/dbos-transact-golang"),
			"SQLite, WAL, its own pool of 8 connections, synchronous FULL in place of its NORMAL", openDBOS},
		"go-workflows": {module("github.com/cschleiden/go-workflows"),
			"SQLite, WAL, monoprocess backend, the cache of executors larger than what is in flight, completions told in process instead of polled for", openGoWorkflows},
	}
	maps.Copy(all, temporalEntry())
	return all
}

func names() []string {
	all := slices.Sorted(maps.Keys(engines()))
	return append([]string{"gennaker"}, slices.DeleteFunc(all, func(n string) bool { return n == "gennaker" })...)
}

func lookup(name string) (entry, error) {
	e, ok := engines()[name]
	if !ok {
		return entry{}, fmt.Errorf("unknown engine %q", name)
	}
	return e, nil
}
