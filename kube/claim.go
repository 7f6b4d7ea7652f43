package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/strategy"
)

// claim is the ConfigMap "gennaker-NAME" beside the workload. It says which
// release holds the App and keeps the handle of the last one, so that a release
// is found again after a crash and two releases cannot run at once.
type claim struct {
	object  *unstructured.Unstructured // nil if there is none yet
	Release string
	Fence   uint64
	Ended   bool
	Handle  string
	Set     artifact.Set // what was released last
	// Inventory lists what earlier releases applied and did not delete.
	Inventory []Object
	Left      []Object // those of them that the manifests do not hold any more
	Plan      string   // how to go on with the release without its program
	Configs   bool     // there are ConfigMaps or Secrets versioned by content
}

const (
	annotationEnded   = Prefix + "ended"
	annotationConfigs = Prefix + "configs"
)

func (a App) claimRef() Object {
	return Object{APIVersion: "v1", Kind: "ConfigMap", Namespace: a.Namespace, Name: "gennaker-" + a.Name}
}

func (a App) readClaim(ctx context.Context) (claim, error) {
	u, err := a.Cluster.get(ctx, a.claimRef())
	if err != nil || u == nil {
		return claim{}, err
	}
	return parseClaim(u)
}

func parseClaim(u *unstructured.Unstructured) (claim, error) {
	notes := u.GetAnnotations()
	c := claim{
		object: u, Release: notes[AnnotationRelease], Fence: version(notes[AnnotationFence]),
		Ended: notes[annotationEnded] != "", Handle: str(u.Object, "data", "handle"),
		Plan: str(u.Object, "binaryData", "plan"),
	}
	c.Configs = notes[annotationConfigs] != ""
	for field, into := range map[string]any{"set": &c.Set, "inventory": &c.Inventory, "left": &c.Left} {
		if text := str(u.Object, "data", field); text != "" {
			if err := json.Unmarshal([]byte(text), into); err != nil {
				return c, fmt.Errorf("%s: data.%s: %w: %w", objectOf(u), field, ErrInvalid, err)
			}
		}
	}
	return c, nil
}

// writeClaim writes what h says at the state in which the claim was read. If
// somebody else has written it meanwhile, the error is a conflict, after which
// the claim must be read again: it need not be lost.
func (a App) writeClaim(ctx context.Context, c claim, h *Handle, ended bool) error {
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("release %s: encode handle: %w", h.Key, err)
	}
	content := map[string]any{"handle": string(data)}
	for field, v := range map[string]any{"set": c.Set, "inventory": c.Inventory, "left": c.Left} {
		text, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("release %s: encode %s: %w", h.Key, field, err)
		}
		content[field] = string(text)
	}
	ref := a.claimRef()
	u := &unstructured.Unstructured{Object: map[string]any{}}
	if c.object != nil {
		u = c.object.DeepCopy()
		unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	}
	u.SetAPIVersion(ref.APIVersion)
	u.SetKind(ref.Kind)
	u.SetName(ref.Name)
	u.SetNamespace(ref.Namespace)
	setLabel(u, LabelApp, a.Name)
	setAnnotation(u, AnnotationRelease, h.Key)
	setAnnotation(u, AnnotationFence, strconv.FormatUint(h.Fence, 10))
	notes := u.GetAnnotations()
	delete(notes, annotationEnded)
	delete(notes, annotationConfigs)
	if h.Configs {
		notes[annotationConfigs] = "true"
	}
	if ended {
		notes[annotationEnded] = string(h.Journal.Outcome)
	}
	u.SetAnnotations(notes)
	u.Object["data"] = content
	delete(u.Object, "binaryData")
	if c.Plan != "" && !ended {
		u.Object["binaryData"] = map[string]any{"plan": c.Plan}
	}
	if c.object == nil {
		var there bool
		if _, there, err = a.Cluster.create(ctx, u, a.owner()); there {
			return a.outrun(ctx, h)
		}
		return err
	}
	_, err = a.Cluster.update(ctx, u, a.owner())
	return err
}

// outrun is the error of a first release that found the claim taken while it wrote its
// own: by another release that began at the same moment, or by itself if the reply to
// an earlier attempt was lost.
func (a App) outrun(ctx context.Context, h *Handle) error {
	c, err := a.readClaim(ctx)
	switch {
	case err != nil:
		return err
	case c.object != nil && c.Release != h.Key:
		return &BusyError{App: a.Namespace + "/" + a.Name, Release: c.Release}
	}
	return fmt.Errorf("%s: it has changed meanwhile", a.claimRef())
}

// endClaim notes that the release has ended, if it still holds the claim: with
// what it released, or with what was there before. Only who holds it deletes backups.
func (a App) endClaim(ctx context.Context, h *Handle, r *rendered) error {
	c, err := a.holding(ctx, h)
	if err != nil {
		return err
	}
	a.collectBackups(ctx, h)
	if h.Journal.Outcome == strategy.Succeeded {
		c.Set, c.Inventory = h.Set, merged(c.Inventory, h.Pruned, r.inventory())
		c.Left = slices.DeleteFunc(slices.Clone(c.Inventory), func(o Object) bool { return holds(r.inventory(), o) })
	} else {
		c.Set = h.Previous
		for _, w := range h.Pruned {
			if !holds(c.Inventory, w.Object) {
				c.Inventory = append(c.Inventory, w.Object)
			}
		}
	}
	return a.writeClaim(ctx, c, h, true)
}

// claimAgain claims the App for a release that has ended and is to be undone: no
// other may begin meanwhile, and whoever finds the claim can go on.
func (a App) claimAgain(ctx context.Context, h *Handle, r *rendered) error {
	c, err := a.holding(ctx, h)
	if err != nil {
		return err
	}
	if c.Plan, err = a.plan(r).encode(); err != nil {
		return err
	}
	return a.writeClaim(ctx, c, h, false)
}

// holding reads the claim and reports ErrStale unless h holds it.
func (a App) holding(ctx context.Context, h *Handle) (claim, error) {
	c, err := a.readClaim(ctx)
	switch {
	case err != nil:
		return c, err
	case c.object == nil || c.Release != h.Key:
		return c, fmt.Errorf("app %s: %w: release %s holds it now, not %s", a.Name, ErrStale, orText(c.Release, "none"), h.Key)
	case c.Fence > h.Fence:
		return c, fmt.Errorf("app %s: release %s: %w (epoch %d, this one has %d)", a.Name, h.Key, ErrStale, c.Fence, h.Fence)
	}
	return c, nil
}

// takeOver raises the fence of a release that another process began.
func (a App) takeOver(ctx context.Context, h *Handle, fence uint64) error {
	h.Fence = max(h.Fence, fence)
	c, err := a.holding(ctx, h)
	if err != nil {
		return err
	}
	if c.Ended && h.Phase != Done {
		// Somebody has brought it to its end meanwhile, see Recover.
		return a.adopt(c, h)
	}
	if c.Fence == h.Fence {
		return nil
	}
	return a.writeClaim(ctx, c, h, c.Ended)
}

// adopt takes over the end of a release that the claim tells of.
func (a App) adopt(c claim, h *Handle) error {
	final, err := a.decodeHandle(c)
	if err != nil {
		return err
	}
	final.Fence = h.Fence
	*h = final
	return nil
}
