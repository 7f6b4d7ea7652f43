package kubetest

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/utils/dump"
)

// templateHash names a pod template as the genuine controllers do.
func templateHash(t *corev1.PodTemplateSpec, collisions *int32) string {
	h := fnv.New32a()
	fmt.Fprintf(h, "%v", dump.ForHash(*t))
	if collisions != nil {
		var b [8]byte
		binary.LittleEndian.PutUint32(b[:], uint32(*collisions))
		_, _ = h.Write(b[:])
	}
	return rand.SafeEncodeString(strconv.FormatUint(uint64(h.Sum32()), 10))
}

// ensureNewest finds or creates the ReplicaSet of the current template and
// keeps its revision the highest. It returns nil when a write brings us back.
func (r *rollout) ensureNewest() *appsv1.ReplicaSet {
	revision := int64(1)
	for _, rs := range r.old() {
		revision = max(revision, revisionOf(rs)+1)
	}
	n := r.newest()
	if n == nil {
		return r.createNewest(revision)
	}
	r.refresh(n, max(revision, revisionOf(n)))
	r.ownRevision(revisionOf(n))
	if r.condition(appsv1.DeploymentProgressing) == nil && r.d.Spec.ProgressDeadlineSeconds != nil {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "FoundNewReplicaSet", fmt.Sprintf("Found new replica set %q", n.Name))
		_ = r.c.save(deployments, r.d, "status", controllerManager)
		r.rereadSelf()
	}
	return n
}

// refresh copies annotations, the revision and minReadySeconds to the current
// ReplicaSet.
func (r *rollout) refresh(n *appsv1.ReplicaSet, revision int64) {
	before := n.DeepCopy()
	r.annotate(n)
	if was := revisionOf(n); was != revision {
		if was > 0 {
			history := n.Annotations[annHistory]
			n.Annotations[annHistory] = strings.TrimPrefix(history+","+strconv.FormatInt(was, 10), ",")
		}
		n.Annotations[annRevision] = strconv.FormatInt(revision, 10)
	}
	n.Spec.MinReadySeconds = r.d.Spec.MinReadySeconds
	if maps.Equal(before.Annotations, n.Annotations) && before.Spec.MinReadySeconds == n.Spec.MinReadySeconds {
		return
	}
	if r.c.save(replicaSets, n, "", controllerManager) == nil {
		*n = *r.reread(n)
	}
}

// annotate copies the Deployment's annotations, but those that describe the
// Deployment alone.
func (r *rollout) annotate(rs *appsv1.ReplicaSet) {
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	for k, v := range r.d.Annotations {
		switch k {
		case corev1.LastAppliedConfigAnnotation, annRevision, annHistory, annDesired, annMax, "deprecated.deployment.rollback.to":
		default:
			rs.Annotations[k] = v
		}
	}
}

// ownRevision notes the revision on the Deployment itself.
func (r *rollout) ownRevision(revision int64) {
	if revisionOf(r.d) == revision {
		return
	}
	if r.d.Annotations == nil {
		r.d.Annotations = map[string]string{}
	}
	r.d.Annotations[annRevision] = strconv.FormatInt(revision, 10)
	if r.c.save(deployments, r.d, "", controllerManager) == nil {
		r.rereadSelf()
	}
}

func (r *rollout) rereadSelf() {
	r.e = r.c.store.get(deployments, key{r.d.Namespace, r.d.Name})
	r.d = r.e.typed().(*appsv1.Deployment).DeepCopy()
}

func (r *rollout) createNewest(revision int64) *appsv1.ReplicaSet {
	t := r.d.Spec.Template.DeepCopy()
	hash := templateHash(&r.d.Spec.Template, r.d.Status.CollisionCount)
	sel := r.d.Spec.Selector.DeepCopy()
	if sel.MatchLabels == nil {
		sel.MatchLabels = map[string]string{}
	}
	sel.MatchLabels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	if t.Labels == nil {
		t.Labels = map[string]string{}
	}
	t.Labels[appsv1.DefaultDeploymentUniqueLabelKey] = hash
	zero := int32(0)
	n := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: r.d.Name + "-" + hash, Namespace: r.d.Namespace, Labels: maps.Clone(t.Labels),
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(r.d, appsv1.SchemeGroupVersion.WithKind("Deployment"))},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &zero, MinReadySeconds: r.d.Spec.MinReadySeconds, Selector: sel, Template: *t},
	}
	r.all = append(r.all, n)
	size := r.replicas()
	if r.d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		size = r.newSize(n)
	}
	n.Spec.Replicas = &size
	r.annotate(n)
	n.Annotations[annRevision] = strconv.FormatInt(revision, 10)
	r.sizeAnnotations(n)
	if _, err := r.c.insert(replicaSets, n, controllerManager); err != nil {
		r.collide(n.Name, err)
		return nil
	}
	*n = *r.reread(n)
	r.c.event(r.e, deploymentComponent, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled up replica set %s from 0 to %d", n.Name, size)
	r.ownRevision(revision)
	if r.d.Spec.ProgressDeadlineSeconds != nil {
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", n.Name))
	}
	r.status()
	return nil
}

// collide reacts to a ReplicaSet that could not be created: another one of
// that name makes the next hash differ, any other cause is a condition.
func (r *rollout) collide(name string, err error) {
	r.all = r.all[:len(r.all)-1]
	if r.c.store.get(replicaSets, key{r.d.Namespace, name}) != nil {
		n := int32(1)
		if r.d.Status.CollisionCount != nil {
			n = *r.d.Status.CollisionCount + 1
		}
		r.d.Status.CollisionCount = &n
		_ = r.c.save(deployments, r.d, "status", controllerManager)
		return
	}
	r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ReplicaSetCreateError", fmt.Sprintf("Failed to create new replica set %q: %v", name, err))
	_ = r.c.save(deployments, r.d, "status", controllerManager)
}
