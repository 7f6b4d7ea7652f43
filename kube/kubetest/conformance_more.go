package kubetest

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// defaultAccount: a namespace gets its ServiceAccount some time after it is there.
func defaultAccount(s *suite) {
	s.eventually("default ServiceAccount", func() (bool, string) {
		_, err := s.client.CoreV1().ServiceAccounts(s.ns).Get(s.ctx, "default", metav1.GetOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

// applyAfterEdit: who edits a field takes it from who applied it, and is named
// when that one applies another value.
func applyAfterEdit(s *suite) {
	d, err := s.applyAs("release", false, shopManifest("app:v1", "replicas: 0"))
	s.ok(err)
	s.eventually("the edit", func() (bool, string) {
		d = s.get("app")
		d.Spec.Template.Spec.Containers[0].Image = "app:v2"
		_, err := s.client.AppsV1().Deployments(s.ns).Update(s.ctx, d, metav1.UpdateOptions{FieldManager: "person"})
		if !apierrors.IsConflict(err) {
			s.ok(err)
		}
		return err == nil, fmt.Sprint(err)
	})
	_, err = s.applyAs("release", false, shopManifest("app:v1", "replicas: 0"))
	st := s.refused(err, 409, metav1.StatusReasonConflict, `"person"`)
	s.cause(st, `.spec.template.spec.containers[name="app"].image`)
}

// immutableWorkloads: what cannot be changed is refused in words of its own.
func immutableWorkloads(s *suite) {
	labels := map[string]string{"app": "set"}
	sets := s.client.AppsV1().StatefulSets(s.ns)
	set, err := sets.Create(s.ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "set"}, Spec: appsv1.StatefulSetSpec{
		ServiceName: "a", Replicas: pointer[int32](0), Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, "app:v1"),
	}}, metav1.CreateOptions{})
	s.ok(err)
	set.Spec.ServiceName, set.ResourceVersion = "b", ""
	_, err = sets.Update(s.ctx, set, metav1.UpdateOptions{})
	s.cause(s.refused(err, 422, metav1.StatusReasonInvalid, "field is immutable"), "spec.serviceName")

	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "job"}, Spec: batchv1.JobSpec{Suspend: pointer(true), Template: template(nil, "job:v1")}}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	job, err = s.client.BatchV1().Jobs(s.ns).Create(s.ctx, job, metav1.CreateOptions{})
	s.ok(err)
	job.Spec.Template.Spec.Containers[0].Image, job.ResourceVersion = "job:v2", ""
	_, err = s.client.BatchV1().Jobs(s.ns).Update(s.ctx, job, metav1.UpdateOptions{})
	s.cause(s.refused(err, 422, metav1.StatusReasonInvalid, "field is immutable"), "spec.template.spec")
}

// quotaOfStatefulSet: a StatefulSet has no condition for pods that are refused,
// only events tell.
func quotaOfStatefulSet(s *suite) {
	_, err := s.client.CoreV1().ResourceQuotas(s.ns).Create(s.ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "none"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: apiresource.MustParse("0")}},
	}, metav1.CreateOptions{})
	s.ok(err)
	s.eventually("the quota is enforced", func() (bool, string) {
		q, err := s.client.CoreV1().ResourceQuotas(s.ns).Get(s.ctx, "none", metav1.GetOptions{})
		s.ok(err)
		return len(q.Status.Hard) > 0, fmt.Sprintf("%+v", q.Status)
	})
	labels := map[string]string{"app": "set"}
	_, err = s.client.AppsV1().StatefulSets(s.ns).Create(s.ctx, &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Name: "set"}, Spec: appsv1.StatefulSetSpec{
		Selector: &metav1.LabelSelector{MatchLabels: labels}, Template: template(labels, "app:v1"),
	}}, metav1.CreateOptions{})
	s.ok(err)
	s.hasEvent("StatefulSet", "FailedCreate", "exceeded quota")
}
