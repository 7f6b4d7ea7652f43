package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/strategy"
)

// workloadKinds are the kinds that an App's workload may have.
var workloadKinds = []string{"Deployment", "StatefulSet", "DaemonSet"}

func workloadRef(kind, ns, name string) Object {
	return Object{APIVersion: "apps/v1", Kind: kind, Namespace: ns, Name: name}
}

// isWorkload reports whether an object of the manifests is the App's workload.
func (a App) isWorkload(u *unstructured.Unstructured) bool {
	o := objectOf(u)
	return o.gvk().Group == "apps" && o.Name == a.Name && (o.Namespace == a.Namespace || o.Namespace == "") &&
		slices.Contains(workloadKinds, o.Kind)
}

// manifest is the App's workload as it stands in the manifests; one of no kind
// if there is none.
func (a App) manifest() *unstructured.Unstructured {
	for _, d := range a.Manifests.docs {
		if a.isWorkload(d.object) {
			return d.object
		}
	}
	return &unstructured.Unstructured{Object: map[string]any{}}
}

// checkKind refuses a workload of another kind than the App had before, as long
// as that is still there: both would serve.
func (a App) checkKind(ctx context.Context, held claim, now Object) error {
	var before Handle
	if json.Unmarshal([]byte(held.Handle), &before) != nil || before.Workload.Kind == "" || before.Workload.Kind == now.Kind {
		return nil
	}
	left := 0
	selector := metav1.FormatLabelSelector(&metav1.LabelSelector{MatchLabels: map[string]string{LabelApp: a.Name}})
	err := a.Cluster.each(ctx, workloadRef(before.Workload.Kind, a.Namespace, ""), selector, func(*unstructured.Unstructured) { left++ })
	if err == nil && left > 0 {
		err = fmt.Errorf("%s: %w: the App was released as a %s, which is still there; delete that, or give this one another name", now, ErrInvalid, before.Workload.Kind)
	}
	return err
}

// checkWorkload refuses what only the strategy may say, or what no strategy heeds.
func checkWorkload(u *unstructured.Unstructured) error {
	if n, _, _ := unstructured.NestedFieldNoCopy(u.Object, "spec", "replicas"); n == int64(0) {
		return fmt.Errorf("%w: spec.replicas: a release of no pods could not be verified; "+
			"leave it out to keep as many as there are, and scale the workload to zero by hand", ErrInvalid)
	}
	if u.GetKind() == "Deployment" {
		if str(u.Object, "spec", "strategy", "type") == "Recreate" {
			return fmt.Errorf("%w: spec.strategy.type: Recreate forbids two versions at once, and every strategy runs them side by side for a while; "+
				"leave it out, or make the workload a StatefulSet, of which each pod ends before its successor begins", ErrInvalid)
		}
		if boolean(u.Object, "spec", "paused") {
			return fmt.Errorf("%w: spec.paused: no pods would come; leave it out, the strategy pauses where it must (PauseAt of strategy.Rolling)", ErrInvalid)
		}
		return nil
	}
	switch kind := str(u.Object, "spec", "updateStrategy", "type"); kind {
	case "", "RollingUpdate":
	case "OnDelete":
		return fmt.Errorf("%w: spec.updateStrategy.type: with OnDelete nothing replaces the pods; leave it out", ErrInvalid)
	default:
		return fmt.Errorf("%w: spec.updateStrategy.type: %s is no rolling update; leave it out", ErrInvalid, kind)
	}
	if integer(u.Object, "spec", "updateStrategy", "rollingUpdate", "partition") > 0 {
		return fmt.Errorf("%w: spec.updateStrategy.rollingUpdate.partition: the strategy sets it; use PauseAt of strategy.Rolling", ErrInvalid)
	}
	return nil
}

// surges reports whether the controller of a workload can run more pods than
// asked for while it replaces them: a StatefulSet's cannot, and two pods of a
// DaemonSet cannot have one port of their node.
func surges(u *unstructured.Unstructured) bool {
	if u.GetKind() != "DaemonSet" {
		return u.GetKind() != "StatefulSet"
	}
	for _, spec := range podSpecs(u) {
		if boolean(spec, "hostNetwork") {
			return false
		}
		for _, c := range items(spec, "containers") {
			for _, p := range items(c, "ports") {
				if integer(p, "hostPort") > 0 {
					return false
				}
			}
		}
	}
	return true
}

// desired is how many pods a workload asks for. Of a DaemonSet the nodes decide.
func desired(u *unstructured.Unstructured) int {
	if u.GetKind() == "DaemonSet" {
		if str(u.Object, "spec", "template", "spec", "nodeSelector", labelNowhere) != "" {
			return 0 // its status will say so
		}
		return int(integer(u.Object, "status", "desiredNumberScheduled"))
	}
	return int(integerOr(1, u.Object, "spec", "replicas"))
}

