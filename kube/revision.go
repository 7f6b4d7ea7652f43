package kube

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// revisionOf returns the revision of a workload whose pods carry no version, and
// remembers it for the generation.
func (s *session) revisionOf(ctx context.Context, u *unstructured.Unstructured) (string, error) {
	id := fmt.Sprintf("%s/%d", u.GetUID(), u.GetGeneration())
	if h, ok := s.hashes[id]; ok {
		return h, nil
	}
	h, err := s.cluster.revisionOf(ctx, u)
	if h != "" {
		s.hashes[id] = h
	}
	return h, err
}

// revisionOf finds the revision with the same template, as the controllers do.
func (c *Cluster) revisionOf(ctx context.Context, u *unstructured.Unstructured) (string, error) {
	list, err := c.revisions(ctx, u)
	if err != nil {
		return "", err
	}
	want, _, _ := unstructured.NestedMap(u.Object, "spec", "template")
	unstructured.RemoveNestedField(want, "metadata", "creationTimestamp")
	for _, r := range list {
		if len(differences(want, r.template)) == 0 {
			return r.hash, nil
		}
	}
	return "", nil
}

// revision is what a workload's controller remembers of a pod template: a
// ReplicaSet of a Deployment, a ControllerRevision otherwise.
type revision struct {
	hash     string // what its pods carry in a label
	template map[string]any
}

// of reports whether a version is that of the revision.
func (r revision) of(version string) bool {
	return r.hash == version || str(r.template, "metadata", "labels", LabelVersion) == version
}

// revisions lists those of a workload.
func (c *Cluster) revisions(ctx context.Context, u *unstructured.Unstructured) ([]revision, error) {
	kind, at := "ReplicaSet", []string{"spec", "template"}
	if u.GetKind() != "Deployment" {
		kind, at = "ControllerRevision", []string{"data", "spec", "template"}
	}
	list, err := c.ownedBy(ctx, u, kind)
	if err != nil {
		return nil, err
	}
	var out []revision
	for _, o := range list {
		r := revision{hash: o.GetLabels()[labelHash]}
		r.template, _, _ = unstructured.NestedMap(o.Object, at...)
		if kind == "ControllerRevision" {
			r.hash = revisionHash(u, o)
		}
		unstructured.RemoveNestedField(r.template, "$patch") // apps/v1: the data of a revision is a patch
		unstructured.RemoveNestedField(r.template, "metadata", "labels", labelHash)
		unstructured.RemoveNestedField(r.template, "metadata", "creationTimestamp")
		out = append(out, r)
	}
	return out, nil
}

// ownedBy lists the objects of a kind that a workload controls.
func (c *Cluster) ownedBy(ctx context.Context, u *unstructured.Unstructured, kind string) ([]*unstructured.Unstructured, error) {
	at, err := c.at(ctx, Object{APIVersion: "apps/v1", Kind: kind, Namespace: u.GetNamespace()})
	if err != nil {
		return nil, err
	}
	selector := metav1.LabelSelector{MatchLabels: stringMap(u.Object, "spec", "selector", "matchLabels")}
	list, err := at.List(ctx, metav1.ListOptions{LabelSelector: metav1.FormatLabelSelector(&selector)})
	if err != nil {
		return nil, objectError("list "+kind+"s of", objectOf(u), err)
	}
	var out []*unstructured.Unstructured
	for i := range list.Items {
		if owner := metav1.GetControllerOf(&list.Items[i]); owner != nil && owner.UID == u.GetUID() {
			out = append(out, &list.Items[i])
		}
	}
	return slices.Clip(out), nil
}
