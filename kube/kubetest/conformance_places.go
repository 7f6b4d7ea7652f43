package kubetest

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// statefulBlocked: the controller of a StatefulSet waits for a pod that can never
// become ready, also after its template was taken back, until the pod is deleted.
func statefulBlocked(s *suite) {
	sets := s.client.AppsV1().StatefulSets(s.ns)
	labels := map[string]string{"app": "db"}
	_, err := sets.Create(s.ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "db"}, Spec: appsv1.StatefulSetSpec{
		Replicas: pointer[int32](2), ServiceName: "db",
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, "db:v1"),
	}}, metav1.CreateOptions{})
	s.ok(err)
	ready := func() {
		s.t.Helper()
		s.eventually("the StatefulSet", func() (bool, string) {
			st, err := sets.Get(s.ctx, "db", metav1.GetOptions{})
			s.ok(err)
			return st.Status.ObservedGeneration == st.Generation && st.Status.ReadyReplicas == 2 && st.Status.UpdatedReplicas == 2, fmt.Sprintf("%+v", st.Status)
		})
	}
	ready()
	image := func(name string) {
		s.t.Helper()
		_, err := sets.Patch(s.ctx, "db", types.StrategicMergePatchType, fmt.Appendf(nil, `{"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, name), metav1.PatchOptions{})
		s.ok(err)
	}
	image("db:v2-imagepull")
	s.waitingFor("app=db", "ErrImagePull", "ImagePullBackOff")
	image("db:v1")
	s.eventually("the change is seen", func() (bool, string) {
		st, err := sets.Get(s.ctx, "db", metav1.GetOptions{})
		s.ok(err)
		return st.Status.ObservedGeneration == st.Generation, fmt.Sprintf("%+v", st.Status)
	})
	time.Sleep(2 * time.Second)
	s.eventually("the pod that blocks is deleted", func() (bool, string) {
		broken, err := s.client.CoreV1().Pods(s.ns).Get(s.ctx, "db-1", metav1.GetOptions{})
		s.ok(err)
		s.equal("the pod that blocks", "db:v2-imagepull", broken.Spec.Containers[0].Image)
		err = s.client.CoreV1().Pods(s.ns).Delete(s.ctx, "db-1", metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &broken.UID, ResourceVersion: &broken.ResourceVersion},
		})
		if apierrors.IsConflict(err) {
			return false, err.Error() // its status has just been written
		}
		s.ok(err)
		return true, ""
	})
	ready()
}

// daemonStops: a DaemonSet replaces no pods while it updates on delete, takes a
// surge, and has no pods where no node is selected.
func daemonStops(s *suite) {
	sets := s.client.AppsV1().DaemonSets(s.ns)
	labels := map[string]string{"app": "agent"}
	_, err := sets.Create(s.ctx, &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Name: "agent"}, Spec: appsv1.DaemonSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, "agent:v1"),
	}}, metav1.CreateOptions{})
	s.ok(err)
	patch := func(text string) {
		s.t.Helper()
		_, err := sets.Patch(s.ctx, "agent", types.StrategicMergePatchType, []byte(text), metav1.PatchOptions{})
		s.ok(err)
	}
	state := func(what string, is func(appsv1.DaemonSetStatus) bool) {
		s.t.Helper()
		s.eventually(what, func() (bool, string) {
			ds, err := sets.Get(s.ctx, "agent", metav1.GetOptions{})
			s.ok(err)
			return ds.Status.ObservedGeneration == ds.Generation && is(ds.Status), fmt.Sprintf("%+v", ds.Status)
		})
	}
	rolled := func(st appsv1.DaemonSetStatus) bool {
		return st.DesiredNumberScheduled > 0 && st.UpdatedNumberScheduled == st.DesiredNumberScheduled && st.NumberAvailable == st.DesiredNumberScheduled
	}
	state("the DaemonSet", rolled)
	patch(`{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null},"template":{"spec":{"containers":[{"name":"app","image":"agent:v2"}]}}}}`)
	state("the new template is seen", func(st appsv1.DaemonSetStatus) bool { return st.UpdatedNumberScheduled == 0 })
	for _, p := range s.podList("app=agent") {
		s.equal("image of "+p.Name, "agent:v1", p.Spec.Containers[0].Image)
	}
	patch(`{"spec":{"updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1,"maxUnavailable":0}}}}`)
	state("the update", rolled)
	patch(`{"spec":{"template":{"spec":{"nodeSelector":{"no-such-label":"anywhere"}}}}}`)
	state("no node is selected", func(st appsv1.DaemonSetStatus) bool { return st.DesiredNumberScheduled == 0 })
	s.eventually("the pods go", func() (bool, string) {
		left := s.podList("app=agent")
		return len(left) == 0, fmt.Sprint(len(left))
	})
}
