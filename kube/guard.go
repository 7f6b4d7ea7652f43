package kube

import (
	"context"

	"github.com/gennaker/gennaker/strategy"
)

// guard refuses to take the last pods of a version away while a Service leads
// to it and no other version could answer, whoever asks for it. Only a release
// that began where nothing ran may go back to nothing.
func (t *target) guard(ctx context.Context, id string) error {
	if b := t.h.Journal.Baseline; b != nil && b.Version == "" {
		return nil
	}
	o, err := t.Observe(ctx)
	if err != nil || o.Traffic.Absent {
		return err
	}
	leads, others := false, 0
	for _, s := range o.Traffic.Written {
		leads = leads || s.Weight > 0 && (s.Version == id || s.Version == strategy.AnyVersion)
	}
	for _, e := range o.Traffic.Endpoints {
		if e.Version != id {
			others += e.Ready
		}
	}
	if leads && others == 0 && o.Traffic.Ready(id) > 0 {
		return &TrafficError{Object: t.h.Workload, Version: id, Service: t.r.fronts[0].Object}
	}
	return nil
}
