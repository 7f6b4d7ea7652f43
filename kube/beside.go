package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/strategy"
)

// surveyBeside finds out whether the manifest of a workload whose version stays
// changes anything beside the pod template, which no strategy would write.
func (a App) surveyBeside(ctx context.Context, h *Handle, u, live *unstructured.Unstructured) error {
	if live == nil || str(live.Object, "spec", "template", "metadata", "labels", LabelVersion) != h.Version || !a.wrote(live) {
		return nil
	}
	dry, err := a.applyOwn(ctx, a.beside(h, u, live), true)
	if err != nil || !changed(live, dry) {
		return err
	}
	back, err := inverse(live, dry, a.owner())
	h.Beside = []Write{{Object: h.Workload, UID: live.GetUID(), Inverse: back}}
	return err
}

// beside is a configuration of the workload with everything that belongs to the
// strategy as it is now: the pods, their number, how they are replaced, and who
// wrote it.
func (a App) beside(h *Handle, u, live *unstructured.Unstructured) *unstructured.Unstructured {
	u = u.DeepCopy()
	own, _ := extract(live.Object, ownedFields(live, a.owner())).(map[string]any)
	was, spec := asTree(own["spec"]), asTree(u.Object["spec"])
	for _, field := range a.strategyFields(h) {
		delete(spec, field)
		if v, ok := was[field]; ok {
			spec[field] = v
		}
	}
	for k, v := range live.GetAnnotations() {
		if strings.HasPrefix(k, Prefix) {
			setAnnotation(u, k, v)
		}
	}
	return u
}

// strategyFields are the fields of a workload's specification that its strategy writes.
func (a App) strategyFields(h *Handle) []string {
	out := []string{"template", "selector", "replicas", "paused", "strategy", "updateStrategy"}
	s, err := a.decode(h.Journal.Strategy)
	if r, ok := s.(strategy.Rolling); ok && err == nil {
		if r.ProgressDeadline != strategy.Forever {
			out = append(out, "progressDeadlineSeconds")
		}
		if r.MinReady > 0 {
			out = append(out, "minReadySeconds")
		}
	}
	return out
}

// applyBeside writes what surveyBeside has found.
func (rel *release) applyBeside(ctx context.Context) error {
	h := rel.h
	if len(h.Beside) == 0 {
		return nil
	}
	live, err := rel.app.Cluster.get(ctx, h.Workload)
	if err != nil || live == nil {
		return err // of a workload that is gone the strategy makes another
	}
	u := rel.r.workload
	if !h.Native {
		u = rel.r.versioned()
	}
	return rel.target.write(ctx, rel.app.beside(h, u, live))
}

// takeBackBeside takes it back.
func (a App) takeBackBeside(ctx context.Context, h *Handle, inverse json.RawMessage) error {
	live, err := a.Cluster.get(ctx, h.Workload)
	if err != nil || live == nil {
		return err // its strategy sees to a workload that is gone
	}
	u := &unstructured.Unstructured{}
	if err := decodeJSON(inverse, &u.Object); err != nil {
		return fmt.Errorf("%s: its inverse: %w", h.Workload, err)
	}
	data, err := json.Marshal(a.beside(h, u, live).Object)
	if err != nil {
		return err
	}
	return a.restoreObject(ctx, h.Workload, data)
}
