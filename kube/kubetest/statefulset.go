package kubetest

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const statefulSetComponent = "statefulset-controller"

// statefulSync is one reconciliation of a StatefulSet.
type statefulSync struct {
	c      *Cluster
	e      *entry
	s      *appsv1.StatefulSet
	pods   map[int]*corev1.Pod // by ordinal
	update string              // revision of the current template
	stable string              // revision that all pods had last
}

// syncStatefulSet is the StatefulSet controller.
func (c *Cluster) syncStatefulSet(e *entry) {
	s := e.typed().(*appsv1.StatefulSet)
	y := &statefulSync{c: c, e: e, s: s, pods: map[int]*corev1.Pod{}}
	for _, p := range c.claimPods(s, s.Spec.Selector, "StatefulSet", "apps/v1") {
		if i, ok := ordinal(s.Name, p.Name); ok {
			y.pods[i] = p
		}
	}
	y.update = c.revision(e, s, &s.Spec.Template)
	y.stable = cmpOr(s.Status.CurrentRevision, y.update)
	if s.DeletionTimestamp == nil {
		y.reconcile()
	}
	y.status()
}

func ordinal(set, pod string) (int, bool) {
	rest, ok := strings.CutPrefix(pod, set+"-")
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(rest)
	return i, err == nil
}

func (y *statefulSync) first() int {
	if y.s.Spec.Ordinals != nil {
		return int(y.s.Spec.Ordinals.Start)
	}
	return 0
}

func (y *statefulSync) end() int { return y.first() + int(*y.s.Spec.Replicas) }

// partition is the ordinal of the first pod that is updated; it counts from the
// first ordinal (StatefulSetSpec.ordinals).
func (y *statefulSync) partition() int {
	u := y.s.Spec.UpdateStrategy.RollingUpdate
	if u == nil || u.Partition == nil {
		return y.first()
	}
	return y.first() + int(*u.Partition)
}

// reconcile creates, deletes or replaces pods: in order and one at a time,
// unless they are managed in parallel.
func (y *statefulSync) reconcile() {
	inOrder := y.s.Spec.PodManagementPolicy != appsv1.ParallelPodManagement
	for i := y.first(); i < y.end(); i++ {
		p := y.pods[i]
		switch {
		case p == nil:
			y.create(i)
		case p.DeletionTimestamp == nil && (p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded):
			y.c.kill(y.e, p, statefulSetComponent)
		case y.available(p):
			continue
		}
		if inOrder {
			return
		}
	}
	var excess []int
	for i := range y.pods {
		if i >= y.end() || i < y.first() {
			excess = append(excess, i)
		}
	}
	slices.SortFunc(excess, func(a, b int) int { return cmp.Compare(b, a) })
	for _, i := range excess {
		if y.pods[i].DeletionTimestamp == nil {
			y.c.kill(y.e, y.pods[i], statefulSetComponent)
		}
		if inOrder {
			return
		}
	}
	y.roll()
}

// roll replaces the pods of an old revision from the highest ordinal down to
// the partition, each after those above it are available.
func (y *statefulSync) roll() {
	if y.s.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	for i := y.end() - 1; i >= y.partition(); i-- {
		p := y.pods[i]
		if p == nil || p.DeletionTimestamp != nil {
			return
		}
		if p.Labels[appsv1.StatefulSetRevisionLabel] != y.update {
			y.c.kill(y.e, p, statefulSetComponent)
			return
		}
		if !y.available(p) {
			return
		}
	}
}

func (y *statefulSync) available(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil || podReady(p) == nil {
		return false
	}
	at := availableAt(p, y.s.Spec.MinReadySeconds)
	if at.After(now()) {
		k := y.e.key
		y.c.work.at(at, "available/"+string(y.s.UID), func() { y.c.work.reconcile(statefulSets, k) })
		return false
	}
	return true
}

// create makes a pod of the revision that its ordinal has: below the
// partition the old one.
func (y *statefulSync) create(i int) {
	template, rev := &y.s.Spec.Template, y.update
	rolling := y.s.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType
	if i < y.partition() && y.stable != y.update && rolling {
		if t := y.c.revisionTemplate(y.s.Namespace, y.stable); t != nil {
			template, rev = t, y.stable
		}
	}
	p := podFrom(y.e, y.s, template)
	p.Name = fmt.Sprintf("%s-%d", y.s.Name, i)
	if p.Labels == nil {
		p.Labels = map[string]string{}
	}
	p.Labels[appsv1.StatefulSetRevisionLabel] = rev
	p.Labels[appsv1.StatefulSetPodNameLabel] = p.Name
	p.Labels[appsv1.PodIndexLabel] = strconv.Itoa(i)
	p.Spec.Hostname, p.Spec.Subdomain = p.Name, y.s.Spec.ServiceName
	for _, t := range y.s.Spec.VolumeClaimTemplates {
		y.claim(p, &t)
	}
	_ = y.c.spawnPod(y.e, p, statefulSetComponent)
}

// claim gives the pod its volume claim, which outlives it.
func (y *statefulSync) claim(p *corev1.Pod, t *corev1.PersistentVolumeClaim) {
	name := t.Name + "-" + p.Name
	if y.c.store.get(claims, key{p.Namespace, name}) == nil {
		pvc := t.DeepCopy()
		pvc.ObjectMeta = metav1.ObjectMeta{Name: name, Namespace: p.Namespace, Labels: t.Labels, Annotations: t.Annotations}
		_, _ = y.c.insert(claims, pvc, controllerManager)
	}
	p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: t.Name, VolumeSource: corev1.VolumeSource{
		PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name},
	}})
}

func (y *statefulSync) status() {
	s := y.s
	collisions := int32(0)
	st := appsv1.StatefulSetStatus{
		ObservedGeneration: s.Generation, UpdateRevision: y.update, CurrentRevision: y.stable, CollisionCount: &collisions,
	}
	for _, o := range y.c.store.owned(s.UID, pods) {
		p := podOf(o)
		st.Replicas++
		if podReady(p) != nil {
			st.ReadyReplicas++
		}
		if y.available(p) {
			st.AvailableReplicas++
		}
		if p.DeletionTimestamp != nil {
			continue
		}
		switch p.Labels[appsv1.StatefulSetRevisionLabel] {
		case y.update:
			st.UpdatedReplicas++
			if y.update == y.stable {
				st.CurrentReplicas++
			}
		case y.stable:
			st.CurrentReplicas++
		}
	}
	done := st.UpdatedReplicas == st.Replicas && st.ReadyReplicas == st.Replicas && st.Replicas == *s.Spec.Replicas
	if done && s.Spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType && st.CurrentRevision != st.UpdateRevision {
		st.CurrentRevision, st.CurrentReplicas = st.UpdateRevision, st.UpdatedReplicas
	}
	if apiequality.Semantic.DeepEqual(s.Status, st) {
		return
	}
	s = s.DeepCopy()
	s.Status = st
	_ = y.c.save(statefulSets, s, "status", controllerManager)
}
