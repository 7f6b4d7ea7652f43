package strategy

// Fenceposts resolves how far a rollout of replicas pods may leave that number:
// surge is rounded up, unavailable down, and if both come to nothing one pod may
// be missing, because no pod could be replaced otherwise. It is the rule of the
// Deployment controller (ResolveFenceposts). A percentage is an Amount of its
// own type here; a bare "25" cannot be mistaken for one.
func Fenceposts(replicas int, maxSurge, maxUnavailable Amount) (surge, unavailable int) {
	surge, unavailable = maxSurge.Ceil(replicas), maxUnavailable.Floor(replicas)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, unavailable
}

// SplitPods approximates a traffic weight of weight percent by numbers of pods,
// for fronts that take every pod: of replicas pods, or of one more if there may
// be a surge, so many run the new version and so many the old one.
//
// It is Argo Rollouts' rule for a canary without traffic router: the nearest ratio
// wins; of equally near ones the larger canary, then the smaller total; and from 1
// to 99 percent neither side is left without pods as long as two can be had. Argo
// breaks the last rule where the larger canary of two equally near ones would be
// all pods (2 at 75 percent, 5 at 90, 10 at 95); here it is the smaller one then.
func SplitPods(replicas, weight, surge int) (canary, stable int) {
	if replicas == 0 {
		return 0, 0
	}
	product := int64(replicas) * int64(weight)
	up, down := int((product+99)/100), int(product/100)
	zero := weight == 0 || weight == 100 || replicas == 1 && surge == 0
	tied := func(total int) bool { return int64(total)*int64(weight)%100 == 50 }
	best, total := -1, 0
	try := func(n, of int) {
		if best < 0 || off(n, of, weight)*int64(total) < off(best, total, weight)*int64(of) {
			best, total = n, of
		}
	}
	if up < replicas || zero {
		try(up, replicas)
	}
	if !tied(replicas) && (down != 0 || zero) {
		try(down, replicas)
	}
	if surge > 0 {
		try(up, replicas+1)
		if !tied(replicas+1) && (down != 0 || zero) {
			try(down, replicas+1)
		}
	}
	if best < 0 { // the tie whose larger canary is all pods
		return down, replicas - down
	}
	return best, total - best
}

// off is how far n of total pods are from weight percent, times total.
func off(n, total, weight int) int64 {
	d := int64(n)*100 - int64(weight)*int64(total)
	return max(d, -d)
}

// RoutedPods is the number of pods that a version needs for weight percent of
// the traffic of replicas pods when a router sends it just that: rounded up, and
// at least one for any traffic. The same number must be available before the
// weight is written.
func RoutedPods(replicas, weight int) int {
	return int((int64(replicas)*int64(weight) + 99) / 100)
}

// counts are the pods of one side of a rollout.
type counts struct{ spec, available int }

// usable is the availability that counts; that of a side which is drained is
// taken as it was asked for, so that pods that crash there do not block their own
// removal.
func (c counts) usable(drained bool) int {
	if drained || c.spec < c.available {
		return c.spec
	}
	return c.available
}

// plan is one reachable step towards a split.
type plan struct{ canary, stable int }

// reach says how far the two sides can go now towards want: up within the surge,
// the old side first; down only as far as what is available allows. older are
// pods of other versions, which count and must be gone first.
func reach(replicas, surge, unavailable int, canary, stable counts, older int, want plan) plan {
	next := plan{canary.spec, stable.spec}
	room := replicas + surge - canary.spec - stable.spec - older
	if stable.spec < want.stable && room > 0 {
		next.stable = min(want.stable, stable.spec+room)
		room -= next.stable - stable.spec
	}
	if canary.spec < want.canary && room > 0 {
		next.canary = min(want.canary, canary.spec+room)
	}
	if older > 0 || next.stable > stable.spec {
		return next
	}
	rising := want.canary >= canary.spec
	spare := canary.usable(!rising) + stable.usable(rising) - (replicas - unavailable)
	switch {
	case spare <= 0:
	case rising:
		next.stable = min(next.stable, max(want.stable, stable.spec-spare))
	default:
		next.canary = min(next.canary, max(want.canary, canary.spec-spare))
	}
	return next
}
