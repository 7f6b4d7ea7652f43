package kube

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// Manifests are the objects of an App as their author wrote them. The zero
// value is empty. It is immutable; mistakes are kept and reported all at once
// by Err, which an App asks before it sends anything.
type Manifests struct {
	docs []document
	errs []error
}

type document struct {
	source string
	number int
	object *unstructured.Unstructured
}

// FS reads the files of fsys that match the patterns of fs.Glob, such as
// "deploy/*.yaml", in lexical order. Without patterns it reads "*.yaml". A
// pattern that matches nothing is an error.
func FS(fsys fs.FS, patterns ...string) Manifests {
	var m Manifests
	for name, data := range readFiles(fsys, patterns, &m) {
		m = m.With(YAML(name, data))
	}
	return m
}

// YAML reads the documents of one YAML or JSON text, separated by "---" or "...". Empty
// documents are skipped and a List stands for its items. source names the text
// in errors. Duplicate keys are errors; fields that the kind does not have are
// refused by the API server before anything is written.
func YAML(source string, data []byte) Manifests {
	var m Manifests
	r := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data)))
	for n := 1; ; n++ {
		text, err := r.Read()
		if errors.Is(err, io.EOF) {
			return m
		}
		if err != nil {
			m.errs = append(m.errs, &ManifestError{Source: source, Document: n, Err: err})
			return m
		}
		first, more := ended(text)
		m.document(source, n, first)
		for len(more) > 0 {
			n++
			first, more = ended(more)
			m.document(source, n, first)
		}
	}
}

// endOfDocument is "..." on a line of its own (YAML 1.2, 9.1.4), after which another
// document may follow without "---".
var endOfDocument = regexp.MustCompile(`(?m)^\.\.\.(?:[ \t].*)?\r?$`)

// blank is what may stand between documents: comments and directives.
var blank = regexp.MustCompile(`^(?:[ \t]*(?:#.*)?\r?(?:\n|$)|%.*(?:\n|$))*$`)

// ended returns the first document of a text and what follows its end, if that is
// anything.
func ended(text []byte) (first, more []byte) {
	at := endOfDocument.FindIndex(text)
	if at == nil {
		return text, nil
	}
	if more = text[at[1]:]; blank.Match(more) {
		more = nil
	}
	return text[:at[0]], more
}

func (m *Manifests) document(source string, n int, text []byte) {
	raw, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		m.errs = append(m.errs, &ManifestError{Source: source, Document: n, Err: fmt.Errorf("%w: %w", ErrInvalid, err)})
		return
	}
	if string(bytes.TrimSpace(raw)) != "null" {
		m.add(source, n, raw)
	}
}

// Objects takes typed objects, such as *appsv1.Deployment, or untyped ones. The
// kind of a type that client-go knows need not be set.
func Objects(objects ...runtime.Object) Manifests {
	var m Manifests
	for i, o := range objects {
		raw, err := typedJSON(o)
		if err != nil {
			m.errs = append(m.errs, &ManifestError{Source: "object", Document: i + 1, Err: fmt.Errorf("%w: %w", ErrInvalid, err)})
			continue
		}
		m.add("object", i+1, raw)
	}
	return m
}

func typedJSON(o runtime.Object) ([]byte, error) {
	if v := reflect.ValueOf(o); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, errors.New("it is nil")
	}
	if gvk := o.GetObjectKind().GroupVersionKind(); gvk.Empty() {
		kinds, _, err := scheme.Scheme.ObjectKinds(o)
		if err != nil {
			return nil, fmt.Errorf("%T: set its apiVersion and kind", o)
		}
		o = o.DeepCopyObject()
		o.GetObjectKind().SetGroupVersionKind(kinds[0])
	}
	return json.Marshal(o)
}

