package kubetest

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

func (c *Cluster) subresource(cl *call) (*answer, error) {
	switch {
	case cl.res.gr() == pods && cl.sub == "log" && cl.verb == "get":
		return c.podLog(cl)
	case (cl.res.gr() == pods || cl.res.gr() == services) && cl.sub == "proxy":
		return c.proxy(cl)
	case cl.res.gr() == pods && cl.sub == "eviction" && cl.verb == "create":
		return c.evict(cl)
	case cl.res.gr() == namespaces && cl.sub == "finalize" && cl.verb == "update":
		return c.put(cl)
	}
	return nil, noResource(cl)
}

// scale reads and writes the number of replicas of any kind that has one.
func (c *Cluster) scale(cl *call) (*answer, error) {
	e := c.store.get(cl.res.gr(), key{cl.ns, cl.name})
	if e == nil {
		return nil, apierrors.NewNotFound(cl.res.gr(), cl.name)
	}
	now := scaleOf(cl.res, e.u)
	switch cl.verb {
	case "get":
		return jsonAnswer(http.StatusOK, now), nil
	case "update", "patch":
	default:
		return nil, apierrors.NewMethodNotSupported(cl.res.gr(), cl.verb)
	}
	w, _ := cl.write()
	if types.PatchType(cl.media()) == types.ApplyYAMLPatchType {
		return c.applyScale(cl, e, w)
	}
	next, err := cl.nextScale(now)
	if err != nil {
		return nil, err
	}
	n, rv, err := scaleWanted(cl, next)
	if err != nil {
		return nil, err
	}
	u := e.u.DeepCopy()
	u.SetAPIVersion(cl.res.apiVersion())
	u.SetResourceVersion(rv)
	if rv == "" {
		u.SetResourceVersion(e.u.GetResourceVersion())
	}
	if err := unstructured.SetNestedField(u.Object, n, cl.res.scale.spec...); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	u, err = c.update(cl.res, e.key, u, w)
	if err != nil {
		return nil, err
	}
	return jsonAnswer(http.StatusOK, scaleOf(cl.res, u)), nil
}

func (cl *call) nextScale(now map[string]any) (*unstructured.Unstructured, error) {
	if cl.verb == "update" {
		return cl.decode()
	}
	fake := *cl
	fake.res = &resource{gvk: cl.res.gvk}
	if types.PatchType(cl.media()) == types.StrategicMergePatchType {
		fake.contentType = string(types.MergePatchType)
	}
	return patched(&fake, &entry{u: &unstructured.Unstructured{Object: now}, raw: mustJSON(now)})
}

func scaleWanted(cl *call, u *unstructured.Unstructured) (n int64, rv string, err error) {
	n, _, err = unstructured.NestedInt64(u.Object, "spec", "replicas")
	if err != nil {
		return 0, "", apierrors.NewBadRequest(err.Error())
	}
	if n < 0 {
		return 0, "", invalid(cl.res, cl.name, "spec.replicas", n, "must be greater than or equal to 0")
	}
	return n, u.GetResourceVersion(), nil
}

// applyScale is server-side apply on the scale subresource: its manager owns
// the replicas and nothing else.
func (c *Cluster) applyScale(cl *call, e *entry, w write) (*answer, error) {
	in, err := decodeYAML(cl.body)
	if err != nil {
		return nil, err
	}
	n, _, err := scaleWanted(cl, in)
	if err != nil {
		return nil, err
	}
	patch := emptyOf(cl.res)
	patch.SetName(e.key.name)
	patch.SetNamespace(e.key.ns)
	if err := unstructured.SetNestedField(patch.Object, n, cl.res.scale.spec...); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	u, _, err := c.apply(cl.res, e.key, patch, cl.query.Get("force") == "true", w)
	if err != nil {
		return nil, err
	}
	return jsonAnswer(http.StatusOK, scaleOf(cl.res, u)), nil
}

