package kube

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// podOwners are the kinds whose objects name ConfigMaps and Secrets for pods
// that exist or that may be made again, such as by "kubectl rollout undo".
var podOwners = []Object{
	{APIVersion: "apps/v1", Kind: "ReplicaSet"}, {APIVersion: "apps/v1", Kind: "ControllerRevision"},
	{APIVersion: "apps/v1", Kind: "Deployment"}, {APIVersion: "apps/v1", Kind: "StatefulSet"}, {APIVersion: "apps/v1", Kind: "DaemonSet"},
	{APIVersion: "batch/v1", Kind: "Job"}, {APIVersion: "batch/v1", Kind: "CronJob"}, {APIVersion: "v1", Kind: "Pod"},
}

// collect deletes versions of ConfigMaps and Secrets of the App to which
// nothing refers any more: no pod, no workload, no ReplicaSet or revision that
// is still kept, and nothing that this release would restore. Without the
// permission to look everywhere nothing is deleted.
func (a App) collect(ctx context.Context, h *Handle, r *rendered) error {
	if !h.Configs {
		return nil
	}
	var candidates []*unstructured.Unstructured
	selector := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{LabelApp: a.Name}})
	for _, kind := range []string{"ConfigMap", "Secret"} {
		err := a.Cluster.each(ctx, configObject(kind, a.Namespace, ""), selector, func(u *unstructured.Unstructured) {
			if u.GetAnnotations()[AnnotationConfig] != "" && !r.configs[objectOf(u)] {
				candidates = append(candidates, u)
			}
		})
		if err != nil {
			return err
		}
	}
	if len(candidates) == 0 {
		return nil
	}
	used, err := a.configsInUse(ctx, h)
	if err != nil {
		return err
	}
	for _, u := range candidates {
		if used[objectOf(u)] {
			continue
		}
		if err := a.Cluster.remove(ctx, objectOf(u), u.GetUID()); err != nil {
			return err
		}
	}
	return nil
}

// configsInUse lists every ConfigMap and Secret of the namespace that is
// referred to.
func (a App) configsInUse(ctx context.Context, h *Handle) (map[Object]bool, error) {
	used := map[Object]bool{}
	note := func(u *unstructured.Unstructured) {
		if objectOf(u).is("apps", "ControllerRevision") {
			u = &unstructured.Unstructured{Object: asTree(u.Object["data"])}
		}
		for _, spec := range podSpecs(u) {
			for _, r := range configRefs(spec) {
				used[configObject(r.kind, a.Namespace, r.name())] = true
			}
		}
	}
	for _, o := range podOwners {
		o.Namespace = a.Namespace
		if err := a.Cluster.each(ctx, o, "", note); err != nil {
			return nil, err
		}
	}
	records := []json.RawMessage{h.NativeRecord}
	for _, w := range h.writes() {
		records = append(records, w.Inverse, w.Former)
	}
	for _, data := range records {
		u := &unstructured.Unstructured{}
		if data != nil && decodeJSON(data, &u.Object) == nil {
			note(u)
		}
	}
	return used, nil
}

// each lists a kind in a namespace, page by page.
func (c *Cluster) each(ctx context.Context, o Object, selector string, visit func(*unstructured.Unstructured)) error {
	at, err := c.at(ctx, o)
	if err != nil {
		return err
	}
	opts := metav1.ListOptions{LabelSelector: selector, Limit: 500}
	for {
		list, err := at.List(ctx, opts)
		if err != nil {
			return objectError("list", o, err)
		}
		for i := range list.Items {
			u := &list.Items[i]
			if u.GetKind() == "" {
				u.SetAPIVersion(o.APIVersion)
				u.SetKind(o.Kind)
			}
			visit(u)
		}
		if opts.Continue = list.GetContinue(); opts.Continue == "" {
			return nil
		}
	}
}
