package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
)

// fieldTree is a set of fields as managedFields writes it (FieldsV1): "f:name"
// is a field, "k:{…}" a list item by its keys, "v:…" an item by its value, "."
// the item itself; an empty tree is a leaf, owned as a whole.
type fieldTree map[string]any

// ownedFields returns what a field manager owns by applying.
func ownedFields(u *unstructured.Unstructured, manager string) fieldTree {
	for _, e := range u.GetManagedFields() {
		if e.Manager != manager || e.Operation != metav1.ManagedFieldsOperationApply || e.Subresource != "" || e.FieldsV1 == nil {
			continue
		}
		var t fieldTree
		if json.Unmarshal(e.FieldsV1.GetRawBytes(), &t) == nil {
			return t
		}
	}
	return nil
}

// union returns the fields of a or b. Of a leaf and a deeper tree it takes the
// deeper one: the leaf is then an empty map whose members others may own.
func union(a, b map[string]any) map[string]any {
	if len(a) == 0 {
		return b
	}
	out := maps.Clone(a)
	for k, v := range b {
		sub, _ := v.(map[string]any)
		if old, ok := out[k].(map[string]any); ok {
			sub = union(old, sub)
		}
		out[k] = sub
	}
	return out
}

// extract copies from a value the fields that a tree names. What does not
// exist is left out.
func extract(value any, fields map[string]any) any {
	if len(fields) == 0 {
		return runtime.DeepCopyJSONValue(value)
	}
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for k, sub := range fields {
			name, ok := strings.CutPrefix(k, "f:")
			if child, exists := v[name]; ok && exists {
				out[name] = extract(child, asTree(sub))
			}
		}
		return out
	case []any:
		return extractItems(v, fields)
	}
	return value
}

func extractItems(items []any, fields map[string]any) []any {
	out := []any{}
	for _, item := range items {
		for k, sub := range fields {
			if matches(item, k) {
				got := extract(item, asTree(sub))
				if m, ok := got.(map[string]any); ok {
					maps.Copy(m, itemKeys(k))
				}
				out = append(out, got)
				break
			}
		}
	}
	return out
}

func asTree(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}

// itemKeys returns the keys of a "k:" element.
func itemKeys(element string) map[string]any {
	text, ok := strings.CutPrefix(element, "k:")
	if !ok {
		return nil
	}
	u := &struct{ M map[string]any }{}
	if err := decodeJSON([]byte(text), &u.M); err != nil {
		return nil
	}
	return u.M
}

// matches reports whether a list item is the one that an element names.
func matches(item any, element string) bool {
	if text, ok := strings.CutPrefix(element, "v:"); ok {
		var want any
		return decodeJSON([]byte(text), &want) == nil && reflect.DeepEqual(item, want)
	}
	keys := itemKeys(element)
	m, ok := item.(map[string]any)
	if !ok || len(keys) == 0 {
		return false
	}
	for k, want := range keys {
		if !reflect.DeepEqual(m[k], want) {
			return false
		}
	}
	return true
}

// decodeJSON decodes an untyped object, or a part of one, as a client does: whole
// numbers are int64, however large.
func decodeJSON(data []byte, v any) error { return utiljson.Unmarshal(data, v) }

// differences lists the paths in which a and b differ, at most ten. It never
// returns values.
func differences(a, b any) []string {
	var out []string
	walkFields("", a, b, func(path string, _, _ any) { out = append(out, path) })
	slices.Sort(out)
	if len(out) > 10 {
		out = out[:10]
	}
	return out
}

// walkFields calls f for each path in which a and b differ, as deep as both
// have the same shape; nil stands for what is absent.
func walkFields(path string, a, b any, f func(path string, a, b any)) {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		for k := range x {
			walkFields(path+"."+k, x[k], y[k], f)
		}
		for k := range y {
			if _, ok := x[k]; !ok {
				f(path+"."+k, nil, y[k])
			}
		}
		return
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		for i := range x {
			walkFields(fmt.Sprintf("%s[%d]", path, i), x[i], y[i], f)
		}
		return
	}
	if !reflect.DeepEqual(a, b) {
		f(path, a, b)
	}
}

// changed reports whether applying would change more than bookkeeping: live
// and applied are compared without what the server counts and without our own
// annotations.
func changed(live, applied *unstructured.Unstructured) bool {
	return !reflect.DeepEqual(substance(live), substance(applied))
}

func substance(u *unstructured.Unstructured) map[string]any {
	c := u.DeepCopy()
	for _, f := range []string{"managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"} {
		unstructured.RemoveNestedField(c.Object, "metadata", f)
	}
	delete(c.Object, "status")
	notes := c.GetAnnotations()
	maps.DeleteFunc(notes, func(k, _ string) bool { return strings.HasPrefix(k, Prefix) })
	if len(notes) == 0 {
		notes = nil
	}
	c.SetAnnotations(notes)
	return c.Object
}