func scaleOf(res *resource, u *unstructured.Unstructured) map[string]any {
	spec, _, _ := unstructured.NestedInt64(u.Object, res.scale.spec...)
	status, _, _ := unstructured.NestedInt64(u.Object, res.scale.status...)
	st := map[string]any{"replicas": status}
	if sel := scaleSelector(res, u); sel != "" {
		st["selector"] = sel
	}
	return map[string]any{
		"kind": "Scale", "apiVersion": "autoscaling/v1",
		"metadata": map[string]any{
			"name": u.GetName(), "namespace": u.GetNamespace(), "uid": string(u.GetUID()),
			"resourceVersion": u.GetResourceVersion(), "creationTimestamp": u.GetCreationTimestamp().UTC().Format(time.RFC3339),
		},
		"spec":   map[string]any{"replicas": spec},
		"status": st,
	}
}

func scaleSelector(res *resource, u *unstructured.Unstructured) string {
	if len(res.scale.selector) == 0 {
		return ""
	}
	v, _, _ := unstructured.NestedFieldNoCopy(u.Object, res.scale.selector...)
	if s, ok := v.(string); ok {
		return s
	}
	var sel metav1.LabelSelector
	if m, ok := v.(map[string]any); !ok || fromMap(m, &sel) != nil {
		return ""
	}
	return metav1.FormatLabelSelector(&sel)
}

// podLog answers with what the container wrote.
func (c *Cluster) podLog(cl *call) (*answer, error) {
	e := c.store.get(pods, key{cl.ns, cl.name})
	if e == nil {
		return nil, apierrors.NewNotFound(pods, cl.name)
	}
	p := podOf(e)
	life := c.lives[p.UID]
	name := cmpOr(cl.query.Get("container"), p.Spec.Containers[0].Name)
	if !hasContainer(p, name) {
		return nil, apierrors.NewBadRequest("container " + name + " is not valid for pod " + p.Name)
	}
	previous := cl.query.Get("previous") == "true"
	if previous && (life == nil || life.restarts == 0) {
		return nil, apierrors.NewBadRequest(`previous terminated container "` + name + `" in pod "` + p.Name + `" not found`)
	}
	if life == nil || life.started.IsZero() {
		return nil, apierrors.NewBadRequest(`container "` + name + `" in pod "` + p.Name + `" is waiting to start: ` + waitingReason(p))
	}
	lines := logLines(p, c.behavior(p), previous)
	if n, err := strconv.Atoi(cl.query.Get("tailLines")); err == nil && n >= 0 && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	text := strings.Join(lines, "\n")
	if text != "" {
		text += "\n"
	}
	return &answer{code: http.StatusOK, body: []byte(text), header: http.Header{"Content-Type": {"text/plain"}}}, nil
}

// evict deletes a pod if its disruption budgets allow that.
func (c *Cluster) evict(cl *call) (*answer, error) {
	e := c.store.get(pods, key{cl.ns, cl.name})
	if e == nil {
		return nil, apierrors.NewNotFound(pods, cl.name)
	}
	u, err := cl.decode()
	if err != nil {
		return nil, err
	}
	var ev policyv1.Eviction
	if err := fromMap(u.Object, &ev); err != nil {
		return nil, apierrors.NewBadRequest(err.Error())
	}
	for _, b := range c.store.list(budgets, cl.ns) {
		pdb := budgetOf(b)
		if selects(pdb.Spec.Selector, e) && pdb.Status.DisruptionsAllowed <= 0 {
			err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
			err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: "The disruption budget " + pdb.Name + " does not allow evicting pods currently"}}
			return nil, err
		}
	}
	var o metav1.DeleteOptions
	if ev.DeleteOptions != nil {
		o = *ev.DeleteOptions
	}
	if _, err := c.remove(cl.res, e, o); err != nil {
		return nil, err
	}
	return jsonAnswer(http.StatusCreated, metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess}), nil
}
