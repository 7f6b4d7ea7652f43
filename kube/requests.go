package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

func (c *Cluster) at(ctx context.Context, o Object) (dynamic.ResourceInterface, error) {
	r, err := c.resourceFor(ctx, o.gvk())
	if err != nil {
		return nil, err
	}
	if r.namespaced {
		return c.dyn.Resource(r.gvr).Namespace(o.Namespace), nil
	}
	return c.dyn.Resource(r.gvr), nil
}

// get returns the live object, or nil when there is none.
func (c *Cluster) get(ctx context.Context, o Object) (*unstructured.Unstructured, error) {
	at, err := c.at(ctx, o)
	if err != nil {
		return nil, err
	}
	u, err := again(ctx, func() (*unstructured.Unstructured, error) { return at.Get(ctx, o.Name, metav1.GetOptions{}) })
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return u, objectError("get", o, err)
}

// standing returns the live object, or nil when there is none: that of a kind which
// the cluster does not serve, as when an operator was removed, cannot be there.
func (c *Cluster) standing(ctx context.Context, o Object) (*unstructured.Unstructured, error) {
	u, err := c.get(ctx, o)
	var unknown *UnknownKindError
	if errors.As(err, &unknown) {
		return nil, nil
	}
	return u, err
}

// applyMode says how a configuration is applied.
type applyMode struct {
	owner  string // field manager
	dryRun bool
	force  bool
}

// apply sends u by server-side apply with strict field validation. A
// resourceVersion inside u makes it conditional.
func (c *Cluster) apply(ctx context.Context, u *unstructured.Unstructured, mode applyMode) (*unstructured.Unstructured, error) {
	o := objectOf(u)
	at, err := c.at(ctx, o)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("%s: encode: %w", o, err)
	}
	opts := metav1.PatchOptions{FieldManager: mode.owner, Force: &mode.force, FieldValidation: metav1.FieldValidationStrict}
	op := "apply"
	if mode.dryRun {
		opts.DryRun, op = []string{metav1.DryRunAll}, "dry run"
	}
	send := func() (*unstructured.Unstructured, error) {
		return at.Patch(ctx, o.Name, types.ApplyPatchType, body, opts)
	}
	if mode.dryRun {
		out, err := again(ctx, send)
		return out, objectError(op, o, err)
	}
	out, err := send()
	return out, objectError(op, o, err)
}

// again makes a request that changes nothing up to three times while the API
// server or the network is in trouble, so that one bad answer among many
// requests does not send the whole step back to the engine. Writes are not
// repeated here: what became of them is looked up first.
func again(ctx context.Context, send func() (*unstructured.Unstructured, error)) (*unstructured.Unstructured, error) {
	wait := 100 * time.Millisecond
	for try := 1; ; try++ {
		u, err := send()
		if err == nil || try == 3 || refusal(err) || ctx.Err() != nil {
			return u, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return u, err
		}
		wait *= 2
	}
}

// create makes an object and reports whether it was there already.
func (c *Cluster) create(ctx context.Context, u *unstructured.Unstructured, owner string) (*unstructured.Unstructured, bool, error) {
	at, err := c.at(ctx, objectOf(u))
	if err != nil {
		return nil, false, err
	}
	out, err := at.Create(ctx, u, metav1.CreateOptions{FieldManager: owner, FieldValidation: metav1.FieldValidationStrict})
	if apierrors.IsAlreadyExists(err) {
		return nil, true, nil
	}
	return out, false, objectError("create", objectOf(u), err)
}

// update replaces an object at its resourceVersion.
func (c *Cluster) update(ctx context.Context, u *unstructured.Unstructured, owner string) (*unstructured.Unstructured, error) {
	at, err := c.at(ctx, objectOf(u))
	if err != nil {
		return nil, err
	}
	out, err := at.Update(ctx, u, metav1.UpdateOptions{FieldManager: owner})
	return out, objectError("update", objectOf(u), err)
}

// patch merges a patch into an object at a resourceVersion, if one is given.
func (c *Cluster) patch(ctx context.Context, o Object, merge map[string]any, owner string) (*unstructured.Unstructured, error) {
	at, err := c.at(ctx, o)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(merge)
	if err != nil {
		return nil, fmt.Errorf("%s: encode: %w", o, err)
	}
	out, err := at.Patch(ctx, o.Name, types.MergePatchType, body, metav1.PatchOptions{FieldManager: owner})
	return out, objectError("patch", o, err)
}

// remove deletes an object with its dependents in the background. What is gone
// already, or has been replaced by another object of that name, is no error.
func (c *Cluster) remove(ctx context.Context, o Object, uid types.UID) error {
	return c.removeHow(ctx, o, uid, metav1.DeletePropagationBackground)
}

// logs returns the last lines of a container's log, at most 4 KiB. previous
// asks for the log of the container before its last restart.
func (c *Cluster) logs(ctx context.Context, ns, pod, container string, previous bool) (string, error) {
	req := c.raw.Get().AbsPath("/api/v1/namespaces", ns, "pods", pod, "log").
		Param("container", container).Param("tailLines", "10").Param("limitBytes", "4096")
	if previous {
		req = req.Param("previous", "true")
	}
	data, err := req.DoRaw(ctx)
	return string(data), err
}