// With returns the manifests of m followed by those of others.
func (m Manifests) With(others ...Manifests) Manifests {
	out := Manifests{docs: slices.Clone(m.docs), errs: slices.Clone(m.errs)}
	for _, o := range others {
		out.docs = append(out.docs, o.docs...)
		out.errs = append(out.errs, o.errs...)
	}
	return out
}

// Err returns every mistake found so far, each as a *ManifestError.
func (m Manifests) Err() error { return errors.Join(m.errs...) }

// Len returns the number of objects.
func (m Manifests) Len() int { return len(m.docs) }

func (m *Manifests) add(source string, n int, raw []byte) {
	fail := func(object string, format string, args ...any) {
		m.errs = append(m.errs, &ManifestError{Source: source, Document: n, Object: object,
			Err: fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...)})
	}
	var probe struct {
		Kind  string          `json:"kind"`
		Items json.RawMessage `json:"items"`
	}
	if err := json.Unmarshal(raw, &probe); err != nil {
		fail("", "it is not an object")
		return
	}
	if probe.Kind == "List" {
		var list []json.RawMessage
		if len(probe.Items) > 0 && json.Unmarshal(probe.Items, &list) != nil {
			fail("List", "items is no list")
		}
		for _, item := range list {
			m.add(source, n, item)
		}
		return
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(raw); err != nil {
		fail("", "%v", err)
		return
	}
	name := u.GetKind() + " " + u.GetName()
	switch {
	case u.GetAPIVersion() == "":
		fail(name, "apiVersion is missing")
		return
	case u.GetName() == "":
		fail(name, "metadata.name is missing; a generated name cannot be applied twice")
		return
	case u.GetResourceVersion() != "" || u.GetUID() != "" || u.GetManagedFields() != nil:
		fail(name, "metadata has fields that only the server sets (resourceVersion, uid, managedFields); export it without them")
		return
	}
	if field := notText(u.Object); field != "" {
		fail(name, "%s must be a string; put it in quotes", field)
		return
	}
	delete(u.Object, "status")
	encodeStrings(u)
	unstructured.RemoveNestedField(u.Object, "metadata", "creationTimestamp")
	unstructured.RemoveNestedField(u.Object, "spec", "template", "metadata", "creationTimestamp")
	m.docs = append(m.docs, document{source: source, number: n, object: u})
}

// notText is the first label or annotation, of the object or of its pods, that is
// no string: others could not be added to it.
func notText(obj map[string]any) string {
	for _, path := range [][]string{{"metadata"}, {"spec", "template", "metadata"}} {
		for _, field := range []string{"labels", "annotations"} {
			v, _, _ := unstructured.NestedFieldNoCopy(obj, append(path, field)...)
			m, isMap := v.(map[string]any)
			if v != nil && !isMap {
				return strings.Join(append(path, field), ".") + ", each value,"
			}
			for _, k := range slices.Sorted(maps.Keys(m)) {
				if _, ok := m[k].(string); !ok {
					return strings.Join(append(path, field, k), ".")
				}
			}
		}
	}
	return ""
}

// encodeStrings moves a Secret's stringData into data, as the API server does
// when it stores it. Server-side apply would otherwise not know that a field
// manager owns these values, and could not take them back.
func encodeStrings(u *unstructured.Unstructured) {
	texts := stringMap(u.Object, "stringData")
	if u.GetKind() != "Secret" || u.GetAPIVersion() != "v1" || len(texts) == 0 {
		return
	}
	data, _, _ := unstructured.NestedMap(u.Object, "data")
	if data == nil {
		data = map[string]any{}
	}
	for k, v := range texts {
		data[k] = base64.StdEncoding.EncodeToString([]byte(v))
	}
	u.Object["data"] = data
	delete(u.Object, "stringData")
}

// Mistake returns Manifests without objects that report err for source. Sources
// of manifests outside this package use it, as package kustomize does.
func Mistake(source string, err error) Manifests {
	return Manifests{errs: []error{&ManifestError{Source: source, Err: err}}}
}
