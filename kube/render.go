package kube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/artifact"
)

// rendered is an App's manifests with a set's images bound, taken apart into
// what is applied before the workload, the workload, and what comes after it.
type rendered struct {
	before   []*unstructured.Unstructured // in order; the fronts among them without their selector
	workload *unstructured.Unstructured   // its pods labelled with the version
	after    []*unstructured.Unstructured // in order
	fronts   []front                      // the Services that lead to the workload
	switched string                       // the one of these in whose stead an Ingress leads to that of a version
	led      []string                     // the Services to which the last release may have led that Ingress
	preview  *front                       // the one that leads to the version that is not live yet
	unsplit  error                        // why App.Router cannot split before the rollout is over
	version  string
	replicas int    // the autoscaler's minimum if the manifest leaves it open; 0 if there is none
	digest   string // of everything above
	images   []string
	configs  map[Object]bool // the ConfigMaps and Secrets that are versioned by content
}

// front is a Service that leads to the workload.
type front struct {
	Object   Object            `json:"object"`
	Selector map[string]string `json:"selector"` // as in the manifest
}

// render binds set into the manifests. It asks the cluster only for kinds that
// are not built in.
func (a App) render(ctx context.Context, set artifact.Set) (*rendered, error) {
	objects, _, err := a.bound(ctx, set)
	if err != nil {
		return nil, err
	}
	configs, err := a.versionConfigs(objects)
	if err != nil {
		return nil, err
	}
	r := &rendered{configs: configs}
	last := slices.Index(kindOrder, "Ingress")
	for _, u := range objects {
		switch {
		case a.isWorkload(u) && r.workload != nil:
			return nil, &ManifestError{Source: "of app " + a.Name, Object: objectOf(u).String(), Err: fmt.Errorf(
				"%w: the App's workload could be this or the %s of the same name; give one of them another", ErrInvalid, r.workload.GetKind())}
		case a.isWorkload(u):
			r.workload = u
		case rank(u) >= last || a.scales(u, a.manifest().GetKind(), a.Name):
			r.after = append(r.after, u)
		default:
			r.before = append(r.before, u)
		}
	}
	if r.workload == nil {
		return nil, &ManifestError{Source: "of app " + a.Name, Err: fmt.Errorf(
			"%w: there is no Deployment, StatefulSet or DaemonSet %q in namespace %q; App.Name must be its name", ErrInvalid, a.Name, a.Namespace)}
	}
	if err := checkWorkload(r.workload); err != nil {
		return nil, &ManifestError{Source: "of app " + a.Name, Object: objectOf(r.workload).String(), Err: err}
	}
	sortObjects(r.before)
	sortObjects(r.after)
	if err := r.finish(a.Name, a.Preview); err != nil {
		return nil, err
	}
	r.fewest(a)
	if err := r.switchEntry(a); err != nil {
		return nil, err
	}
	r.unselect()
	if a.Preview != "" && r.preview == nil {
		return nil, &ManifestError{Source: "of app " + a.Name, Err: fmt.Errorf(
			"%w: App.Preview names the Service %q, but there is none that selects the pods of the workload", ErrInvalid, a.Preview)}
	}
	return r, nil
}

// objects copies the manifests and gives namespaced ones a namespace.
func (a App) objects(ctx context.Context) ([]*unstructured.Unstructured, error) {
	if err := a.Manifests.Err(); err != nil {
		return nil, err
	}
	var errs []error
	seen := map[Object]bool{}
	out := make([]*unstructured.Unstructured, 0, len(a.Manifests.docs))
	for _, d := range a.Manifests.docs {
		u := d.object.DeepCopy()
		namespaced, err := a.namespaced(ctx, u)
		if err != nil {
			var unknown *UnknownKindError
			if !errors.As(err, &unknown) {
				return nil, err
			}
			errs = append(errs, &ManifestError{Source: d.source, Document: d.number, Object: objectOf(u).String(), Err: err})
			continue
		}
		if namespaced && u.GetNamespace() == "" {
			u.SetNamespace(a.Namespace)
		} else if !namespaced {
			u.SetNamespace("")
		}
		if o := objectOf(u); seen[o] {
			errs = append(errs, &ManifestError{Source: d.source, Document: d.number, Object: o.String(),
				Err: fmt.Errorf("%w: it is defined twice", ErrInvalid)})
		} else {
			seen[o] = true
		}
		out = append(out, u)
	}
	return out, errors.Join(errs...)
}

