package kube

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// An ImagePath says where a custom kind keeps an image outside a pod template,
// so that an artifact can be bound there too.
type ImagePath struct {
	Kind string // such as "Database" or, to be exact, "Database.acme.example"
	// Path leads to the image, field by field; "[]" after a field means every item of its list, as in
	// "spec.instances[].image".
	Path string
}

func (p ImagePath) check() error {
	for step := range strings.SplitSeq(p.Path, ".") {
		name := strings.TrimSuffix(step, "[]")
		if name == "" || strings.ContainsAny(name, "[]") {
			return fmt.Errorf(`path %q must be fields with dots between, such as "spec.instances[].image"`, p.Path)
		}
	}
	if p.Kind == "" {
		return fmt.Errorf("path %q has no Kind", p.Path)
	}
	return nil
}

func (p ImagePath) of(u *unstructured.Unstructured) bool {
	gk := u.GroupVersionKind().GroupKind()
	return p.Kind == gk.Kind || p.Kind == gk.String()
}

// image is a place in an object that holds one.
type image struct {
	owner map[string]any
	field string
	where string // for people
}

// find returns the places to which the path leads in an object.
func (p ImagePath) find(u *unstructured.Unstructured) []image {
	steps := strings.Split(p.Path, ".")
	at := []map[string]any{u.Object}
	for _, step := range steps[:len(steps)-1] {
		var next []map[string]any
		name, list := strings.CutSuffix(step, "[]")
		for _, m := range at {
			if list {
				next = append(next, items(m, name)...)
			} else if sub, ok := m[name].(map[string]any); ok {
				next = append(next, sub)
			}
		}
		at = next
	}
	var out []image
	last := steps[len(steps)-1]
	for _, m := range at {
		if _, ok := m[last].(string); ok {
			out = append(out, image{m, last, p.Path})
		}
	}
	return out
}

// images lists every place of an object that holds an image: those of its pod
// templates and those that paths name.
func images(u *unstructured.Unstructured, paths []ImagePath) []image {
	var out []image
	for _, spec := range podSpecs(u) {
		for _, list := range containerLists {
			for _, c := range items(spec, list) {
				out = append(out, image{c, "image", fmt.Sprintf("container %q", str(c, "name"))})
			}
		}
	}
	for _, p := range paths {
		if p.of(u) {
			out = append(out, p.find(u)...)
		}
	}
	return out
}

// containerLists are the lists of containers of a pod.
var containerLists = []string{"initContainers", "containers", "ephemeralContainers"}

// unmatched reports image paths that lead nowhere in every object of their kind.
func unmatched(objects []*unstructured.Unstructured, paths []ImagePath) []error {
	var errs []error
	for _, p := range paths {
		found := false
		for _, u := range objects {
			found = found || p.of(u) && len(p.find(u)) > 0
		}
		if !found {
			errs = append(errs, &BindError{Object: p.Kind, Container: p.Path, Reason: "no object of this kind has an image there; correct App.Images"})
		}
	}
	return errs
}
