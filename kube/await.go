package kube

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// observer waits on watches for the sake of one object.
type observer struct {
	app    App
	h      *Handle
	o      Object // what it is about
	caches []*cache
	limit  time.Time
}

// observe opens watches; the caller ends them with close.
func (a App) observe(h *Handle, o Object) *observer {
	return &observer{app: a, h: h, o: o, limit: h.Since.Add(a.timeout())}
}

// add watches objects of o's kind in its namespace.
func (w *observer) add(ctx context.Context, o Object, only selection) (*cache, error) {
	r, err := w.app.Cluster.resourceFor(ctx, o.gvk())
	if err != nil {
		return nil, err
	}
	w.app.Cluster.mu.Lock()
	k := w.app.Cluster.hold(r.gvr, o.Namespace, only)
	w.app.Cluster.mu.Unlock()
	w.caches = append(w.caches, k)
	return k, nil
}

func (w *observer) close() {
	for _, k := range w.caches {
		w.app.Cluster.drop(k)
	}
}

// look judges what the watches show now. It may ask to be called again at a
// time at which nothing else may have changed.
type look func(ctx context.Context) (Readiness, time.Time, error)

// until calls look whenever a watch shows a change, until it says that the
// object is ready or has failed, its time is over, or ctx ends.
func (w *observer) until(ctx context.Context, check look) (string, bool, error) {
	ctx, cancel := context.WithDeadline(ctx, w.limit)
	defer cancel()
	got := waiting("nothing has been seen yet")
	for {
		cases := w.changes(ctx)
		now, again, err := check(ctx)
		switch {
		case err == nil:
			got = now
		case ctx.Err() == nil:
			return "", false, w.about(err)
		}
		switch {
		case got.State == Ready:
			return "", true, nil
		case got.State == Failed, !time.Now().Before(w.limit):
			return "", false, &RolloutError{App: w.app.Name, Version: w.h.Version,
				Trouble: Trouble{Object: w.o.String(), Reason: "NotReady", Message: got.Detail}}
		case ctx.Err() != nil:
			return fmt.Sprintf("%s: %s", w.o, got.Detail), false, nil
		}
		var alarm *time.Timer
		if !again.IsZero() {
			alarm = time.NewTimer(time.Until(again))
			cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(alarm.C)})
		}
		reflect.Select(cases)
		if alarm != nil {
			alarm.Stop()
		}
	}
}

// about says what an error of a watch is about; a verdict says so itself.
func (w *observer) about(err error) error {
	var failed *RolloutError
	if errors.As(err, &failed) {
		return err
	}
	return fmt.Errorf("%s: watch: %w", w.o, err)
}

// changes are what ends a wait: ctx, or a change of a watch after this call.
func (w *observer) changes(ctx context.Context) []reflect.SelectCase {
	cases := []reflect.SelectCase{{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(ctx.Done())}}
	for _, k := range w.caches {
		_, changed := k.wake()
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(changed)})
	}
	return cases
}

// await watches an object until it is ready at the generation just written. Of
// a workload it watches the pods and events, too, which say early and exactly
// why it will not become ready.
func (a App) await(ctx context.Context, h *Handle, wrote *unstructured.Unstructured) (string, bool, error) {
	after := wrote.GetGeneration()
	if a.readiness(wrote, after).State == Ready {
		return "", true, nil
	}
	w := a.observe(h, objectOf(wrote))
	defer w.close()
	main, err := w.add(ctx, w.o, one(w.o.Name))
	if err != nil {
		return "", false, err
	}
	ev, err := w.evidence(ctx, wrote)
	if err != nil {
		return "", false, err
	}
	return w.until(ctx, func(ctx context.Context) (Readiness, time.Time, error) {
		list, err := main.list(ctx, version(wrote.GetResourceVersion()))
		if err != nil {
			return Readiness{}, time.Time{}, err
		}
		live := find(list, w.o.Name)
		if live == nil && w.o.is("batch", "Job") {
			return ev.ended(ctx, wrote)
		}
		got := a.readiness(live, after)
		if got.State == Ready || live == nil || ev == nil {
			return got, time.Time{}, nil
		}
		return ev.judge(ctx, live, got)
	})
}
