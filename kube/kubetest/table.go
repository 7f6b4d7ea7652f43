package kubetest

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
)

// column is one column that kubectl shows.
type column struct {
	name string
	cell func(*unstructured.Unstructured) any
}

// tableWanted tells whether a client prefers a table, and of which version.
func tableWanted(accept string) (version string, ok bool) {
	first, _, _ := strings.Cut(accept, ",")
	if !strings.Contains(first, "as=Table") {
		return "", false
	}
	if strings.Contains(first, "v=v1beta1") {
		return "v1beta1", true
	}
	return "v1", true
}

// table lays objects out as kubectl prints them.
func (r *resource) table(version string, list []*entry, head *listHead) metav1.Table {
	t := metav1.Table{TypeMeta: metav1.TypeMeta{Kind: "Table", APIVersion: "meta.k8s.io/" + version}, Rows: []metav1.TableRow{}}
	if head != nil {
		t.ResourceVersion, t.Continue, t.RemainingItemCount = head.ResourceVersion, head.Continue, head.RemainingItemCount
	} else if len(list) == 1 {
		t.ResourceVersion = list[0].u.GetResourceVersion()
	}
	cols := append([]column{{"Name", func(u *unstructured.Unstructured) any { return u.GetName() }}}, columnsOf(r)...)
	cols = append(cols, column{"Age", age})
	for i, col := range cols {
		def := metav1.TableColumnDefinition{Name: col.name, Type: "string"}
		if i == 0 {
			def.Format = "name"
		}
		t.ColumnDefinitions = append(t.ColumnDefinitions, def)
	}
	for _, e := range list {
		row := metav1.TableRow{}
		for _, col := range cols {
			row.Cells = append(row.Cells, col.cell(e.u))
		}
		row.Object = runtime.RawExtension{Raw: partial(e.u)}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func age(u *unstructured.Unstructured) any {
	return duration.HumanDuration(now().Sub(u.GetCreationTimestamp().Time))
}

// partial is the object's metadata, which kubectl needs beside the cells.
func partial(u *unstructured.Unstructured) json.RawMessage {
	return mustJSON(map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": u.Object["metadata"]})
}

// columnsOf lists what is shown of a kind between name and age.
func columnsOf(r *resource) []column {
	num := func(path ...string) func(*unstructured.Unstructured) any {
		return func(u *unstructured.Unstructured) any { return number(u, path...) }
	}
	text := func(path ...string) func(*unstructured.Unstructured) any {
		return func(u *unstructured.Unstructured) any { return cmpOr(fieldValue(u, strings.Join(path, ".")), "<none>") }
	}
	of := func(have, want []string) func(*unstructured.Unstructured) any {
		return func(u *unstructured.Unstructured) any {
			return fmt.Sprintf("%d/%d", number(u, have...), number(u, want...))
		}
	}
	switch r.gr() {
	case pods:
		return []column{{"Ready", podReadyCell}, {"Status", podStatusCell}, {"Restarts", podRestartsCell}}
	case deployments:
		return []column{
			{"Ready", of([]string{"status", "readyReplicas"}, []string{"spec", "replicas"})},
			{"Up-to-date", num("status", "updatedReplicas")}, {"Available", num("status", "availableReplicas")},
		}
	case replicaSets:
		return []column{
			{"Desired", num("spec", "replicas")}, {"Current", num("status", "replicas")}, {"Ready", num("status", "readyReplicas")},
		}
	case statefulSets:
		return []column{{"Ready", of([]string{"status", "readyReplicas"}, []string{"spec", "replicas"})}}
	case services:
		return []column{{"Type", text("spec", "type")}, {"Cluster-IP", text("spec", "clusterIP")}}
	case eventsKind:
		return []column{
			{"Type", text("type")}, {"Reason", text("reason")}, {"Object", text("involvedObject", "name")}, {"Message", text("message")},
		}
	case namespaces:
		return []column{{"Status", text("status", "phase")}}
	}
	return nil
}

func number(u *unstructured.Unstructured, path ...string) int64 {
	n, _, _ := unstructured.NestedInt64(u.Object, path...)
	return n
}

func containerStatuses(u *unstructured.Unstructured) []map[string]any {
	list, _, _ := unstructured.NestedSlice(u.Object, "status", "containerStatuses")
	var out []map[string]any
	for _, v := range list {
		if m, ok := v.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func podReadyCell(u *unstructured.Unstructured) any {
	ready := 0
	list, _, _ := unstructured.NestedSlice(u.Object, "spec", "containers")
	for _, s := range containerStatuses(u) {
		if s["ready"] == true {
			ready++
		}
	}
	return fmt.Sprintf("%d/%d", ready, len(list))
}

func podStatusCell(u *unstructured.Unstructured) any {
	if u.GetDeletionTimestamp() != nil {
		return "Terminating"
	}
	for _, s := range containerStatuses(u) {
		if reason, _, _ := unstructured.NestedString(s, "state", "waiting", "reason"); reason != "" {
			return reason
		}
		if reason, _, _ := unstructured.NestedString(s, "state", "terminated", "reason"); reason != "" {
			return reason
		}
	}
	return fieldValue(u, "status.phase")
}

func podRestartsCell(u *unstructured.Unstructured) any {
	most := int64(0)
	for _, s := range containerStatuses(u) {
		n, _ := s["restartCount"].(int64)
		most = max(most, n)
	}
	return fmt.Sprint(most)
}
