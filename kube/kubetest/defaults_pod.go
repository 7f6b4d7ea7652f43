package kubetest

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
)

func defaultPod(o *corev1.Pod) {
	defaultPodSpec(&o.Spec)
	orDefault(&o.Spec.EnableServiceLinks, true)
	orValue(&o.Status.Phase, corev1.PodPending)
	orValue(&o.Status.QOSClass, qosClass(&o.Spec))
}

func defaultTemplate(t *corev1.PodTemplateSpec) { defaultPodSpec(&t.Spec) }

func defaultPodSpec(s *corev1.PodSpec) {
	orValue(&s.RestartPolicy, corev1.RestartPolicyAlways)
	orValue(&s.DNSPolicy, corev1.DNSClusterFirst)
	orValue(&s.SchedulerName, corev1.DefaultSchedulerName)
	orDefault(&s.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	orDefault(&s.SecurityContext, corev1.PodSecurityContext{})
	if s.ServiceAccountName == "" {
		s.ServiceAccountName = s.DeprecatedServiceAccount
	}
	s.DeprecatedServiceAccount = s.ServiceAccountName
	for i := range s.InitContainers {
		defaultContainer(&s.InitContainers[i])
	}
	for i := range s.Containers {
		defaultContainer(&s.Containers[i])
	}
	for i := range s.Volumes {
		defaultVolume(&s.Volumes[i].VolumeSource)
	}
}

func defaultContainer(c *corev1.Container) {
	orValue(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	orValue(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	if c.ImagePullPolicy == "" && c.Image != "" {
		c.ImagePullPolicy = pullPolicy(c.Image)
	}
	for i := range c.Ports {
		orValue(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
	for i := range c.Env {
		if f := c.Env[i].ValueFrom; f != nil && f.FieldRef != nil {
			orValue(&f.FieldRef.APIVersion, "v1")
		}
	}
	for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
		defaultProbe(p)
	}
	defaultRequests(&c.Resources)
}

// pullPolicy is Always for the tag latest, named or implied, else IfNotPresent.
func pullPolicy(image string) corev1.PullPolicy {
	if strings.Contains(image, "@") {
		return corev1.PullIfNotPresent
	}
	_, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if !ok || tag == "latest" {
		return corev1.PullAlways
	}
	return corev1.PullIfNotPresent
}

func defaultProbe(p *corev1.Probe) {
	if p == nil {
		return
	}
	orValue(&p.TimeoutSeconds, 1)
	orValue(&p.PeriodSeconds, 10)
	orValue(&p.SuccessThreshold, 1)
	orValue(&p.FailureThreshold, 3)
	if p.HTTPGet != nil {
		orValue(&p.HTTPGet.Path, "/")
		orValue(&p.HTTPGet.Scheme, corev1.URISchemeHTTP)
	}
}

// defaultRequests makes a limit the request where there is none.
func defaultRequests(r *corev1.ResourceRequirements) {
	for name, q := range r.Limits {
		if _, ok := r.Requests[name]; ok {
			continue
		}
		if r.Requests == nil {
			r.Requests = corev1.ResourceList{}
		}
		r.Requests[name] = q.DeepCopy()
	}
}

func defaultVolume(v *corev1.VolumeSource) {
	const mode = int32(0o644)
	switch {
	case v.ConfigMap != nil:
		orDefault(&v.ConfigMap.DefaultMode, mode)
	case v.Secret != nil:
		orDefault(&v.Secret.DefaultMode, mode)
	case v.Projected != nil:
		orDefault(&v.Projected.DefaultMode, mode)
	case v.DownwardAPI != nil:
		orDefault(&v.DownwardAPI.DefaultMode, mode)
	case v.HostPath != nil:
		orDefault(&v.HostPath.Type, corev1.HostPathUnset)
	case *v == corev1.VolumeSource{}:
		v.EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
}

// qosClass is Guaranteed when every container limits cpu and memory to its
// requests, BestEffort when none asks for anything.
func qosClass(s *corev1.PodSpec) corev1.PodQOSClass {
	guaranteed, best := true, true
	for _, c := range s.Containers {
		if len(c.Resources.Requests)+len(c.Resources.Limits) > 0 {
			best = false
		}
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			limit, ok := c.Resources.Limits[name]
			if !ok || limit.Cmp(quantity(c.Resources.Requests, name)) != 0 {
				guaranteed = false
			}
		}
	}
	switch {
	case best:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

func quantity(list corev1.ResourceList, name corev1.ResourceName) apiresource.Quantity {
	return list[name]
}
