package kubetest

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// applyAs applies a manifest as a manager.
func (s *suite) applyAs(manager string, force bool, manifest string) (*appsv1.Deployment, error) {
	return s.client.AppsV1().Deployments(s.ns).Patch(s.ctx, "app", types.ApplyPatchType, []byte(manifest),
		metav1.PatchOptions{FieldManager: manager, Force: &force})
}

// shopManifest is a Deployment without replicas unless extra says so.
func shopManifest(image, extra string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata:
  name: app
spec:
  selector: {matchLabels: {app: app}}
  %s
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
      - {name: app, image: %q}
`, extra, image)
}

func applyMerges(s *suite) {
	d, err := s.applyAs("release", false, shopManifest("app:v1", "replicas: 2"))
	s.ok(err)
	s.equal("generation", int64(1), d.Generation)
	s.equal("defaulted deadline", int32(600), *d.Spec.ProgressDeadlineSeconds)
	s.equal("defaulted surge", "25%", d.Spec.Strategy.RollingUpdate.MaxSurge.String())
	d, err = s.client.AppsV1().Deployments(s.ns).Patch(s.ctx, "app", types.ApplyPatchType, []byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, annotations: {note: hello}}
`), metav1.PatchOptions{FieldManager: "notes"})
	s.ok(err)
	s.equal("replicas stay", int32(2), *d.Spec.Replicas)
	managers := map[string]bool{}
	for _, f := range d.ManagedFields {
		if f.Operation == metav1.ManagedFieldsOperationApply {
			managers[f.Manager] = true
		}
	}
	s.check(managers["release"] && managers["notes"], "managers: %v", managers)
}

func applyConflicts(s *suite) {
	_, err := s.applyAs("release", false, shopManifest("app:v1", "replicas: 2"))
	s.ok(err)
	_, err = s.applyAs("other", false, shopManifest("app:v2", "replicas: 2"))
	st := s.refused(err, 409, metav1.StatusReasonConflict, `conflict with "release"`)
	s.cause(st, `.spec.template.spec.containers[name="app"].image`)
	d, err := s.applyAs("other", true, shopManifest("app:v2", "replicas: 2"))
	s.ok(err)
	s.equal("forced image", "app:v2", d.Spec.Template.Spec.Containers[0].Image)
	_, err = s.applyAs("release", false, shopManifest("app:v1", "replicas: 2"))
	s.refused(err, 409, metav1.StatusReasonConflict, `conflict with "other"`)
}

func applyIdempotent(s *suite) {
	_, err := s.applyAs("release", false, shopManifest("app:v1", "replicas: 0"))
	s.ok(err)
	s.eventually("controller is done", func() (bool, string) {
		d := s.get("app")
		return d.Status.ObservedGeneration == 1 && len(d.Status.Conditions) == 2 &&
			conditionOf(d, appsv1.DeploymentProgressing).Reason == "NewReplicaSetAvailable", fmt.Sprintf("%+v", d.Status)
	})
	s.eventually("the resourceVersion stays", func() (bool, string) {
		before := s.get("app")
		after, err := s.applyAs("release", false, shopManifest("app:v1", "replicas: 0"))
		s.ok(err)
		if before.ResourceVersion == after.ResourceVersion {
			return true, ""
		}
		// Only the controller's last words may have come in between.
		s.check(!apiequality.Semantic.DeepEqual(before.Status, after.Status), "an apply that changes nothing made %s of version %s", after.ResourceVersion, before.ResourceVersion)
		return false, fmt.Sprintf("%+v became %+v", before.Status, after.Status)
	})
}

func applyDrops(s *suite) {
	_, err := s.applyAs("release", false, shopManifest("app:v1", "replicas: 3"))
	s.ok(err)
	d, err := s.applyAs("release", false, shopManifest("app:v1", ""))
	s.ok(err)
	s.equal("replicas fall back to the default", int32(1), *d.Spec.Replicas)
}

func applyLocks(s *suite) {
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	cm, err := cms.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app"}}, metav1.CreateOptions{})
	s.ok(err)
	manifest := func(rv, v string) []byte {
		return fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: app, resourceVersion: %q}\ndata: {k: %q}\n", rv, v)
	}
	next, err := cms.Patch(s.ctx, "app", types.ApplyPatchType, manifest(cm.ResourceVersion, "1"), metav1.PatchOptions{FieldManager: "release"})
	s.ok(err)
	s.check(next.ResourceVersion != cm.ResourceVersion, "resourceVersion did not change")
	_, err = cms.Patch(s.ctx, "app", types.ApplyPatchType, manifest(cm.ResourceVersion, "2"), metav1.PatchOptions{FieldManager: "release"})
	s.refused(err, 409, metav1.StatusReasonConflict)
}

