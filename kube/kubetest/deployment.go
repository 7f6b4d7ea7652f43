package kubetest

import (
	"cmp"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const (
	deploymentComponent = "deployment-controller"
	annRevision         = "deployment.kubernetes.io/revision"
	annHistory          = "deployment.kubernetes.io/revision-history"
	annDesired          = "deployment.kubernetes.io/desired-replicas"
	annMax              = "deployment.kubernetes.io/max-replicas"
)

// rollout is one reconciliation of a Deployment.
type rollout struct {
	c   *Cluster
	e   *entry
	d   *appsv1.Deployment
	all []*appsv1.ReplicaSet // oldest first
}

// syncDeployment is the Deployment controller.
func (c *Cluster) syncDeployment(e *entry) {
	r := &rollout{c: c, e: e, d: e.typed().(*appsv1.Deployment).DeepCopy()}
	r.load()
	switch {
	case r.d.DeletionTimestamp != nil:
		r.status()
	case r.pauseCondition():
		// The condition was written; the change brings us back.
	case r.d.Spec.Paused, r.scaling():
		r.scale()
		if r.d.Spec.Paused {
			r.cleanup()
		}
		r.status()
	case r.d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		r.recreate()
	default:
		r.rolling()
	}
}

// load reads the ReplicaSets and adopts orphans that the selector matches.
func (r *rollout) load() {
	sel, err := metav1.LabelSelectorAsSelector(r.d.Spec.Selector)
	if err != nil {
		return
	}
	r.all = nil
	for _, e := range r.c.store.owned(r.d.UID, replicaSets) {
		r.all = append(r.all, e.typed().(*appsv1.ReplicaSet).DeepCopy())
	}
	if r.d.DeletionTimestamp == nil {
		for _, e := range r.c.store.owned("", replicaSets) {
			if e.key.ns == r.d.Namespace && sel.Matches(labels.Set(e.u.GetLabels())) && e.u.GetDeletionTimestamp() == nil {
				rs := e.typed().(*appsv1.ReplicaSet).DeepCopy()
				rs.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(r.d, appsv1.SchemeGroupVersion.WithKind("Deployment"))}
				if r.c.save(replicaSets, rs, "", controllerManager) == nil {
					r.all = append(r.all, r.reread(rs))
				}
			}
		}
	}
	slices.SortFunc(r.all, func(a, b *appsv1.ReplicaSet) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
}

func (r *rollout) reread(rs *appsv1.ReplicaSet) *appsv1.ReplicaSet {
	return r.c.store.get(replicaSets, key{rs.Namespace, rs.Name}).typed().(*appsv1.ReplicaSet).DeepCopy()
}

// newest returns the ReplicaSet of the current template, nil if there is none.
func (r *rollout) newest() *appsv1.ReplicaSet {
	for _, rs := range r.all {
		if sameTemplate(&rs.Spec.Template, &r.d.Spec.Template) {
			return rs
		}
	}
	return nil
}

func (r *rollout) old() []*appsv1.ReplicaSet {
	n := r.newest()
	return slices.DeleteFunc(slices.Clone(r.all), func(rs *appsv1.ReplicaSet) bool { return rs == n })
}

func sameTemplate(a, b *corev1.PodTemplateSpec) bool {
	x, y := a.DeepCopy(), b.DeepCopy()
	delete(x.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	delete(y.Labels, appsv1.DefaultDeploymentUniqueLabelKey)
	return apiequality.Semantic.DeepEqual(x, y)
}

func (r *rollout) replicas() int32 { return *r.d.Spec.Replicas }

// limits returns maxSurge and maxUnavailable in pods: the surge rounds up,
// the unavailability down, and they are never both zero.
func (r *rollout) limits() (surge, unavailable int32) {
	u := r.d.Spec.Strategy.RollingUpdate
	if u == nil {
		return 0, 0
	}
	return fenceposts(u.MaxSurge, u.MaxUnavailable, r.replicas())
}

func specReplicas(list []*appsv1.ReplicaSet) (n int32) {
	for _, rs := range list {
		n += *rs.Spec.Replicas
	}
	return n
}

func availableReplicas(list []*appsv1.ReplicaSet) (n int32) {
	for _, rs := range list {
		n += rs.Status.AvailableReplicas
	}
	return n
}

// pauseCondition notes a pause or its end in the Progressing condition.
func (r *rollout) pauseCondition() bool {
	if r.d.Spec.ProgressDeadlineSeconds == nil {
		return false
	}
	cond := r.condition(appsv1.DeploymentProgressing)
	if cond != nil && cond.Reason == "ProgressDeadlineExceeded" {
		return false
	}
	was := cond != nil && cond.Reason == "DeploymentPaused"
	switch {
	case r.d.Spec.Paused && !was:
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, "DeploymentPaused", "Deployment is paused")
	case !r.d.Spec.Paused && was:
		r.setCondition(appsv1.DeploymentProgressing, corev1.ConditionUnknown, "DeploymentResumed", "Deployment is resumed")
	default:
		return false
	}
	return r.c.save(deployments, r.d, "status", controllerManager) == nil
}

// recreate ends every old pod before it starts a new one.
func (r *rollout) recreate() {
	down := false
	for _, rs := range r.old() {
		if *rs.Spec.Replicas > 0 {
			down = r.resize(rs, 0) || down
		}
	}
	if down || r.oldPodsLeft() {
		r.rolloutStatus()
		return
	}
	n := r.ensureNewest()
	if n != nil {
		r.resize(n, r.replicas())
	}
	r.finish()
}

func (r *rollout) oldPodsLeft() bool {
	for _, rs := range r.old() {
		for _, e := range r.c.store.owned(rs.UID, pods) {
			if p := e.typed().(*corev1.Pod); p.Status.Phase != corev1.PodFailed && p.Status.Phase != corev1.PodSucceeded {
				return true
			}
		}
	}
	return false
}

// rolling takes one step of a rolling update.
func (r *rollout) rolling() {
	n := r.ensureNewest()
	if n == nil {
		return
	}
	if r.resize(n, r.newSize(n)) || r.shrinkOld(n) {
		r.rolloutStatus()
		return
	}
	r.finish()
}

// newSize is what the new ReplicaSet may have: as much as the surge allows.
func (r *rollout) newSize(n *appsv1.ReplicaSet) int32 {
	if *n.Spec.Replicas >= r.replicas() {
		return r.replicas()
	}
	surge, _ := r.limits()
	room := r.replicas() + surge - specReplicas(r.all)
	if room <= 0 {
		return *n.Spec.Replicas
	}
	return *n.Spec.Replicas + min(room, r.replicas()-*n.Spec.Replicas)
}

// shrinkOld scales old ReplicaSets down: unhealthy pods first, then as many
// healthy ones as availability allows.
func (r *rollout) shrinkOld(n *appsv1.ReplicaSet) bool {
	old := r.old()
	if specReplicas(old) == 0 {
		return false
	}
	_, unavailable := r.limits()
	floor := r.replicas() - unavailable
	spare := specReplicas(r.all) - floor - (*n.Spec.Replicas - n.Status.AvailableReplicas)
	if spare <= 0 {
		return false
	}
	changed := false
	for _, rs := range old {
		sick := min(spare, *rs.Spec.Replicas-rs.Status.AvailableReplicas)
		if *rs.Spec.Replicas == 0 || sick <= 0 {
			continue
		}
		if r.resize(rs, *rs.Spec.Replicas-sick) {
			spare -= sick
			changed = true
		}
	}
	budget := availableReplicas(r.all) - floor
	for _, rs := range old {
		cut := min(budget, *rs.Spec.Replicas)
		if cut <= 0 {
			continue
		}
		if r.resize(rs, *rs.Spec.Replicas-cut) {
			budget -= cut
			changed = true
		}
	}
	return changed
}

func (r *rollout) finish() {
	if r.complete(&r.d.Status) {
		r.cleanup()
	}
	r.rolloutStatus()
}

// cleanup removes old ReplicaSets beyond the history limit.
func (r *rollout) cleanup() {
	if r.d.Spec.RevisionHistoryLimit == nil {
		return
	}
	old := slices.DeleteFunc(r.old(), func(rs *appsv1.ReplicaSet) bool { return rs.DeletionTimestamp != nil })
	excess := len(old) - int(*r.d.Spec.RevisionHistoryLimit)
	if excess <= 0 {
		return
	}
	slices.SortStableFunc(old, func(a, b *appsv1.ReplicaSet) int { return cmp.Compare(revisionOf(a), revisionOf(b)) })
	for _, rs := range old[:excess] {
		if rs.Status.Replicas != 0 || *rs.Spec.Replicas != 0 || rs.Generation > rs.Status.ObservedGeneration {
			continue
		}
		if e := r.c.store.get(replicaSets, key{rs.Namespace, rs.Name}); e != nil {
			_ = r.c.discard(e, "")
		}
	}
}

func revisionOf(o metav1.Object) int64 {
	n, err := strconv.ParseInt(o.GetAnnotations()[annRevision], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func secondsSince(t metav1.Time) time.Duration { return now().Sub(t.Time) }
