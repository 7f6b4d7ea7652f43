package strategytest

import (
	"context"
	"time"

	"github.com/gennaker/gennaker/strategy"
)

func (w *world) update(version string, paused bool) strategy.Action {
	u := &strategy.Update{Paused: paused}
	if !w.observe().Native.InPlace {
		u.MaxSurge, u.MaxUnavailable = strategy.Pods(1), strategy.Pods(0)
	}
	return strategy.Action{Op: strategy.OpUpdate, Version: version, Replicas: w.Pods, Update: u}
}

// only waits until version alone has pods, all available.
func (w *world) only(version string) {
	w.t.Helper()
	w.until("only "+version+" has pods", func(o strategy.Observation) bool {
		for _, v := range o.Versions {
			if v.ID != version && v.Created > 0 {
				return false
			}
		}
		v, _ := o.Version(version)
		return o.Native.Synced && v.Synced && v.Available == w.Pods
	})
}

func updates(w *world) {
	w.need(needs{Native: true})
	old, _ := w.observe().Version(w.Old)
	w.apply(w.update(w.New, false))
	w.only(w.New)
	back := w.update(w.Old, false)
	back.Record = old.Record
	w.apply(back)
	w.only(w.Old)
}

func pauses(w *world) {
	w.need(needs{Native: true})
	w.apply(w.update(w.New, false))
	w.until("a pod of the new version exists", func(o strategy.Observation) bool {
		v, _ := o.Version(w.New)
		return v.Created > 0
	})
	o := w.apply(w.update(w.New, true))
	if !o.Native.Paused {
		w.t.Error("the controller does not say that it is paused")
	}
	w.until("the pods that exist are ready", func(o strategy.Observation) bool {
		for _, v := range o.Versions {
			if v.Ready < v.Created {
				return false
			}
		}
		return true
	})
	if v, _ := w.observe().Version(w.Old); v.Ready == 0 {
		w.t.Error("the old version is gone although the update was paused")
	}
	w.apply(w.update(w.New, false))
	w.only(w.New)
}

func stopsExactly(w *world) {
	w.need(needs{Native: true})
	if !w.observe().Native.Exact {
		w.t.Skip("the controller is not exact")
	}
	a := w.update(w.New, true)
	a.Update.Upto = 1
	w.apply(a)
	w.until("a pod is updated", func(o strategy.Observation) bool {
		v, _ := o.Version(w.New)
		return v.Available == 1
	})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		v, _ := w.observe().Version(w.New)
		if v.Created > 1 {
			w.t.Fatalf("%d pods are updated, want 1", v.Created)
		}
		ctx, cancel := context.WithDeadline(w.ctx, end)
		if err := w.Target.Wait(ctx, w.observe()); err != nil && ctx.Err() == nil {
			w.t.Fatal(err)
		}
		cancel()
	}
	w.apply(w.update(w.New, false))
	w.only(w.New)
}

var quick = strategy.RedBlack{Settle: time.Second, KeepOld: 3 * time.Second}

func redBlackArrives(w *world) {
	w.need(quick)
	if j := w.rollout(quick, nil); j.Outcome != strategy.Succeeded {
		w.t.Fatalf("the rollout ended: %v", j.Err())
	}
	o := w.ready(w.New, w.Pods)
	if why, ok := o.Traffic.Only(w.New, w.Pods); !ok {
		w.t.Error(why)
	}
	if v, _ := o.Version(w.Old); v.Created > 0 {
		w.t.Errorf("the old version has pods: %+v", v)
	}
	if j := w.rollout(quick, nil); j.Outcome != strategy.Succeeded || len(j.Writes) > 0 {
		w.t.Errorf("releasing the same version again: %s after %d writes, want success and none", j.Outcome, len(j.Writes))
	}
}

func redBlackAborts(w *world) {
	w.need(quick)
	before := w.observe()
	j := w.rollout(quick, func(j strategy.Journal) strategy.SignalKind {
		if j.Phase == strategy.PhaseKeep {
			return strategy.Abort
		}
		return ""
	})
	w.aborted(j, before)
}

func rollingArrives(w *world) {
	s := strategy.Rolling{Settle: time.Second}
	w.need(s)
	if j := w.rollout(s, nil); j.Outcome != strategy.Succeeded {
		w.t.Fatalf("the rollout ended: %v", j.Err())
	}
	w.only(w.New)
	if j := w.rollout(s, nil); j.Outcome != strategy.Succeeded || len(j.Writes) > 0 {
		w.t.Errorf("releasing the same version again: %s after %d writes, want success and none", j.Outcome, len(j.Writes))
	}
}

func rollingAborts(w *world) {
	s := strategy.Rolling{Settle: time.Second}
	w.need(s)
	before := w.observe()
	j := w.rollout(s, func(j strategy.Journal) strategy.SignalKind {
		if j.Phase == strategy.PhaseDeploy && j.Writes["native"].Done {
			return strategy.Abort
		}
		return ""
	})
	w.aborted(j, before)
}

// aborted checks that everything is as it was.
func (w *world) aborted(j strategy.Journal, before strategy.Observation) {
	w.t.Helper()
	if j.Outcome != strategy.Aborted || !j.Restored {
		w.t.Fatalf("got %q, restored %v (%s); want an abort with the baseline restored", j.Outcome, j.Restored, j.Reason)
	}
	o := w.observe()
	if v, _ := o.Version(w.Old); v.Desired != w.Pods || v.Ready != w.Pods {
		w.t.Errorf("the old version: %+v, want %d ready pods", v, w.Pods)
	}
	if v, _ := o.Version(w.New); v.Created > 0 {
		w.t.Errorf("the new version still has pods: %+v", v)
	}
	if o.Traffic.Absent {
		return
	}
	if why, ok := o.Traffic.Only(w.Old, w.Pods); !ok {
		w.t.Error(why)
	}
	if len(before.Traffic.Written) != len(o.Traffic.Written) || o.Traffic.Written[0].Version != before.Traffic.Written[0].Version {
		w.t.Errorf("the front leads to %v, before %v", o.Traffic.Written, before.Traffic.Written)
	}
}
