package kubetest

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

func (s *suite) configMap(name string, labels map[string]string) *corev1.ConfigMap {
	s.t.Helper()
	cm, err := s.client.CoreV1().ConfigMaps(s.ns).Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	s.ok(err)
	return cm
}

func (s *suite) mergeConfigMap(name, patch string) {
	s.t.Helper()
	_, err := s.client.CoreV1().ConfigMaps(s.ns).Patch(s.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	s.ok(err)
}

func readLists(s *suite) {
	for i := range 5 {
		s.configMap(fmt.Sprintf("c%d", i), map[string]string{"even": fmt.Sprint(i%2 == 0)})
	}
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	list, err := cms.List(s.ctx, metav1.ListOptions{LabelSelector: "even=true"})
	s.ok(err)
	s.equal("by label", 3, len(list.Items))
	list, err = cms.List(s.ctx, metav1.ListOptions{LabelSelector: "even in (true,false)", FieldSelector: "metadata.name=c3"})
	s.ok(err)
	s.equal("by field", 1, len(list.Items))
	_, err = cms.List(s.ctx, metav1.ListOptions{FieldSelector: "data.k=v"})
	s.refused(err, 400, metav1.StatusReasonBadRequest, "not a known field selector")
	_, err = s.client.CoreV1().Pods(s.ns).List(s.ctx, metav1.ListOptions{FieldSelector: "spec.priority=1"})
	s.refused(err, 400, metav1.StatusReasonBadRequest, "field label not supported")

	var names []string
	opts := metav1.ListOptions{Limit: 2, LabelSelector: "even"}
	for {
		page, err := cms.List(s.ctx, opts)
		s.ok(err)
		s.check(len(page.Items) <= 2, "a page of %d", len(page.Items))
		for _, cm := range page.Items {
			names = append(names, cm.Name)
		}
		if opts.Continue = page.Continue; opts.Continue == "" {
			break
		}
	}
	s.equal("pages", []string{"c0", "c1", "c2", "c3", "c4"}, names)
}

// next reads one event that is not a bookmark.
func (s *suite) next(w watch.Interface) watch.Event {
	s.t.Helper()
	late := time.NewTimer(s.timeout)
	defer late.Stop()
	for {
		select {
		case ev, ok := <-w.ResultChan():
			if !ok {
				s.t.Fatal("the watch ended")
			}
			if ev.Type != watch.Bookmark {
				return ev
			}
		case <-late.C:
			s.t.Fatalf("no event within %s", s.timeout)
		}
	}
}

func (s *suite) expect(w watch.Interface, kind watch.EventType, name string) *corev1.ConfigMap {
	s.t.Helper()
	ev := s.next(w)
	cm, ok := ev.Object.(*corev1.ConfigMap)
	if !ok || ev.Type != kind || cm.Name != name {
		s.t.Fatalf("want %s %s, got %s %+v", kind, name, ev.Type, ev.Object)
	}
	return cm
}

func watchEvents(s *suite) {
	first := s.configMap("a", nil)
	w, err := s.client.CoreV1().ConfigMaps(s.ns).Watch(s.ctx, metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	s.ok(err)
	defer w.Stop()
	s.configMap("kube", nil)
	s.expectAny(w, watch.Added, "kube")
	s.mergeConfigMap("a", `{"data":{"k":"v"}}`)
	got := s.expectAny(w, watch.Modified, "a")
	s.equal("data", "v", got.Data["k"])
	s.mergeConfigMap("a", `{"data":{"k":"v"}}`) // changes nothing, so it is not seen
	s.ok(s.client.CoreV1().ConfigMaps(s.ns).Delete(s.ctx, "a", metav1.DeleteOptions{}))
	gone := s.expectAny(w, watch.Deleted, "a")
	s.check(gone.ResourceVersion != got.ResourceVersion, "a deletion has a resourceVersion of its own")
}

// expectAny skips the ConfigMap that a genuine cluster adds to a namespace.
func (s *suite) expectAny(w watch.Interface, kind watch.EventType, name string) *corev1.ConfigMap {
	s.t.Helper()
	for {
		ev := s.next(w)
		cm, ok := ev.Object.(*corev1.ConfigMap)
		if ok && cm.Name == "kube-root-ca.crt" {
			continue
		}
		if !ok || ev.Type != kind || cm.Name != name {
			s.t.Fatalf("want %s %s, got %s %+v", kind, name, ev.Type, ev.Object)
		}
		return cm
	}
}

func watchSelection(s *suite) {
	start := s.configMap("a", map[string]string{"in": "no"})
	w, err := s.client.CoreV1().ConfigMaps(s.ns).Watch(s.ctx, metav1.ListOptions{ResourceVersion: start.ResourceVersion, LabelSelector: "in=yes"})
	s.ok(err)
	defer w.Stop()
	s.mergeConfigMap("a", `{"metadata":{"labels":{"in":"yes"}}}`)
	s.expect(w, watch.Added, "a")
	s.mergeConfigMap("a", `{"data":{"k":"v"}}`)
	s.expect(w, watch.Modified, "a")
	s.mergeConfigMap("a", `{"metadata":{"labels":{"in":"no"}}}`)
	s.expect(w, watch.Deleted, "a")
}

func watchInitial(s *suite) {
	s.configMap("a", map[string]string{"own": ""})
	s.configMap("b", map[string]string{"own": ""})
	yes := true
	w, err := s.client.CoreV1().ConfigMaps(s.ns).Watch(s.ctx, metav1.ListOptions{
		LabelSelector: "own", AllowWatchBookmarks: true, SendInitialEvents: &yes,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	s.ok(err)
	defer w.Stop()
	seen := map[string]bool{}
	late := time.NewTimer(s.timeout)
	defer late.Stop()
	for {
		select {
		case <-late.C:
			s.t.Fatal("no bookmark after the initial events")
		case ev := <-w.ResultChan():
			cm, ok := ev.Object.(*corev1.ConfigMap)
			s.check(ok, "event %s %+v", ev.Type, ev.Object)
			if ev.Type == watch.Added {
				seen[cm.Name] = true
				continue
			}
			s.equal("event", watch.Bookmark, ev.Type)
			s.equal("annotation", "true", cm.Annotations[metav1.InitialEventsAnnotationKey])
			s.equal("initial events", 2, len(seen))
			return
		}
	}
}

func deletePrecondition(s *suite) {
	cm := s.configMap("a", nil)
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	other := types.UID("other")
	err := cms.Delete(s.ctx, "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}})
	s.refused(err, 409, metav1.StatusReasonConflict)
	old := "1"
	err = cms.Delete(s.ctx, "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &old}})
	s.refused(err, 409, metav1.StatusReasonConflict)
	s.ok(cms.Delete(s.ctx, "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &cm.UID, ResourceVersion: &cm.ResourceVersion}}))
	s.refused(cms.Delete(s.ctx, "a", metav1.DeleteOptions{}), 404, metav1.StatusReasonNotFound)
}

func finalizers(s *suite) {
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	_, err := cms.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/hold"}}}, metav1.CreateOptions{})
	s.ok(err)
	s.ok(cms.Delete(s.ctx, "held", metav1.DeleteOptions{}))
	cm, err := cms.Get(s.ctx, "held", metav1.GetOptions{})
	s.ok(err)
	s.check(cm.DeletionTimestamp != nil, "no deletionTimestamp")
	s.mergeConfigMap("held", `{"metadata":{"finalizers":null}}`)
	_, err = cms.Get(s.ctx, "held", metav1.GetOptions{})
	s.refused(err, 404, metav1.StatusReasonNotFound)
}

func deleteBackground(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 2)))
	s.ok(s.client.AppsV1().Deployments(s.ns).Delete(s.ctx, "app", metav1.DeleteOptions{PropagationPolicy: pointer(metav1.DeletePropagationBackground)}))
	s.eventually("dependents are collected", func() (bool, string) {
		sets, pods := len(s.replicaSets("app")), len(s.podList("app=app"))
		return sets+pods == 0, fmt.Sprintf("%d replica sets, %d pods", sets, pods)
	})
}

func deleteOrphan(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	s.ok(s.client.AppsV1().Deployments(s.ns).Delete(s.ctx, "app", metav1.DeleteOptions{PropagationPolicy: pointer(metav1.DeletePropagationOrphan)}))
	s.eventually("the Deployment goes", func() (bool, string) {
		_, err := s.client.AppsV1().Deployments(s.ns).Get(s.ctx, "app", metav1.GetOptions{})
		return err != nil, ""
	})
	rs := s.replicaSets("app")["app:v1"]
	s.check(rs.Name != "" && len(rs.OwnerReferences) == 0, "the ReplicaSet is not an orphan: %+v", rs.OwnerReferences)
	d := s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	s.equal("the orphan is adopted", d.UID, s.replicaSets("app")["app:v1"].OwnerReferences[0].UID)
}

func deleteCollection(s *suite) {
	s.configMap("a", map[string]string{"go": "yes"})
	s.configMap("b", map[string]string{"go": "yes"})
	s.configMap("c", map[string]string{"go": "no"})
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	s.ok(cms.DeleteCollection(s.ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: "go=yes"}))
	list, err := cms.List(s.ctx, metav1.ListOptions{LabelSelector: "go"})
	s.ok(err)
	s.equal("left", 1, len(list.Items))
}

func deleteNamespace(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	s.ok(s.client.CoreV1().Namespaces().Delete(s.ctx, s.ns, metav1.DeleteOptions{}))
	s.eventually("the namespace goes", func() (bool, string) {
		_, err := s.client.CoreV1().Namespaces().Get(s.ctx, s.ns, metav1.GetOptions{})
		return err != nil, ""
	})
	_, err := s.client.AppsV1().Deployments(s.ns).Get(s.ctx, "app", metav1.GetOptions{})
	s.refused(err, 404, metav1.StatusReasonNotFound)
}
