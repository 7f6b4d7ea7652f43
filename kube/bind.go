package kube

import (
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
	if u.GetKind() == "Pod" && u.GetAPIVersion() == "v1" {
		paths = [][]string{{"spec"}}
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

// bind puts the images of a set into containers and init containers. A
// container names its artifact by what its image says before tag and digest:
// the artifact's name ("shop/web") or the repository it lives in
// ("registry.test/shop/web"). All mistakes are returned at once.
func bind(objects []*unstructured.Unstructured, set artifact.Set) error {
	images := slices.Collect(set.OfKind(artifact.KindImage))
	used := make([]bool, len(images))
	var errs []error
	for _, u := range objects {
		for _, spec := range podSpecs(u) {
			for _, list := range []string{"initContainers", "containers"} {
				for _, c := range items(spec, list) {
					if err := bindContainer(u, c, images, used); err != nil {
						errs = append(errs, err)
					}
				}
			}
		}
	}
	for i, a := range images {
		if !used[i] {
			errs = append(errs, &BindError{Artifact: a.Name, Reason: fmt.Sprintf(
				"no container uses it; write image: %s in the manifest, or leave it out of the set", a.Name)})
		}
	}
	return errors.Join(errs...)
}

func bindContainer(u *unstructured.Unstructured, c map[string]any, images []artifact.Artifact, used []bool) error {
	text, _ := c["image"].(string)
	name, _ := c["name"].(string)
	fail := func(format string, args ...any) error {
		return &BindError{Object: objectOf(u).String(), Container: name, Reason: fmt.Sprintf(format, args...)}
	}
	if text == "" {
		return fail("it has no image; write the name of an artifact, or a pinned reference")
	}
	ref, err := artifact.ParseReference(text)
	if err != nil {
		return fail("%v", err)
	}
	var found []int
	for i, a := range images {
		if ref.Repository() == a.Name || repository(a) == ref.Normalized().Repository() {
			found = append(found, i)
		}
	}
	switch {
	case len(found) == 0:
		return nil
	case len(found) > 1:
		return fail("image %q means %s as well as %s; give one of them another name", text, images[found[0]], images[found[1]])
	}
	a := images[found[0]]
	used[found[0]] = true
	pinned, err := pinned(a)
	if err != nil {
		return fail("artifact %q: %v", a.Name, err)
	}
	c["image"] = pinned
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
