package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/strategy"
)

// Change says what a release would do to an object.
type Change string

// The changes. Unknown is an object that only the release itself can judge: its
// namespace or its definition is made by it.
const (
	Create    Change = "create"
	Update    Change = "update"
	Recreate  Change = "recreate" // delete and make anew, see App.Recreate
	Delete    Change = "delete"   // see App.Prune
	Unchanged Change = "unchanged"
	Unknown   Change = "unknown"
	Refused   Change = "refused" // see ObjectDiff.Err
)

// A FieldDiff is one field that would change. Before and After are JSON, empty
// where the field is absent; in a Secret they are "(secret)".
type FieldDiff struct {
	Path          string // such as .spec.template.spec.containers[0].image
	Before, After string
}

// An ObjectDiff is what a release would do to one object.
type ObjectDiff struct {
	Object Object
	Change Change
	// Base is the Deployment that a new version is compared with: the one that serves now. It is zero for other objects.
	Base   Object
	Fields []FieldDiff // of an update or recreation, and of a new version
	Err    error       // why it would be refused, such as *ConflictError, *ImmutableError, *SharedError or *ObjectError
}

// A Diff is what a release would change, in the order in which it would.
type Diff struct {
	Version string
	Objects []ObjectDiff
	Refused []error // what would be refused beside the objects: the strategy, or what is about none of them
}

// Err returns every refusal.
func (d Diff) Err() error {
	errs := slices.Clone(d.Refused)
	for _, o := range d.Objects {
		errs = append(errs, o.Err)
	}
	return errors.Join(errs...)
}

// String shows the changes to people, a line for each object and each field.
func (d Diff) String() string {
	var b strings.Builder
	for _, o := range d.Objects {
		fmt.Fprintf(&b, "%s %s", o.Change, o.Object)
		if o.Base.Name != "" {
			fmt.Fprintf(&b, " (compared with %s)", o.Base)
		}
		if o.Err != nil {
			fmt.Fprintf(&b, ": %v", o.Err)
		}
		b.WriteByte('\n')
		for _, f := range o.Fields {
			fmt.Fprintf(&b, "  %s: %s -> %s\n", f.Path, orText(f.Before, "(absent)"), orText(f.After, "(absent)"))
		}
	}
	for _, err := range d.Refused {
		fmt.Fprintf(&b, "%s: %v\n", Refused, err)
	}
	return b.String()
}

// Diff asks the API server by dry run what a release of set by s would change,
// field by field, admission and defaults included. It writes nothing and
// claims nothing. The error is about the question; what the API server would
// refuse, and what Start would because of what it finds in the cluster, is in the
// answer, but not that another release is running.
func (a App) Diff(ctx context.Context, set artifact.Set, s strategy.Strategy) (Diff, error) {
	if err := a.Validate(); err != nil {
		return Diff{}, err
	}
	if s == nil {
		return Diff{}, fmt.Errorf("diff of app %s: strategy: %w: it is nil", a.Name, ErrInvalid)
	}
	r, err := a.render(ctx, set)
	if err != nil {
		return Diff{}, err
	}
	held, err := a.readClaim(ctx)
	if err != nil {
		return Diff{}, err
	}
	d := &differ{app: a, r: r, pending: pendingNamespaces(r), h: Handle{App: a.Name, Namespace: a.Namespace, Key: "diff", Version: r.version}}
	if needy, ok := s.(strategy.Needy); ok {
		d.h.Native = needy.Needs().Native
	}
	if err := a.follow(ctx, &d.h, r); err != nil {
		return Diff{}, err
	}
	r.led = held.led()
	out := Diff{Version: r.version}
	d.h.Journal, err = strategy.Begin(s, strategy.Release{Key: d.h.Key, Version: r.version, Replicas: r.replicas})
	out.refuse(err)
	out.refuse(a.Supports(s))
	for _, list := range [][]*unstructured.Unstructured{r.before, {r.workload}, r.after} {
		for _, u := range list {
			o, err := d.object(ctx, u)
			if err != nil {
				return Diff{}, err
			}
			out.Objects = append(out.Objects, o)
		}
	}
	err = a.surveyPruned(ctx, &d.h, r, held.Inventory)
	for _, w := range d.h.Pruned {
		out.Objects = append(out.Objects, ObjectDiff{Object: w.Object, Change: Delete})
	}
	found := []error{
		err, a.checkKind(ctx, held, objectOf(r.workload)), a.surveyAutoscalers(ctx, &d.h, r, held.Inventory), a.surveyRouter(ctx, &d.h, r),
	}
	for _, err := range append(found, d.standing(ctx)...) {
		if err != nil && !refusal(err) && !isTyped(err) {
			return Diff{}, err
		}
		out.refuse(err)
	}
	return out, nil
}

