package kubetest

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func (s *suite) slices(service string) []discoveryv1.EndpointSlice {
	s.t.Helper()
	list, err := s.client.DiscoveryV1().EndpointSlices(s.ns).List(s.ctx, metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	s.ok(err)
	return list.Items
}

// readyPods returns the names of the pods that a Service sends traffic to.
func (s *suite) readyPods(service string) map[string]bool {
	s.t.Helper()
	names := map[string]bool{}
	for _, sl := range s.slices(service) {
		for _, ep := range sl.Endpoints {
			if ep.Conditions.Ready != nil && *ep.Conditions.Ready && ep.TargetRef != nil {
				names[ep.TargetRef.Name] = true
			}
		}
	}
	return names
}

func (s *suite) endpointsAre(service, app string, n int) {
	s.t.Helper()
	s.eventually("endpoints of "+service, func() (bool, string) {
		got := s.readyPods(service)
		for _, p := range s.podList("app=" + app) {
			if !got[p.Name] {
				return false, fmt.Sprintf("%s misses %s", service, p.Name)
			}
		}
		return len(got) == n, fmt.Sprint(got)
	})
}

func endpointFlip(s *suite) {
	s.rolledOut(s.create(s.deploy("blue", "app:v1", 3)))
	s.rolledOut(s.create(s.deploy("green", "app:v2", 3)))
	s.service("front", map[string]string{"app": "blue"})
	s.endpointsAre("front", "blue", 3)
	before := s.slices("front")
	s.equal("slices", 1, len(before))
	s.equal("port", int32(8080), *before[0].Ports[0].Port)
	s.equal("managed by", sliceManager, before[0].Labels[discoveryv1.LabelManagedBy])
	_, err := s.client.CoreV1().Services(s.ns).Patch(s.ctx, "front", types.MergePatchType, []byte(`{"spec":{"selector":{"app":"green"}}}`), metav1.PatchOptions{})
	s.ok(err)
	s.endpointsAre("front", "green", 3)
	after := s.slices("front")
	s.equal("slices after the flip", 1, len(after))
	s.equal("the slice is reused", before[0].UID, after[0].UID)
}

func endpointPlaceholder(s *suite) {
	s.service("front", map[string]string{"app": "nobody"})
	s.eventually("an empty slice", func() (bool, string) {
		got := s.slices("front")
		return len(got) == 1 && len(got[0].Endpoints) == 0, fmt.Sprintf("%+v", got)
	})
}

func (s *suite) job(image string, backoff int32) *batchv1.Job {
	t := template(nil, image)
	t.Spec.RestartPolicy = corev1.RestartPolicyNever
	j, err := s.client.BatchV1().Jobs(s.ns).Create(s.ctx, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "task"},
		Spec:       batchv1.JobSpec{BackoffLimit: &backoff, Template: t},
	}, metav1.CreateOptions{})
	s.ok(err)
	return j
}

func (s *suite) finished() *batchv1.Job {
	s.t.Helper()
	var j *batchv1.Job
	s.eventually("the job ends", func() (bool, string) {
		var err error
		j, err = s.client.BatchV1().Jobs(s.ns).Get(s.ctx, "task", metav1.GetOptions{})
		s.ok(err)
		return jobFinished(j) != nil, fmt.Sprintf("%+v", j.Status)
	})
	return j
}

func jobCompletes(s *suite) {
	s.job("task:v1-runfor_50ms", 0)
	j := s.finished()
	s.equal("condition", batchv1.JobComplete, jobFinished(j).Type)
	s.equal("succeeded", int32(1), j.Status.Succeeded)
	s.check(j.Status.CompletionTime != nil, "no completion time")
	p := s.podList("batch.kubernetes.io/job-name=task")
	s.equal("pods", 1, len(p))
	s.equal("phase", corev1.PodSucceeded, p[0].Status.Phase)
}

func jobFails(s *suite) {
	s.job("task:v1-exit_3", 0)
	j := s.finished()
	s.equal("condition", batchv1.JobFailed, jobFinished(j).Type)
	s.equal("reason", "BackoffLimitExceeded", jobFinished(j).Reason)
	p := s.podList("batch.kubernetes.io/job-name=task")
	s.equal("exit code", int32(3), p[0].Status.ContainerStatuses[0].State.Terminated.ExitCode)
}

