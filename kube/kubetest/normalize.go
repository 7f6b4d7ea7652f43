package kubetest

import (
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/kubernetes/scheme"
	kjson "sigs.k8s.io/json"
)

// normalize turns an object into the form the API server stores: unknown
// fields refused or dropped, defaults set, rules checked.
func (c *Cluster) normalize(res *resource, u, old *unstructured.Unstructured, w write) error {
	if !res.typed {
		if res.gvk.Kind == "CustomResourceDefinition" {
			defaultCRD(u)
		}
		return c.refuse(res, u, validateCustom(res, u, old))
	}
	obj, err := decodeTyped(res, u, w)
	if err != nil {
		return err
	}
	c.setDefaults(obj, old)
	errs := validateMeta(res, u)
	errs = append(errs, validateTyped(obj)...)
	if old != nil && w.sub == "" {
		was, err := toTyped(res, old)
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		errs = append(errs, validateTypedUpdate(obj, was)...)
	}
	if err := c.refuse(res, u, errs); err != nil {
		return err
	}
	m, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	u.Object = m
	u.SetGroupVersionKind(res.gvk)
	return nil
}

func (c *Cluster) refuse(res *resource, u *unstructured.Unstructured, errs field.ErrorList) error {
	if len(errs) == 0 {
		return nil
	}
	name := u.GetName()
	return apierrors.NewInvalid(res.gvk.GroupKind(), name, errs)
}

// decodeTyped decodes into client-go's type. Unknown and duplicate fields are
// refused (Strict), told (Warn) or dropped.
func decodeTyped(res *resource, u *unstructured.Unstructured, w write) (runtime.Object, error) {
	if w.strict == "" && w.warnings == nil { // a controller's write
		obj, err := toTyped(res, u)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		return obj, nil
	}
	obj, err := scheme.Scheme.New(res.gvk)
	if err != nil {
		return nil, apierrors.NewInternalError(err)
	}
	strict, err := kjson.UnmarshalStrict(mustJSON(u.Object), obj)
	if err != nil {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", res.gvk.Kind, res.gvk.Version, res.gvk.Kind, err))
	}
	if len(strict) == 0 {
		return obj, nil
	}
	if w.strict == metav1.FieldValidationStrict {
		said := make([]string, len(strict))
		for i, e := range strict {
			said[i] = e.Error()
		}
		return nil, apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: strict decoding error: %s",
			res.gvk.Kind, res.gvk.Version, res.gvk.Kind, strings.Join(said, ", ")))
	}
	if w.strict != metav1.FieldValidationIgnore && w.warnings != nil {
		for _, e := range strict {
			*w.warnings = append(*w.warnings, e.Error())
		}
	}
	return obj, nil
}

func toTyped(res *resource, u *unstructured.Unstructured) (runtime.Object, error) {
	obj, err := scheme.Scheme.New(res.gvk)
	if err != nil {
		return nil, err
	}
	return obj, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, obj)
}

// validateMeta applies the name rules of the kind and the label and
// annotation rules of all kinds.
func validateMeta(res *resource, u *unstructured.Unstructured) field.ErrorList {
	at := field.NewPath("metadata")
	var errs field.ErrorList
	if u.GetName() == "" {
		return field.ErrorList{field.Required(at.Child("name"), "name or generateName is required")}
	}
	for _, problem := range nameRule(res)(u.GetName()) {
		errs = append(errs, field.Invalid(at.Child("name"), u.GetName(), problem))
	}
	for k, v := range u.GetLabels() {
		for _, problem := range utilvalidation.IsQualifiedName(k) {
			errs = append(errs, field.Invalid(at.Child("labels"), k, problem))
		}
		for _, problem := range utilvalidation.IsValidLabelValue(v) {
			errs = append(errs, field.Invalid(at.Child("labels"), v, problem))
		}
	}
	errs = append(errs, validation.ValidateAnnotations(u.GetAnnotations(), at.Child("annotations"))...)
	errs = append(errs, validation.ValidateOwnerReferences(u.GetOwnerReferences(), at.Child("ownerReferences"))...)
	for _, f := range u.GetFinalizers() {
		errs = append(errs, validation.ValidateFinalizerName(f, at.Child("finalizers"))...)
	}
	return errs
}

func nameRule(res *resource) func(string) []string {
	switch res.gvk.Kind {
	case "Namespace":
		return utilvalidation.IsDNS1123Label
	case "Service":
		return utilvalidation.IsDNS1123Label
	case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding":
		return content.IsPathSegmentName
	}
	return utilvalidation.IsDNS1123Subdomain
}

func invalid(res *resource, name, at string, value any, problem string) error {
	return apierrors.NewInvalid(res.gvk.GroupKind(), name, field.ErrorList{field.Invalid(field.NewPath(at), value, problem)})
}

// validateCustom checks a custom resource: its metadata, and that its kind's
// spec does not lose its name. Schemas are not enforced.
func validateCustom(res *resource, u, _ *unstructured.Unstructured) field.ErrorList {
	return validateMeta(res, u)
}
