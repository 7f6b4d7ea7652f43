package kubetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// deleteOptions reads the options from the body and the query.
func (cl *call) deleteOptions() (metav1.DeleteOptions, error) {
	var o metav1.DeleteOptions
	if len(cl.body) > 0 {
		u, err := cl.decode()
		if err == nil {
			delete(u.Object, "metadata") // decode adds one, options have none
			err = runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &o)
		}
		if err != nil {
			return o, apierrors.NewBadRequest(err.Error())
		}
	}
	if s := cl.query.Get("propagationPolicy"); s != "" {
		p := metav1.DeletionPropagation(s)
		o.PropagationPolicy = &p
	}
	if s := cl.query.Get("gracePeriodSeconds"); s != "" {
		var n int64
		if _, err := fmt.Sscan(s, &n); err != nil {
			return o, apierrors.NewBadRequest("gracePeriodSeconds: " + err.Error())
		}
		o.GracePeriodSeconds = &n
	}
	if cl.dryRun() {
		o.DryRun = []string{"All"}
	}
	return o, nil
}

func (c *Cluster) deleteOne(cl *call) (*answer, error) {
	o, err := cl.deleteOptions()
	if err != nil {
		return nil, err
	}
	e := c.store.get(cl.res.gr(), key{cl.ns, cl.name})
	if e == nil {
		return nil, apierrors.NewNotFound(cl.res.gr(), cl.name)
	}
	left, err := c.remove(cl.res, e, o)
	if err != nil {
		return nil, err
	}
	if left != nil {
		return jsonAnswer(http.StatusOK, left.Object), nil
	}
	if cl.res.gvk.Kind == "Pod" {
		return jsonAnswer(http.StatusOK, e.encoded(cl.res.apiVersion())), nil
	}
	return jsonAnswer(http.StatusOK, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusSuccess,
		Details:  &metav1.StatusDetails{Name: cl.name, Group: cl.res.gvk.Group, Kind: cl.res.plural, UID: e.u.GetUID()},
	}), nil
}

func (c *Cluster) deleteMany(cl *call) (*answer, error) {
	o, err := cl.deleteOptions()
	if err != nil {
		return nil, err
	}
	sel, err := cl.selector()
	if err != nil {
		return nil, err
	}
	out := listBody{Kind: cl.res.listKind(), APIVersion: cl.res.apiVersion(), Items: []json.RawMessage{}}
	for _, e := range c.store.list(cl.res.gr(), cl.ns) {
		if !sel.matches(e) {
			continue
		}
		if _, err := c.remove(cl.res, e, o); err != nil {
			return nil, err
		}
		out.Items = append(out.Items, e.encoded(cl.res.apiVersion()))
	}
	out.Metadata.ResourceVersion = fmt.Sprint(c.store.rv)
	return jsonAnswer(http.StatusOK, out), nil
}

// remove deletes an object or starts its deletion; it returns the object if
// that stays for a while.
func (c *Cluster) remove(res *resource, e *entry, o metav1.DeleteOptions) (*unstructured.Unstructured, error) {
	if err := deletePreconditions(res, e.u, o.Preconditions); err != nil {
		return nil, err
	}
	dry := len(o.DryRun) > 0
	u := e.u.DeepCopy()
	grace := gracePeriod(res, u, o)
	propagate(u, o)
	nsKeeps := res.gr() == namespaces && !graceOver(res, u)
	if grace == 0 && len(u.GetFinalizers()) == 0 && !nsKeeps {
		if !dry {
			c.commit(c.store.drop(e, now()))
		}
		return nil, nil
	}
	if at := u.GetDeletionTimestamp(); at != nil {
		left := u.GetDeletionGracePeriodSeconds()
		if left == nil || grace >= *left {
			return u, nil // already going, and not sooner than asked
		}
	}
	at := metav1.NewTime(now().Add(time.Duration(grace) * time.Second))
	u.SetDeletionTimestamp(&at)
	u.SetDeletionGracePeriodSeconds(&grace)
	if u.GetGeneration() > 0 {
		u.SetGeneration(u.GetGeneration() + 1)
	}
	if nsKeeps {
		u.Object["status"] = map[string]any{"phase": "Terminating"}
	}
	if !dry {
		c.commit(c.store.put(res.gr(), u, now()))
	}
	return u, nil
}

func deletePreconditions(res *resource, u *unstructured.Unstructured, p *metav1.Preconditions) error {
	if p == nil {
		return nil
	}
	if p.UID != nil && *p.UID != u.GetUID() {
		return apierrors.NewConflict(res.gr(), u.GetName(), fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *p.UID, u.GetUID()))
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != u.GetResourceVersion() {
		return apierrors.NewConflict(res.gr(), u.GetName(), fmt.Errorf("the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified", *p.ResourceVersion, u.GetResourceVersion()))
	}
	return nil
}

// gracePeriod is how long a pod may take; other kinds go at once. A pod that
// no kubelet knows, or that is over, goes at once too.
func gracePeriod(res *resource, u *unstructured.Unstructured, o metav1.DeleteOptions) int64 {
	if res.gr() != pods {
		return 0
	}
	node, _, _ := unstructured.NestedString(u.Object, "spec", "nodeName")
	phase, _, _ := unstructured.NestedString(u.Object, "status", "phase")
	if node == "" || phase == "Failed" || phase == "Succeeded" {
		return 0
	}
	if o.GracePeriodSeconds != nil {
		return max(*o.GracePeriodSeconds, 0)
	}
	grace, ok, _ := unstructured.NestedInt64(u.Object, "spec", "terminationGracePeriodSeconds")
	if !ok {
		return 30
	}
	return grace
}

// propagate turns the propagation policy into the finalizer that the garbage
// collector works off.
func propagate(u *unstructured.Unstructured, o metav1.DeleteOptions) {
	if o.PropagationPolicy == nil {
		return
	}
	have := slices.DeleteFunc(u.GetFinalizers(), func(f string) bool {
		return f == metav1.FinalizerOrphanDependents || f == metav1.FinalizerDeleteDependents
	})
	switch *o.PropagationPolicy {
	case metav1.DeletePropagationForeground:
		have = append(have, metav1.FinalizerDeleteDependents)
	case metav1.DeletePropagationOrphan:
		have = append(have, metav1.FinalizerOrphanDependents)
	}
	u.SetFinalizers(have)
}