func statefulRollout(s *suite) {
	sets := s.client.AppsV1().StatefulSets(s.ns)
	labels := map[string]string{"app": "db"}
	_, err := sets.Create(s.ctx, &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: "db"},
		Spec: appsv1.StatefulSetSpec{
			Replicas: pointer[int32](3), ServiceName: "db",
			Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, "db:v1"),
		},
	}, metav1.CreateOptions{})
	s.ok(err)
	settled := func(updated int32) *appsv1.StatefulSet {
		var st *appsv1.StatefulSet
		s.eventually("the StatefulSet", func() (bool, string) {
			st, err = sets.Get(s.ctx, "db", metav1.GetOptions{})
			s.ok(err)
			return st.Status.ObservedGeneration == st.Generation && st.Status.ReadyReplicas == 3 && st.Status.UpdatedReplicas == updated, fmt.Sprintf("%+v", st.Status)
		})
		return st
	}
	st := settled(3)
	s.equal("revision", st.Status.CurrentRevision, st.Status.UpdateRevision)
	_, err = sets.Patch(s.ctx, "db", types.StrategicMergePatchType, []byte(`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}},"template":{"spec":{"containers":[{"name":"app","image":"db:v2"}]}}}}`), metav1.PatchOptions{})
	s.ok(err)
	st = settled(1)
	s.check(st.Status.CurrentRevision != st.Status.UpdateRevision, "a partitioned update ended")
	for _, p := range s.podList("app=db") {
		want := "db:v1"
		if p.Name == "db-2" {
			want = "db:v2"
		}
		s.equal("image of "+p.Name, want, p.Spec.Containers[0].Image)
	}
	_, err = sets.Patch(s.ctx, "db", types.StrategicMergePatchType, []byte(`{"spec":{"updateStrategy":{"rollingUpdate":{"partition":0}}}}`), metav1.PatchOptions{})
	s.ok(err)
	settled(3)
	s.eventually("the revisions agree", func() (bool, string) {
		st, err = sets.Get(s.ctx, "db", metav1.GetOptions{})
		s.ok(err)
		return st.Status.CurrentRevision == st.Status.UpdateRevision, ""
	})
}