// refuse notes a refusal at the object that it is about.
func (d *Diff) refuse(err error) {
	if err == nil {
		return
	}
	var about Object
	var shared *SharedError
	var fixed *ImmutableError
	var serving *TrafficError
	switch {
	case errors.As(err, &shared):
		about = shared.Service
	case errors.As(err, &fixed):
		about = fixed.Object
	case errors.As(err, &serving):
		about = serving.Object
	}
	i := slices.IndexFunc(d.Objects, func(o ObjectDiff) bool { return o.Object == about })
	if i < 0 {
		d.Refused = append(d.Refused, err)
		return
	}
	d.Objects[i].Change, d.Objects[i].Err = Refused, errors.Join(d.Objects[i].Err, err)
}

// differ is one question.
type differ struct {
	app     App
	r       *rendered
	h       Handle
	pending map[string]bool
}

// object compares one object with what is there.
func (d *differ) object(ctx context.Context, u *unstructured.Unstructured) (ObjectDiff, error) {
	workload := u == d.r.workload
	if workload && !d.h.Native {
		u = d.r.versioned()
	}
	out := ObjectDiff{Object: objectOf(u)}
	live, err := d.app.Cluster.get(ctx, out.Object)
	if err == nil {
		err = d.found(ctx, out.Object, live, workload)
	}
	if err != nil {
		return d.refused(out, err)
	}
	if workload && d.h.Native && live != nil {
		u = u.DeepCopy()
		keepTuned(u, live)
	}
	if !workload {
		u = d.app.keepReplicas(u, live)
	}
	dry, err := d.app.applyOwn(ctx, u, true)
	fields := immutableFields(err)
	switch {
	case fields != nil && live != nil && !workload:
		if _, err := d.app.recreation(ctx, &d.h, u, live, fields); err != nil {
			return d.refused(out, err)
		}
		out.Change, out.Fields = Recreate, fieldDiffs(out.Object, live.Object, overlay(live, u))
		return out, nil
	case err != nil && live == nil && d.pending[out.Object.Namespace] && apierrors.IsNotFound(err):
		out.Change = Unknown
		return out, nil
	case err != nil && workload:
		return d.refused(out, unchangeable(out.Object, err))
	case err != nil:
		return d.refused(out, err)
	case live == nil && workload && !d.h.Native:
		out.Change = Create
		return d.compared(ctx, out, dry)
	case live == nil:
		out.Change = Create
	case changed(live, dry):
		out.Change, out.Fields = Update, fieldDiffs(out.Object, substance(live), substance(dry))
	default:
		out.Change = Unchanged
	}
	d.selector(&out, live)
	return out, nil
}

// found refuses an object because of what it is like now.
func (d *differ) found(ctx context.Context, o Object, live *unstructured.Unstructured, workload bool) error {
	if workload {
		d.h.Workload, d.h.Existed = o, live != nil
		return d.app.surveyPinned(&d.h, live)
	}
	for _, f := range d.r.allFronts() {
		if f.Object == o {
			return d.app.surveyFront(&d.h, f, live, d.r.switched == o.Name)
		}
	}
	if s, ok := d.app.Router.(IngressSwitch); ok && s.entry(d.app).same(o) {
		return d.app.surveySwitch(ctx, &d.h, d.r, o, live)
	}
	return nil
}