// namespaced asks where a kind lives: in a definition among the manifests
// themselves, or in the cluster.
func (a App) namespaced(ctx context.Context, u *unstructured.Unstructured) (bool, error) {
	for _, d := range a.Manifests.docs {
		if d.object.GetKind() == "CustomResourceDefinition" && str(d.object.Object, "spec", "names", "kind") == u.GetKind() &&
			str(d.object.Object, "spec", "group") == u.GroupVersionKind().Group {
			return str(d.object.Object, "spec", "scope") != "Cluster", nil
		}
	}
	r, err := a.Cluster.resourceFor(ctx, u.GroupVersionKind())
	return r.namespaced, err
}

// finish derives the version, labels the workload with it, and finds the fronts.
func (r *rendered) finish(app, preview string) error {
	w := r.workload
	labels := stringMap(w.Object, "spec", "template", "metadata", "labels")
	selector := stringMap(w.Object, "spec", "selector", "matchLabels")
	if len(selector) == 0 || !subset(selector, labels) {
		return &ManifestError{Source: "of app " + app, Object: objectOf(w).String(), Err: fmt.Errorf(
			"%w: spec.selector.matchLabels must name labels of spec.template", ErrInvalid)}
	}
	template, _, _ := unstructured.NestedFieldNoCopy(w.Object, "spec", "template")
	r.version = hash(template)
	r.replicas = max(0, int(integer(w.Object, "spec", "replicas"))) // the API server refuses a negative number
	if err := unstructured.SetNestedField(w.Object, r.version, "spec", "template", "metadata", "labels", LabelVersion); err != nil {
		return fmt.Errorf("%s: label the pods: %w", objectOf(w), err)
	}
	setLabel(w, LabelApp, app)
	for _, spec := range podSpecs(w) {
		for _, c := range items(spec, "containers") {
			r.images = append(r.images, str(c, "image"))
		}
	}
	setAnnotation(w, AnnotationDigests, strings.Join(r.images, " "))
	for _, u := range r.before {
		sel := stringMap(u.Object, "spec", "selector")
		if objectOf(u).is("", "Service") && u.GetNamespace() == w.GetNamespace() && subset(sel, labels) {
			if f := (front{Object: objectOf(u), Selector: sel}); u.GetName() == preview {
				r.preview = &f
			} else {
				r.fronts = append(r.fronts, f)
			}
		}
	}
	r.digest = hash([]any{plain(r.before), w.Object, plain(r.after)})
	return nil
}

// unselect takes the selectors out of the fronts which only the strategy may move.
func (r *rendered) unselect() {
	for _, f := range r.allFronts() {
		for _, u := range r.before {
			if objectOf(u) == f.Object && u.GetName() != r.switched {
				unstructured.RemoveNestedField(u.Object, "spec", "selector")
			}
		}
	}
}

func plain(list []*unstructured.Unstructured) []any {
	out := make([]any, len(list))
	for i, u := range list {
		out[i] = u.Object
	}
	return out
}

// hash returns 10 hexadecimal digits of the SHA-256 of a value's JSON, whose
// map keys are ordered.
func hash(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		// Manifests come from JSON, so they can be written as JSON.
		panic("kube: encode manifest: " + err.Error())
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])[:10]
}

func setLabel(u *unstructured.Unstructured, key, value string) {
	labels := u.GetLabels()
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	u.SetLabels(labels)
}

func setAnnotation(u *unstructured.Unstructured, key, value string) {
	notes := u.GetAnnotations()
	if notes == nil {
		notes = map[string]string{}
	}
	notes[key] = value
	u.SetAnnotations(notes)
}

// versioned is the Deployment of one version beside others.
func (r *rendered) versioned() *unstructured.Unstructured {
	w := r.workload.DeepCopy()
	w.SetName(w.GetName() + "-" + r.version)
	setLabel(w, LabelVersion, r.version)
	_ = unstructured.SetNestedField(w.Object, r.version, "spec", "selector", "matchLabels", LabelVersion)
	return w
}

// allFronts are the live fronts and the preview.
func (r *rendered) allFronts() []front {
	if r.preview == nil {
		return r.fronts
	}
	return append(slices.Clone(r.fronts), *r.preview)
}
