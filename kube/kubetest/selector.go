package kubetest

import (
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
)

// selection is what a list or watch asks for.
type selection struct {
	ns     string
	name   string
	labels labels.Selector
	fields fields.Requirements
}

func (cl *call) selector() (*selection, error) {
	s := &selection{ns: cl.ns, name: cl.name, labels: labels.Everything()}
	var err error
	if l := cl.query.Get("labelSelector"); l != "" {
		if s.labels, err = labels.Parse(l); err != nil {
			return nil, apierrors.NewBadRequest("unable to parse requirement: " + err.Error())
		}
	}
	f, err := fields.ParseSelector(cl.query.Get("fieldSelector"))
	if err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	s.fields = f.Requirements()
	for _, r := range s.fields {
		if !slices.Contains(selectable(cl.res), r.Field) {
			return nil, unknownField(cl.res, r.Field)
		}
	}
	return s, nil
}

// unknownField refuses a field label. Kinds with labels of their own say it
// in other words than those with the common two.
func unknownField(res *resource, field string) error {
	if len(selectable(res)) == 2 {
		return apierrors.NewBadRequest(fmt.Sprintf(`%q is not a known field selector: only "metadata.name", "metadata.namespace"`, field))
	}
	return apierrors.NewBadRequest("field label not supported: " + field)
}

// selectable lists the field labels that the API server supports for a kind.
func selectable(res *resource) []string {
	all := []string{"metadata.name", "metadata.namespace"}
	switch res.gvk.Kind {
	case "Pod":
		all = append(all, "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase", "status.podIP")
	case "Event":
		all = append(all, "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
			"involvedObject.apiVersion", "involvedObject.fieldPath", "reason", "type", "source", "reportingComponent")
	case "Namespace":
		all = append(all, "status.phase")
	case "Secret":
		all = append(all, "type")
	case "ReplicaSet":
		all = append(all, "status.replicas")
	case "Job":
		all = append(all, "status.successful")
	case "Service":
		all = append(all, "spec.clusterIP", "spec.type")
	case "Node":
		all = append(all, "spec.unschedulable")
	}
	return all
}

func (s *selection) matches(e *entry) bool {
	if s.ns != "" && e.key.ns != s.ns || s.name != "" && e.key.name != s.name {
		return false
	}
	if !s.labels.Matches(labels.Set(e.u.GetLabels())) {
		return false
	}
	for _, r := range s.fields {
		equal := fieldValue(e.u, r.Field) == r.Value
		if equal == (r.Operator == "!=") {
			return false
		}
	}
	return true
}

func fieldValue(u *unstructured.Unstructured, label string) string {
	if label == "source" {
		label = "source.component"
	}
	v, ok, err := unstructured.NestedFieldNoCopy(u.Object, strings.Split(label, ".")...)
	if !ok || err != nil || v == nil {
		return ""
	}
	return fmt.Sprint(v)
}
