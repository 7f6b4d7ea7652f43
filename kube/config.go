package kube

import (
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// AnnotationVersioned, with the value "false" on a ConfigMap or Secret of the
// manifests, keeps its name and changes it in place.
const AnnotationVersioned = Prefix + "versioned"

// AnnotationConfig, on a ConfigMap or Secret that is versioned by its content,
// is the name that it has in the manifests.
const AnnotationConfig = Prefix + "config"

// versionConfigs gives ConfigMaps and Secrets to which pods of the manifests
// refer a name that says what is in them, NAME-HASH, and rewrites the
// references. A change of content is thereby a change of the pods: it is rolled
// out, verified and rolled back like one, and pods of the old version keep
// theirs. It returns the names by which they are known now.
func (a App) versionConfigs(objects []*unstructured.Unstructured) (map[Object]bool, error) {
	used, pinned := map[Object][]configRef{}, map[Object]bool{}
	for _, u := range objects {
		for _, spec := range podSpecs(u) {
			for _, r := range configRefs(spec) {
				o := configObject(r.kind, u.GetNamespace(), r.name())
				used[o] = append(used[o], r)
			}
		}
		for _, r := range otherConfigRefs(u) {
			pinned[configObject(r.kind, u.GetNamespace(), r.name())] = true
		}
	}
	out := map[Object]bool{}
	for _, u := range objects {
		o := objectOf(u)
		if len(used[o]) == 0 || pinned[o] || !versionable(u) {
			continue
		}
		name := o.Name + "-" + contentHash(u)
		if len(name) > 253 {
			return nil, fmt.Errorf("%s: %w: its name and a hash of its content must have at most 253 bytes together; shorten it, or annotate it with %s: \"false\"",
				o, ErrInvalid, AnnotationVersioned)
		}
		for _, r := range used[o] {
			r.owner[r.field] = name
		}
		setAnnotation(u, AnnotationConfig, o.Name)
		setLabel(u, LabelApp, a.Name)
		u.SetName(name)
		if _, told := u.Object["immutable"]; !told {
			u.Object["immutable"] = true
		}
		out[objectOf(u)] = true
	}
	return out, nil
}

func configObject(kind, ns, name string) Object {
	return Object{APIVersion: "v1", Kind: kind, Namespace: ns, Name: name}
}

// versionable reports whether an object is a ConfigMap or a Secret whose
// content the manifest tells. A ServiceAccount's token is written by a
// controller, which knows it by name.
func versionable(u *unstructured.Unstructured) bool {
	o := objectOf(u)
	if !o.is("", "ConfigMap") && !o.is("", "Secret") || u.GetAnnotations()[AnnotationVersioned] == "false" {
		return false
	}
	kind, _ := u.Object["type"].(string)
	return kind != "kubernetes.io/service-account-token" && kind != "bootstrap.kubernetes.io/token"
}

// contentHash is a hash of what pods can see of a ConfigMap or Secret.
func contentHash(u *unstructured.Unstructured) string {
	return hash([]any{u.GetKind(), u.Object["type"], u.Object["data"], u.Object["binaryData"]})
}
