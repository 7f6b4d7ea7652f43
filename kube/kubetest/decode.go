package kubetest

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// decode reads the object of a create or update: JSON, YAML, or protobuf for
// the kinds that client-go has types for.
func (cl *call) decode() (*unstructured.Unstructured, error) {
	switch cl.media() {
	case "application/vnd.kubernetes.protobuf":
		return decodeProto(cl.body)
	case "application/yaml":
		raw, err := yaml.YAMLToJSON(cl.body)
		if err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		return decodeJSON(raw)
	}
	return decodeJSON(cl.body)
}

func decodeJSON(raw []byte) (*unstructured.Unstructured, error) {
	var v any
	if err := utiljson.Unmarshal(raw, &v); err != nil {
		return nil, apierrors.NewBadRequest("the object provided is unrecognized (must be of type " + err.Error() + ")")
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized: a JSON object is wanted, not %T", v))
	}
	u := &unstructured.Unstructured{Object: m}
	if _, ok := m["metadata"].(map[string]any); !ok {
		m["metadata"] = map[string]any{}
	}
	return u, nil
}

func decodeProto(raw []byte) (*unstructured.Unstructured, error) {
	obj, gvk, err := scheme.Codecs.UniversalDeserializer().Decode(raw, nil, nil)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	u := &unstructured.Unstructured{Object: m}
	u.SetGroupVersionKind(*gvk)
	return u, nil
}

func decodeYAML(body []byte) (*unstructured.Unstructured, error) {
	raw, err := yaml.YAMLToJSONStrict(body)
	if err != nil {
		return nil, apierrors.NewBadRequest("error decoding YAML: " + err.Error())
	}
	return decodeJSON(raw)
}
