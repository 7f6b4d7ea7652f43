package kubetest

import (
	"cmp"
	"math"
	"slices"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// scaling tells whether the number of replicas changed since the ReplicaSets
// were last sized.
func (r *rollout) scaling() bool {
	for _, rs := range r.all {
		if *rs.Spec.Replicas == 0 {
			continue
		}
		desired, err := strconv.Atoi(rs.Annotations[annDesired])
		if err == nil && int32(desired) != r.replicas() {
			return true
		}
	}
	return false
}

// sizeAnnotations notes what a ReplicaSet was sized for; it tells whether
// they changed.
func (r *rollout) sizeAnnotations(rs *appsv1.ReplicaSet) bool {
	surge, _ := r.limits()
	if rs.Annotations == nil {
		rs.Annotations = map[string]string{}
	}
	desired, most := strconv.Itoa(int(r.replicas())), strconv.Itoa(int(r.replicas()+surge))
	changed := rs.Annotations[annDesired] != desired || rs.Annotations[annMax] != most
	rs.Annotations[annDesired], rs.Annotations[annMax] = desired, most
	return changed
}

// resize writes the size of a ReplicaSet and tells whether that changed.
func (r *rollout) resize(rs *appsv1.ReplicaSet, to int32) bool {
	from := *rs.Spec.Replicas
	noted := r.sizeAnnotations(rs)
	if from == to && !noted {
		return false
	}
	rs.Spec.Replicas = &to
	if r.c.save(replicaSets, rs, "", controllerManager) != nil {
		return false
	}
	*rs = *r.reread(rs)
	if from == to {
		return false
	}
	verb := "up"
	if to < from {
		verb = "down"
	}
	r.c.event(r.e, deploymentComponent, corev1.EventTypeNormal, "ScalingReplicaSet", "Scaled %s replica set %s from %d to %d", verb, rs.Name, from, to)
	return true
}

// scale fits the ReplicaSets to a changed number of replicas: the only active
// one takes all, several share in proportion.
func (r *rollout) scale() {
	active := slices.DeleteFunc(slices.Clone(r.all), func(rs *appsv1.ReplicaSet) bool { return *rs.Spec.Replicas == 0 })
	n := r.newest()
	if len(active) <= 1 {
		one := n
		if len(active) == 1 {
			one = active[0]
		} else if one == nil && len(r.all) > 0 {
			one = r.all[len(r.all)-1]
		}
		if one != nil {
			r.resize(one, r.replicas())
		}
		return
	}
	if n != nil && r.saturated(n) {
		for _, rs := range r.old() {
			if *rs.Spec.Replicas > 0 {
				r.resize(rs, 0)
			}
		}
		return
	}
	if r.d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		r.share(active)
	}
}

func (r *rollout) saturated(n *appsv1.ReplicaSet) bool {
	desired, err := strconv.Atoi(n.Annotations[annDesired])
	return err == nil && *n.Spec.Replicas == r.replicas() && int32(desired) == r.replicas() && n.Status.AvailableReplicas == r.replicas()
}

// share distributes growth to the larger ReplicaSets first, and loss likewise.
func (r *rollout) share(active []*appsv1.ReplicaSet) {
	surge, _ := r.limits()
	allowed := int32(0)
	if r.replicas() > 0 {
		allowed = r.replicas() + surge
	}
	toAdd := allowed - specReplicas(active)
	slices.SortStableFunc(active, func(a, b *appsv1.ReplicaSet) int {
		age := a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
		if toAdd > 0 {
			age = -age // growth goes to the newer of equals
		}
		return cmp.Or(cmp.Compare(*b.Spec.Replicas, *a.Spec.Replicas), age)
	})
	sizes := make([]int32, len(active))
	added := int32(0)
	for i, rs := range active {
		sizes[i] = *rs.Spec.Replicas
		if toAdd != 0 {
			part := r.fraction(rs, toAdd, added)
			sizes[i] += part
			added += part
		}
	}
	if len(active) > 0 && toAdd != 0 {
		sizes[0] = max(0, sizes[0]+toAdd-added)
	}
	for i, rs := range active {
		r.resize(rs, sizes[i])
	}
}

// fraction is a ReplicaSet's share of what is to be added or removed.
func (r *rollout) fraction(rs *appsv1.ReplicaSet, toAdd, added int32) int32 {
	left := toAdd - added
	surge, _ := r.limits()
	target := -*rs.Spec.Replicas
	if r.replicas() > 0 {
		was, err := strconv.Atoi(rs.Annotations[annMax])
		if err != nil || was == 0 {
			was = int(r.d.Status.Replicas)
		}
		if was == 0 {
			return 0
		}
		size := math.Round(float64(*rs.Spec.Replicas) * float64(r.replicas()+surge) / float64(was))
		target = int32(size) - *rs.Spec.Replicas
	}
	if toAdd > 0 {
		return min(target, left)
	}
	return max(target, left)
}
