package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gennaker/gennaker/artifact"
)

// podSpecs returns the pod specifications inside an object, to be changed in
// place. Custom kinds are covered where they keep a pod template under
// spec.template, as the built-in ones do.
func podSpecs(u *unstructured.Unstructured) []map[string]any {
	paths := [][]string{{"spec", "template", "spec"}, {"spec", "jobTemplate", "spec", "template", "spec"}}
	switch o := objectOf(u); {
	case o.is("", "Pod"):
		paths = [][]string{{"spec"}}
	case o.is("", "PodTemplate"):
		paths = [][]string{{"template", "spec"}}
	}
	var out []map[string]any
	for _, p := range paths {
		v, _, _ := unstructured.NestedFieldNoCopy(u.Object, p...)
		if m, ok := v.(map[string]any); ok && m["containers"] != nil {
			out = append(out, m)
		}
	}
	return out
}

// bind puts the images of a set into containers, init containers and the
// places that paths name. An image names its artifact by what it says before
// tag and digest: the artifact's name ("shop/web") or the repository it lives
// in ("registry.test/shop/web"). All mistakes are returned at once.
func bind(objects []*unstructured.Unstructured, set artifact.Set, paths []ImagePath) error {
	all := slices.Collect(set.OfKind(artifact.KindImage))
	used, errs := bindAll(objects, all, paths)
	for i, a := range all {
		if !used[i] {
			errs = append(errs, &BindError{Artifact: a.Name, Reason: fmt.Sprintf(
				"no container uses it; write image: %s in the manifest, or leave it out of the set", a.Name)})
		}
	}
	return errors.Join(errs...)
}

// bindAll does it and reports which images are used.
func bindAll(objects []*unstructured.Unstructured, all []artifact.Artifact, paths []ImagePath) (used []bool, errs []error) {
	used, errs = make([]bool, len(all)), unmatched(objects, paths)
	for _, u := range objects {
		for _, place := range images(u, paths) {
			if err := bindImage(u, place, all, used); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return used, errs
}

// bound binds set into the App's objects. One of a Group need not use all images.
func (a App) bound(ctx context.Context, set artifact.Set) (objects []*unstructured.Unstructured, uses []string, err error) {
	if objects, err = a.objects(ctx); err != nil {
		return nil, nil, err
	}
	if !a.grouped {
		return objects, nil, bind(objects, set, a.Images)
	}
	all := slices.Collect(set.OfKind(artifact.KindImage))
	used, errs := bindAll(objects, all, a.Images)
	for i := range used {
		if used[i] {
			uses = append(uses, all[i].Name)
		}
	}
	return objects, uses, errors.Join(errs...)
}

func bindImage(u *unstructured.Unstructured, place image, all []artifact.Artifact, used []bool) error {
	text, _ := place.owner[place.field].(string)
	fail := func(format string, args ...any) error {
		return &BindError{Object: objectOf(u).String(), Container: place.where, Reason: fmt.Sprintf(format, args...)}
	}
	if text == "" {
		return fail("it has no image; write the name of an artifact, or a pinned reference")
	}
	ref, err := artifact.ParseReference(text)
	if err != nil {
		return fail("%v", err)
	}
	var found []int
	for i, a := range all {
		if ref.Repository() == a.Name || repository(a) == ref.Normalized().Repository() {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return nil
	case len(found) > 1:
		return fail("image %q means %s as well as %s; give one of them another name", text, all[found[0]], all[found[1]])
	}
	a := all[found[0]]
	used[found[0]] = true
	pinned, err := pinned(a)
	if err != nil {
		return fail("artifact %q: %v", a.Name, err)
	}
	place.owner[place.field] = pinned
	return nil
}

func repository(a artifact.Artifact) string {
	ref, err := artifact.ParseReference(a.Location)
	if err != nil {
		return ""
	}
	return ref.Normalized().Repository()
}

// pinned is the reference by which the kubelet pulls an artifact.
func pinned(a artifact.Artifact) (string, error) {
	location := a.Location
	if location == "" {
		location = a.Name
	}
	ref, err := artifact.ParseReference(location)
	if err != nil {
		return "", err
	}
	ref, err = ref.WithoutTag().WithDigest(a.Digest)
	return ref.String(), err
}