func updateConflicts(s *suite) {
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	first, err := cms.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "app"}, Data: map[string]string{"k": "1"}}, metav1.CreateOptions{})
	s.ok(err)
	second := first.DeepCopy()
	second.Data["k"] = "2"
	_, err = cms.Update(s.ctx, second, metav1.UpdateOptions{})
	s.ok(err)
	first.Data["k"] = "3"
	_, err = cms.Update(s.ctx, first, metav1.UpdateOptions{})
	s.refused(err, 409, metav1.StatusReasonConflict, "the object has been modified")
	second.ResourceVersion, second.UID = "", "other"
	_, err = cms.Update(s.ctx, second, metav1.UpdateOptions{})
	s.refused(err, 409, metav1.StatusReasonConflict, "UID")
}

func dryRun(s *suite) {
	d, err := s.client.AppsV1().Deployments(s.ns).Create(s.ctx, s.deploy("app", "app:v1", 1), metav1.CreateOptions{DryRun: []string{"All"}})
	s.ok(err)
	s.equal("defaults are set", int32(10), *d.Spec.RevisionHistoryLimit)
	_, err = s.client.AppsV1().Deployments(s.ns).Get(s.ctx, "app", metav1.GetOptions{})
	s.refused(err, 404, metav1.StatusReasonNotFound)
	s.create(s.deploy("app", "app:v1", 0))
	err = s.client.AppsV1().Deployments(s.ns).Delete(s.ctx, "app", metav1.DeleteOptions{DryRun: []string{"All"}})
	s.ok(err)
	s.check(s.get("app").DeletionTimestamp == nil, "a dry-run deletion took effect")
}

func refusals(s *suite) {
	apps := s.client.AppsV1().Deployments(s.ns)
	bad := s.deploy("app", "app:v1", 1)
	bad.Spec.Template.Labels = map[string]string{"app": "other"}
	_, err := apps.Create(s.ctx, bad, metav1.CreateOptions{})
	s.cause(s.refused(err, 422, metav1.StatusReasonInvalid, "selector"), "spec.template.metadata.labels")

	bad = s.deploy("app", "", 1)
	_, err = apps.Create(s.ctx, bad, metav1.CreateOptions{})
	s.cause(s.refused(err, 422, metav1.StatusReasonInvalid), "spec.template.spec.containers[0].image")

	_, err = apps.Create(s.ctx, s.deploy("Not_a_name", "app:v1", 1), metav1.CreateOptions{})
	s.refused(err, 422, metav1.StatusReasonInvalid, "metadata.name")

	away := s.deploy("app", "app:v1", 1)
	away.Namespace = s.ns + "-missing"
	_, err = s.client.AppsV1().Deployments(away.Namespace).Create(s.ctx, away, metav1.CreateOptions{})
	s.refused(err, 404, metav1.StatusReasonNotFound, "namespaces")

	s.create(s.deploy("app", "app:v1", 0))
	_, err = apps.Create(s.ctx, s.deploy("app", "app:v1", 0), metav1.CreateOptions{})
	s.refused(err, 409, metav1.StatusReasonAlreadyExists, `deployments.apps "app" already exists`)

	_, err = apps.Get(s.ctx, "missing", metav1.GetOptions{})
	s.refused(err, 404, metav1.StatusReasonNotFound, `deployments.apps "missing" not found`)

	_, err = s.dynamic.Resource(schema.GroupVersionResource{Group: "no.such.group", Version: "v1", Resource: "things"}).Namespace(s.ns).Get(s.ctx, "x", metav1.GetOptions{})
	s.refused(err, 404, metav1.StatusReasonNotFound)
}

func immutables(s *suite) {
	d := s.create(s.deploy("app", "app:v1", 0))
	d.Spec.Selector.MatchLabels = map[string]string{"app": "app", "new": "label"}
	d.Spec.Template.Labels = d.Spec.Selector.MatchLabels
	d.ResourceVersion = ""
	_, err := s.client.AppsV1().Deployments(s.ns).Update(s.ctx, d, metav1.UpdateOptions{})
	s.cause(s.refused(err, 422, metav1.StatusReasonInvalid, "field is immutable"), "spec.selector")

	cms := s.client.CoreV1().ConfigMaps(s.ns)
	cm, err := cms.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "fixed"}, Data: map[string]string{"k": "1"}, Immutable: pointer(true)}, metav1.CreateOptions{})
	s.ok(err)
	cm.Data["k"] = "2"
	_, err = cms.Update(s.ctx, cm, metav1.UpdateOptions{})
	s.refused(err, 422, metav1.StatusReasonInvalid, "immutable")

	svc := s.service("front", map[string]string{"app": "app"})
	s.check(svc.Spec.ClusterIP != "", "no cluster IP was allocated")
	svc.Spec.ClusterIP, svc.Spec.ClusterIPs = "10.96.254.254", []string{"10.96.254.254"}
	_, err = s.client.CoreV1().Services(s.ns).Update(s.ctx, svc, metav1.UpdateOptions{})
	s.refused(err, 422, metav1.StatusReasonInvalid, "may not change once set")
}

