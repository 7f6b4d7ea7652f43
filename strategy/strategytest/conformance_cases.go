package strategytest

import (
	"context"
	"errors"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

func observesBaseline(w *world) {
	o := w.observe()
	v, ok := o.Version(w.Old)
	if !ok || v.Desired != w.Pods || v.Created != w.Pods || v.Ready != w.Pods || v.Available != w.Pods || !v.Synced {
		w.t.Errorf("%s: got %+v, want %d pods, all available", w.Old, v, w.Pods)
	}
	if n, _ := o.Version(w.New); n.Created > 0 || n.Desired > 0 {
		w.t.Errorf("%s: got %+v, want no pods", w.New, n)
	}
	if o.At.IsZero() {
		w.t.Error("Observation.At is zero")
	}
	if len(v.Record) > strategy.MaxRecord {
		w.t.Errorf("%s: a record of %d bytes", w.Old, len(v.Record))
	}
	if o.Traffic.Absent {
		return
	}
	if !o.Traffic.Routes(w.Old) {
		w.t.Errorf("the front leads to %v, want %s", o.Traffic.Written, w.Old)
	}
	w.until("the front leads to what runs", func(o strategy.Observation) bool {
		_, ok := o.Traffic.Only(w.Old, w.Pods)
		return ok
	})
	if o.Native != nil && (o.Native.Version != w.Old || o.Native.Desired != w.Pods) {
		w.t.Errorf("the controller: got %+v, want %d pods of %s", o.Native, w.Pods, w.Old)
	}
}

func honoursContext(w *world) {
	before := w.observe()
	ctx, cancel := context.WithCancel(w.ctx)
	cancel()
	if _, err := w.Target.Observe(ctx); err == nil {
		w.t.Error("Observe: no error under a cancelled context")
	}
	a := strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: 1}
	if before.Native != nil {
		a = strategy.Action{Op: strategy.OpUpdate, Version: w.New, Update: &strategy.Update{}}
	}
	if err := w.Target.Apply(ctx, a); err == nil {
		w.t.Error("Apply: no error under a cancelled context")
	} else if permanent(err) {
		w.t.Errorf("Apply: a cancelled context is no permanent error: %v", err)
	}
	if err := w.Target.Wait(ctx, before); err == nil {
		w.t.Error("Wait: no error under a cancelled context, and nothing had changed")
	}
	if o := w.observe(); o.Satisfies(a) {
		w.t.Errorf("%s was performed under a cancelled context", a)
	}
}

func refusesUnknown(w *world) {
	err := w.write(strategy.Action{Op: "dance", Version: w.New})
	if err == nil || !permanent(err) {
		w.t.Errorf("an unknown operation: got %v, want a permanent error", err)
	}
	err = w.Target.Apply(w.ctx, strategy.Action{Op: strategy.OpScale, Version: "no-such-version", Replicas: 1})
	if err == nil {
		w.t.Error("scaling a version that does not exist: no error")
	}
	if v, ok := w.observe().Version("no-such-version"); ok && v.Created > 0 {
		w.t.Error("scaling a version that does not exist created pods")
	}
}

func createsBeside(w *world) {
	w.need(needs{Versions: true})
	before := w.observe()
	w.apply(strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: w.Pods})
	o := w.ready(w.New, w.Pods)
	if v, _ := o.Version(w.Old); v.Desired != w.Pods || v.Ready != w.Pods {
		w.t.Errorf("the old version changed: %+v", v)
	}
	if before.Traffic.Routes(strategy.AnyVersion) {
		return
	}
	if o.Traffic.Routes(w.New) || o.Traffic.Ready(w.New) > 0 {
		w.t.Errorf("the new version gets traffic: %+v", o.Traffic)
	}
}

