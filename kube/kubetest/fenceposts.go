package kubetest

import "k8s.io/apimachinery/pkg/util/intstr"

// fenceposts resolves maxSurge (rounded up) and maxUnavailable (rounded down)
// for a number of replicas. When both come to zero one pod may be unavailable,
// since nothing could move otherwise.
func fenceposts(maxSurge, maxUnavailable *intstr.IntOrString, replicas int32) (surge, unavailable int32) {
	surge = scaled(maxSurge, replicas, true)
	unavailable = scaled(maxUnavailable, replicas, false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, replicas)
}

func scaled(v *intstr.IntOrString, of int32, up bool) int32 {
	if v == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(v, int(of), up)
	if err != nil {
		return 0 // refused by validation before it got here
	}
	return int32(n)
}