func fieldValidation(s *suite) {
	raw := []byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"app"},"dta":{"k":"v"}}`)
	post := func(mode string) error {
		return s.client.CoreV1().RESTClient().Post().Namespace(s.ns).Resource("configmaps").
			Param("fieldValidation", mode).Param("dryRun", "All").SetHeader("Content-Type", "application/json").Body(raw).Do(s.ctx).Error()
	}
	s.refused(post("Strict"), 400, metav1.StatusReasonBadRequest, `unknown field "dta"`)
	s.ok(post("Ignore"))
	_, err := s.applyAs("release", false, strings.Replace(shopManifest("app:v1", ""), "selector:", "slector: {}\n  selector:", 1))
	s.check(err != nil && strings.Contains(err.Error(), "slector"), "apply of an unknown field: %v", err)
}

func generateName(s *suite) {
	cms := s.client.CoreV1().ConfigMaps(s.ns)
	a, err := cms.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "part-"}}, metav1.CreateOptions{})
	s.ok(err)
	b, err := cms.Create(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "part-"}}, metav1.CreateOptions{})
	s.ok(err)
	s.check(strings.HasPrefix(a.Name, "part-") && len(a.Name) == len("part-")+5, "name %q", a.Name)
	s.check(a.Name != b.Name && a.UID != b.UID, "names %q and %q are the same", a.Name, b.Name)
}

func patches(s *suite) {
	s.create(s.deploy("app", "app:v1", 0))
	apps := s.client.AppsV1().Deployments(s.ns)
	d, err := apps.Patch(s.ctx, "app", types.StrategicMergePatchType, []byte(`{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"side:v1"}]}}}}`), metav1.PatchOptions{})
	s.ok(err)
	s.equal("containers merge by name", 2, len(d.Spec.Template.Spec.Containers))
	d, err = apps.Patch(s.ctx, "app", types.MergePatchType, []byte(`{"metadata":{"annotations":{"a":"1","b":"2"}}}`), metav1.PatchOptions{})
	s.ok(err)
	s.equal("annotation", "1", d.Annotations["a"])
	d, err = apps.Patch(s.ctx, "app", types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/annotations/a"}]`), metav1.PatchOptions{})
	s.ok(err)
	_, left := d.Annotations["a"]
	s.check(!left, "the annotation was not removed")
	_, err = apps.Patch(s.ctx, "app", types.JSONPatchType, []byte(`[{"op":"test","path":"/spec/replicas","value":7}]`), metav1.PatchOptions{})
	s.check(apierrors.IsInvalid(err) || apierrors.ReasonForError(err) == metav1.StatusReasonUnknown && err != nil, "a failed test: %v", err)
	_, err = apps.Patch(s.ctx, "app", types.MergePatchType, []byte(`{"metadata":{"resourceVersion":"1"},"spec":{"replicas":0}}`), metav1.PatchOptions{})
	s.refused(err, 409, metav1.StatusReasonConflict)
}

func statusSubresource(s *suite) {
	d := s.create(s.deploy("app", "app:v1", 0))
	s.eventually("observed", func() (bool, string) { d = s.get("app"); return d.Status.ObservedGeneration == 1, "" })
	d = s.get("app")
	d.ResourceVersion = ""
	d.Status.ObservedGeneration = 99
	out, err := s.client.AppsV1().Deployments(s.ns).Update(s.ctx, d, metav1.UpdateOptions{})
	s.ok(err)
	s.check(out.Status.ObservedGeneration != 99, "an update of the object changed its status")
	out.Spec.Replicas = pointer[int32](7)
	out.ResourceVersion = ""
	out, err = s.client.AppsV1().Deployments(s.ns).UpdateStatus(s.ctx, out, metav1.UpdateOptions{})
	s.ok(err)
	s.equal("an update of the status leaves the spec", int32(0), *out.Spec.Replicas)
	s.equal("generation", int64(1), out.Generation)
}

func generations(s *suite) {
	d := s.create(s.deploy("app", "app:v1", 0))
	patch := func(p string) int64 {
		out, err := s.client.AppsV1().Deployments(s.ns).Patch(s.ctx, "app", types.MergePatchType, []byte(p), metav1.PatchOptions{})
		s.ok(err)
		return out.Generation
	}
	s.equal("new object", int64(1), d.Generation)
	s.equal("metadata", int64(1), patch(`{"metadata":{"labels":{"x":"y"}}}`))
	s.equal("spec", int64(2), patch(`{"spec":{"minReadySeconds":1}}`))
	s.equal("same spec", int64(2), patch(`{"spec":{"minReadySeconds":1}}`))
}