// native is the state of the controller that replaces pods by itself.
func (v *view) native() *strategy.Native {
	if v.h.Switch != nil {
		return nil // each version has a Deployment of its own, and nothing else is asked for
	}
	kind := v.h.Workload.Kind
	n := &strategy.Native{Exact: kind == "StatefulSet", Either: kind == "DaemonSet"}
	n.InPlace = !surges(v.r.workload)
	u := v.controller
	if u == nil {
		return n
	}
	n.Version, n.Desired, n.Synced, n.Stamp = v.running, desired(u), observed(u), stampOf(u)
	n.Autoscaled = kind == "DaemonSet" || v.h.autoscaled(u.GetName()) || v.rescaled(u)
	n.Update.MinReady = time.Duration(integer(u.Object, "spec", "minReadySeconds")) * time.Second
	switch rolling := []string{"spec", "updateStrategy", "rollingUpdate"}; kind {
	case "StatefulSet":
		n.Update.MaxUnavailable = amount(u, append(rolling, "maxUnavailable")...)
		if p := int(integer(u.Object, append(rolling, "partition")...)); p > 0 {
			n.Update.Paused, n.Update.Upto = true, max(0, n.Desired-p)
		}
	case "DaemonSet":
		n.Update.MaxSurge = amount(u, append(rolling, "maxSurge")...)
		n.Update.MaxUnavailable = amount(u, append(rolling, "maxUnavailable")...)
		n.Update.Paused = str(u.Object, "spec", "updateStrategy", "type") == "OnDelete"
	default:
		n.Update.MaxSurge = amount(u, "spec", "strategy", "rollingUpdate", "maxSurge")
		n.Update.MaxUnavailable = amount(u, "spec", "strategy", "rollingUpdate", "maxUnavailable")
		n.Update.ProgressDeadline = time.Duration(integer(u.Object, "spec", "progressDeadlineSeconds")) * time.Second
		n.Update.Paused = boolean(u.Object, "spec", "paused")
	}
	n.Paused = n.Update.Paused
	return n
}

// rescaled reports whether somebody else has set the number of pods of the workload
// since the release first wrote it.
func (t *target) rescaled(u *unstructured.Unstructured) bool {
	if t.app.TakeFields || len(t.h.Journal.Writes) == 0 {
		return false
	}
	others := false
	for _, f := range items(u.Object, "metadata", "managedFields") {
		if _, has, _ := unstructured.NestedFieldNoCopy(f, "fieldsV1", "f:spec", "f:replicas"); has {
			if t.app.isOwn(str(f, "manager")) {
				return false
			}
			others = true
		}
	}
	return others
}

// tune sets the parameters of the controller; what is zero is left alone. pods
// is how many are asked for.
func tune(u *unstructured.Unstructured, p strategy.Update, pods int) {
	set := func(v any, path ...string) { _ = unstructured.SetNestedField(u.Object, v, path...) }
	if p.MinReady > 0 {
		set(seconds(p.MinReady), "spec", "minReadySeconds")
	}
	switch u.GetKind() {
	case "StatefulSet":
		partition := 0
		if p.Paused {
			// At zero it would not be paused; a pod that has been replaced stays so.
			partition = max(1, pods-p.Upto)
		}
		set(int64(partition), "spec", "updateStrategy", "rollingUpdate", "partition")
		path := []string{"spec", "updateStrategy", "rollingUpdate", "maxUnavailable"}
		if _, has, _ := unstructured.NestedFieldNoCopy(u.Object, path...); has || p.MaxUnavailable.Floor(100) > 1 {
			// One is what it does anyway, and older servers know no other number.
			set(amountValue(p.MaxUnavailable), path...)
		}
	case "DaemonSet":
		if p.Paused {
			unstructured.RemoveNestedField(u.Object, "spec", "updateStrategy")
			set("OnDelete", "spec", "updateStrategy", "type")
			return
		}
		set("RollingUpdate", "spec", "updateStrategy", "type")
		setAmounts(set, p, "spec", "updateStrategy", "rollingUpdate")
	default:
		if !p.MaxSurge.IsZero() || !p.MaxUnavailable.IsZero() {
			set("RollingUpdate", "spec", "strategy", "type")
		}
		setAmounts(set, p, "spec", "strategy", "rollingUpdate")
		if p.ProgressDeadline > 0 {
			set(max(seconds(p.ProgressDeadline), seconds(p.MinReady)+1), "spec", "progressDeadlineSeconds")
		}
		set(p.Paused, "spec", "paused")
	}
}

func setAmounts(set func(v any, path ...string), p strategy.Update, path ...string) {
	for field, a := range map[string]strategy.Amount{"maxSurge": p.MaxSurge, "maxUnavailable": p.MaxUnavailable} {
		if !a.IsZero() {
			set(amountValue(a), append(path, field)...)
		}
	}
}

// tunedFields are what tune may set.
var tunedFields = [][]string{
	{"spec", "replicas"}, {"spec", "paused"}, {"spec", "strategy"}, {"spec", "updateStrategy"},
	{"spec", "minReadySeconds"}, {"spec", "progressDeadlineSeconds"},
}

// writeNative applies a configuration of the controller. On the way back its
// parameters are taken from whoever has set them meanwhile, as "kubectl rollout pause"
// does: else the baseline would never be back.
func (t *target) writeNative(ctx context.Context, u *unstructured.Unstructured) error {
	err := t.write(ctx, u)
	var conflict *ConflictError
	if !errors.As(err, &conflict) || !t.h.restoring() || !conflict.tuned() {
		return err
	}
	out, err := t.app.applyAs(ctx, u, applyMode{owner: t.app.owner(), force: true})
	if err == nil {
		t.s.saw(out)
	}
	return err
}

// tuned reports whether all that is in conflict are parameters of the workload's
// controller.
func (e *ConflictError) tuned() bool {
	return !slices.ContainsFunc(e.Conflicts, func(c Conflict) bool {
		return !slices.ContainsFunc(tunedFields, func(path []string) bool {
			field := "." + strings.Join(path, ".")
			return c.Field == field || strings.HasPrefix(c.Field, field+".")
		})
	})
}

// revisionHash is the part of a ControllerRevision's name that its pods carry in
// a label: a StatefulSet's carry all of it.
func revisionHash(owner, revision *unstructured.Unstructured) string {
	if owner.GetKind() == "DaemonSet" {
		return strings.TrimPrefix(revision.GetName(), owner.GetName()+"-")
	}
	return revision.GetName()
}
