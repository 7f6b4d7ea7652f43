package kube

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// evict deletes the pods of a version that are not ready. The controller of a
// StatefulSet waits for each pod that it has made, also for one that can never
// become ready ("forced rollback" in the documentation of Kubernetes). A pod that
// has changed since it was seen is left alone.
func (t *target) evict(ctx context.Context, version string) error {
	v, err := t.look(ctx)
	if err != nil {
		return err
	}
	for _, p := range v.pods[version] {
		if status, _, _ := condition(p, "Ready"); status == "True" || p.GetDeletionTimestamp() != nil {
			continue
		}
		at, err := t.app.Cluster.at(ctx, objectOf(p))
		if err != nil {
			return err
		}
		uid, rv := p.GetUID(), p.GetResourceVersion()
		err = at.Delete(ctx, p.GetName(), metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &rv}})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return objectError("delete", objectOf(p), err)
		}
	}
	return nil
}

// labelNowhere is a label that no node has.
const labelNowhere = Prefix + "nowhere"

// nowhereElse is the part of a DaemonSet's specification that takes its nodes
// away, or gives them back if value is nil.
func nowhereElse(value any) map[string]any {
	return map[string]any{"template": map[string]any{"spec": map[string]any{"nodeSelector": map[string]any{labelNowhere: value}}}}
}

// nodes gives a DaemonSet its nodes back, if a release left it without.
func (t *target) nodes(ctx context.Context, live *unstructured.Unstructured) error {
	if live == nil || str(live.Object, "spec", "template", "spec", "nodeSelector", labelNowhere) == "" {
		return nil
	}
	_, err := t.app.Cluster.patch(ctx, objectOf(live), map[string]any{"spec": nowhereElse(nil)}, t.app.owner()+scaleSuffix)
	return err
}