// standing refuses Services because of the pods that are there.
func (d *differ) standing(ctx context.Context) []error {
	var now standing
	for _, list := range []struct {
		of   Object
		into *[]*unstructured.Unstructured
	}{
		{workloadRef(d.r.workload.GetKind(), d.app.Namespace, ""), &now.workloads},
		{Object{APIVersion: "v1", Kind: "Service", Namespace: d.app.Namespace}, &now.services},
		{Object{APIVersion: "v1", Kind: "Pod", Namespace: d.app.Namespace}, &now.pods},
		{Object{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice", Namespace: d.app.Namespace}, &now.slices},
	} {
		err := d.app.Cluster.each(ctx, list.of, "", func(u *unstructured.Unstructured) { *list.into = append(*list.into, u) })
		if err != nil {
			return []error{err}
		}
	}
	return d.app.misled(&d.h, d.r, now)
}

// selector adds that a Service will lead to the new version, which is not the
// manifest's doing.
func (d *differ) selector(out *ObjectDiff, live *unstructured.Unstructured) {
	if d.h.Native || live == nil || out.Object.Name == d.r.switched || !slices.ContainsFunc(d.r.fronts, func(f front) bool { return f.Object == out.Object }) {
		return
	}
	f := FieldDiff{Path: ".spec.selector." + LabelVersion, After: show(d.r.version)}
	if id := str(live.Object, "spec", "selector", LabelVersion); id != "" {
		f.Before = show(id)
	}
	if f.Before != f.After {
		out.Change, out.Fields = Update, append(out.Fields, f)
	}
}

// compared adds what distinguishes a new version from the one that serves.
func (d *differ) compared(ctx context.Context, out ObjectDiff, dry *unstructured.Unstructured) (ObjectDiff, error) {
	base, err := d.serving(ctx)
	if err != nil || base == nil {
		return out, err
	}
	out.Base = objectOf(base)
	spec := func(u *unstructured.Unstructured) map[string]any {
		c := u.DeepCopy()
		for _, path := range [][]string{{"spec", "selector", "matchLabels"}, {"spec", "template", "metadata", "labels"}} {
			unstructured.RemoveNestedField(c.Object, append(path, LabelVersion)...)
		}
		return map[string]any{"spec": c.Object["spec"]}
	}
	out.Fields = fieldDiffs(out.Object, spec(base), spec(dry))
	return out, nil
}

// serving is the Deployment to which the Ingress that is switched leads, or else
// the first front.
func (d *differ) serving(ctx context.Context) (*unstructured.Unstructured, error) {
	name := d.app.Name
	if d.r.switched != "" {
		entry, err := d.app.Cluster.get(ctx, d.app.Router.entry(d.app))
		if err != nil {
			return nil, err
		}
		for _, to := range ledTo(live0(entry)) {
			id, ok := strings.CutPrefix(to, d.r.switched+"-")
			if !ok {
				continue
			}
			if u, err := d.app.Cluster.get(ctx, workloadRef(d.r.workload.GetKind(), d.app.Namespace, name+"-"+id)); u != nil || err != nil {
				return u, err
			}
		}
	} else if len(d.r.fronts) > 0 {
		svc, err := d.app.Cluster.get(ctx, d.r.fronts[0].Object)
		if err != nil {
			return nil, err
		}
		if svc != nil {
			if id := str(svc.Object, "spec", "selector", LabelVersion); id != "" && id != nowhere {
				name += "-" + id
			}
		}
	}
	return d.app.Cluster.get(ctx, workloadRef(d.r.workload.GetKind(), d.app.Namespace, name))
}

// refused sorts an error: an answer about the object is part of the result.
func (d *differ) refused(out ObjectDiff, err error) (ObjectDiff, error) {
	var unknown *UnknownKindError
	if errors.As(err, &unknown) && d.app.defined(&unstructured.Unstructured{Object: map[string]any{"apiVersion": out.Object.APIVersion, "kind": out.Object.Kind}}) {
		out.Change = Unknown
		return out, nil
	}
	if !refusal(err) && !isTyped(err) {
		return out, err
	}
	out.Change, out.Err = Refused, err
	return out, nil
}