func repeatsNothing(w *world) {
	w.need(needs{Versions: true})
	a := strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: 1}
	w.apply(a)
	w.ready(w.New, 1)
	w.apply(a)
	if v, _ := w.observe().Version(w.New); v.Created != 1 || v.Ready != 1 {
		w.t.Errorf("after a repeated create: %+v, want the same one ready pod", v)
	}
	if !w.observe().Traffic.Absent && !w.observe().Traffic.Routes(strategy.AnyVersion) {
		w.apply(strategy.Action{Op: strategy.OpRoute, Route: strategy.To(w.Old)})
		if _, ok := w.observe().Traffic.Only(w.Old, w.Pods); !ok {
			w.t.Error("a route that was in force was disturbed by writing it again")
		}
	}
}

func scalesToZero(w *world) {
	w.need(needs{Versions: true})
	w.apply(strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: 2})
	w.ready(w.New, 2)
	w.apply(strategy.Action{Op: strategy.OpScale, Version: w.New, Replicas: 0})
	o := w.until("the pods are gone", func(o strategy.Observation) bool {
		v, _ := o.Version(w.New)
		return v.Created == 0 && v.Terminating == 0
	})
	if _, ok := o.Version(w.New); !ok {
		w.t.Fatal("a version that was scaled to no pods is forgotten")
	}
	w.apply(strategy.Action{Op: strategy.OpScale, Version: w.New, Replicas: 1})
	w.ready(w.New, 1)
}

func routes(w *world) {
	w.need(needs{Versions: true, Route: true})
	w.apply(strategy.Action{Op: strategy.OpRoute, Route: strategy.To(w.Old)})
	w.apply(strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: w.Pods})
	w.ready(w.New, w.Pods)
	for _, version := range []string{w.New, w.Old} {
		w.apply(strategy.Action{Op: strategy.OpRoute, Route: strategy.To(version)})
		o := w.until("the traffic has moved to "+version, func(o strategy.Observation) bool {
			_, ok := o.Traffic.Only(version, w.Pods)
			return ok
		})
		for _, id := range []string{w.Old, w.New} {
			if v, _ := o.Version(id); v.Desired != w.Pods || v.Ready != w.Pods {
				w.t.Errorf("routing changed the pods of %s: %+v", id, v)
			}
		}
	}
}

func previews(w *world) {
	w.need(needs{Versions: true, Preview: true})
	w.apply(strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: 1})
	before := w.ready(w.New, 1)
	w.apply(strategy.Action{Op: strategy.OpRoute, Front: strategy.FrontPreview, Route: strategy.To(w.New)})
	o := w.until("the preview front leads to the new version", func(o strategy.Observation) bool {
		_, ok := o.Preview.Only(w.New, 1)
		return ok
	})
	if len(o.Traffic.Written) != len(before.Traffic.Written) || o.Traffic.Routes(w.New) != before.Traffic.Routes(w.New) {
		w.t.Errorf("the live front changed: %+v", o.Traffic)
	}
}

func reopens(w *world) {
	if w.Reopen == nil {
		w.t.Skip("World.Reopen is nil")
	}
	a := strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: 1}
	if o := w.observe(); o.Native != nil {
		a = w.update(w.New, false)
	}
	w.apply(a)
	w.Target = w.Reopen()
	if !w.observe().Satisfies(a) {
		w.t.Fatalf("%s: another process does not see it", a)
	}
	w.until("the pods are ready", func(o strategy.Observation) bool {
		v, _ := o.Version(w.New)
		return v.Ready >= 1
	})
}

func waits(w *world) {
	w.need(needs{Versions: true})
	seen := w.observe()
	w.apply(strategy.Action{Op: strategy.OpCreate, Version: w.New, Replicas: 1})
	if err := w.Target.Wait(w.ctx, seen); err != nil {
		w.t.Fatalf("Wait after a change: %v", err)
	}
	w.ready(w.New, 1)
	short, cancel := context.WithTimeout(w.ctx, 2*time.Second)
	defer cancel()
	for n := 0; ; n++ {
		if err := w.Target.Wait(short, w.observe()); err != nil {
			return
		}
		if n > 100 {
			w.t.Fatal("Wait returns all the time although nothing changes")
		}
	}
}

// permanent asks an error as strategy does.
func permanent(err error) bool {
	var p interface{ Permanent() bool }
	return errors.As(err, &p) && p.Permanent()
}