func daemonRollout(s *suite) {
	sets := s.client.AppsV1().DaemonSets(s.ns)
	labels := map[string]string{"app": "agent"}
	_, err := sets.Create(s.ctx, &appsv1.DaemonSet{
		ObjectMeta: metav1.ObjectMeta{Name: "agent"},
		Spec:       appsv1.DaemonSetSpec{Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, "agent:v1")},
	}, metav1.CreateOptions{})
	s.ok(err)
	rolled := func() {
		s.eventually("the DaemonSet", func() (bool, string) {
			ds, err := sets.Get(s.ctx, "agent", metav1.GetOptions{})
			s.ok(err)
			st := ds.Status
			return st.ObservedGeneration == ds.Generation && st.DesiredNumberScheduled > 0 &&
				st.UpdatedNumberScheduled == st.DesiredNumberScheduled && st.NumberAvailable == st.DesiredNumberScheduled, fmt.Sprintf("%+v", st)
		})
	}
	rolled()
	_, err = sets.Patch(s.ctx, "agent", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"agent:v2"}]}}}}`), metav1.PatchOptions{})
	s.ok(err)
	rolled()
	for _, p := range s.podList("app=agent") {
		s.check(p.DeletionTimestamp != nil || p.Spec.Containers[0].Image == "agent:v2", "an old pod stays: %s", p.Name)
	}
}

// customKind defines a kind, and checks what every custom resource has.
func customKind(s *suite) {
	group := "g" + s.ns[len("conformance-"):] + ".example.com"
	defs := s.dynamic.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	open := map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}
	_, err := defs.Create(s.ctx, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
		"metadata": map[string]any{"name": "gadgets." + group},
		"spec": map[string]any{
			"group": group, "scope": "Namespaced", "names": map[string]any{"plural": "gadgets", "kind": "Gadget"},
			"versions": []any{map[string]any{
				"name": "v1", "served": true, "storage": true, "subresources": map[string]any{"status": map[string]any{}},
				"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{"spec": open, "status": open}}},
			}},
		},
	}}, metav1.CreateOptions{})
	s.ok(err)
	defer func() { _ = defs.Delete(s.ctx, "gadgets."+group, metav1.DeleteOptions{}) }()
	gadgets := s.dynamic.Resource(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "gadgets"}).Namespace(s.ns)
	s.eventually("the kind is served", func() (bool, string) {
		_, err := gadgets.List(s.ctx, metav1.ListOptions{})
		return err == nil, fmt.Sprint(err)
	})
	apply := func(manager string, size int64) (*unstructured.Unstructured, error) {
		return gadgets.Apply(s.ctx, "one", &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": group + "/v1", "kind": "Gadget", "metadata": map[string]any{"name": "one"},
			"spec": map[string]any{"size": size},
		}}, metav1.ApplyOptions{FieldManager: manager})
	}
	_, err = apply("release", 1)
	s.ok(err)
	_, err = apply("other", 2)
	s.refused(err, 409, metav1.StatusReasonConflict, `conflict with "release"`)
	g, err := apply("release", 2)
	s.ok(err)
	s.equal("generation", int64(2), g.GetGeneration())
	g.Object["status"] = map[string]any{"done": true}
	g, err = gadgets.UpdateStatus(s.ctx, g, metav1.UpdateOptions{})
	s.ok(err)
	s.equal("generation", int64(2), g.GetGeneration())
	g.SetResourceVersion("")
	_, err = gadgets.Update(s.ctx, g, metav1.UpdateOptions{})
	s.refused(err, 422, metav1.StatusReasonInvalid, "must be specified for an update")
}

func eviction(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 2)))
	_, err := s.client.PolicyV1().PodDisruptionBudgets(s.ns).Create(s.ctx, &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "app"},
		Spec: policyv1.PodDisruptionBudgetSpec{
			MinAvailable: pointer(intstr.FromInt32(2)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "app"}},
		},
	}, metav1.CreateOptions{})
	s.ok(err)
	s.eventually("the budget is computed", func() (bool, string) {
		b, err := s.client.PolicyV1().PodDisruptionBudgets(s.ns).Get(s.ctx, "app", metav1.GetOptions{})
		s.ok(err)
		return b.Status.CurrentHealthy == 2 && b.Status.ObservedGeneration == b.Generation, fmt.Sprintf("%+v", b.Status)
	})
	victim := s.podList("app=app")[0].Name
	ev := &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: victim, Namespace: s.ns}}
	err = s.client.PolicyV1().Evictions(s.ns).Evict(s.ctx, ev)
	s.refused(err, 429, metav1.StatusReasonTooManyRequests, "disruption budget")
	s.ok(s.client.PolicyV1().PodDisruptionBudgets(s.ns).Delete(s.ctx, "app", metav1.DeleteOptions{}))
	s.eventually("the eviction", func() (bool, string) {
		err := s.client.PolicyV1().Evictions(s.ns).Evict(s.ctx, ev)
		return err == nil, fmt.Sprint(err)
	})
}

func podQuota(s *suite) {
	_, err := s.client.CoreV1().ResourceQuotas(s.ns).Create(s.ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: apiresource.MustParse("1")}},
	}, metav1.CreateOptions{})
	s.ok(err)
	s.eventually("the quota is enforced", func() (bool, string) {
		q, err := s.client.CoreV1().ResourceQuotas(s.ns).Get(s.ctx, "small", metav1.GetOptions{})
		s.ok(err)
		return len(q.Status.Hard) > 0, fmt.Sprintf("%+v", q.Status)
	})
	s.create(s.deploy("app", "app:v1", 2))
	s.eventually("ReplicaFailure", func() (bool, string) {
		c := conditionOf(s.get("app"), appsv1.DeploymentReplicaFailure)
		return c.Status == corev1.ConditionTrue && c.Reason == "FailedCreate", fmt.Sprintf("%+v", s.get("app").Status)
	})
	s.hasEvent("ReplicaSet", "FailedCreate", "exceeded quota")
}
