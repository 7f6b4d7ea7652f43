package kubetest

import (
	"fmt"
	"reflect"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func atSpec() *field.Path { return field.NewPath("spec") }

// validateTyped checks the rules that release tooling runs into.
func validateTyped(obj runtime.Object) field.ErrorList {
	switch o := obj.(type) {
	case *corev1.Pod:
		return validatePodSpec(&o.Spec, atSpec(), "")
	case *corev1.Service:
		return validateService(&o.Spec)
	case *appsv1.Deployment:
		return validateDeployment(&o.Spec)
	case *appsv1.ReplicaSet:
		return validateWorkload(o.Spec.Replicas, o.Spec.Selector, &o.Spec.Template)
	case *appsv1.StatefulSet:
		return validateWorkload(o.Spec.Replicas, o.Spec.Selector, &o.Spec.Template)
	case *appsv1.DaemonSet:
		return validateWorkload(nil, o.Spec.Selector, &o.Spec.Template)
	case *batchv1.Job:
		return validateJob(&o.Spec)
	case *networkingv1.Ingress:
		return validateIngress(&o.Spec)
	case *autoscalingv2.HorizontalPodAutoscaler:
		return validateHPA(&o.Spec)
	}
	return nil
}

// validateTypedUpdate checks what may not change.
func validateTypedUpdate(obj, old runtime.Object) field.ErrorList {
	switch o := obj.(type) {
	case *corev1.Pod:
		return podUpdate(o, old.(*corev1.Pod))
	case *corev1.Service:
		return serviceUpdate(o, old.(*corev1.Service))
	case *corev1.ConfigMap:
		was := old.(*corev1.ConfigMap)
		if isTrue(was.Immutable) && (!reflect.DeepEqual(o.Data, was.Data) || !reflect.DeepEqual(o.BinaryData, was.BinaryData) || !isTrue(o.Immutable)) {
			return field.ErrorList{field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set")}
		}
	case *corev1.Secret:
		return secretUpdate(o, old.(*corev1.Secret))
	case *appsv1.Deployment:
		return immutable(o.Spec.Selector, old.(*appsv1.Deployment).Spec.Selector, "selector")
	case *appsv1.ReplicaSet:
		return immutable(o.Spec.Selector, old.(*appsv1.ReplicaSet).Spec.Selector, "selector")
	case *appsv1.DaemonSet:
		return immutable(o.Spec.Selector, old.(*appsv1.DaemonSet).Spec.Selector, "selector")
	case *appsv1.StatefulSet:
		return statefulSetUpdate(o, old.(*appsv1.StatefulSet))
	case *batchv1.Job:
		was := old.(*batchv1.Job)
		errs := immutable(o.Spec.Selector, was.Spec.Selector, "selector")
		errs = append(errs, immutable(o.Spec.Completions, was.Spec.Completions, "completions")...)
		at, now, before := atSpec().Child("template"), o.Spec.Template, was.Spec.Template
		errs = append(errs, apivalidation.ValidateImmutableField(now.ObjectMeta, before.ObjectMeta, at.Child("metadata"))...)
		return append(errs, apivalidation.ValidateImmutableField(now.Spec, before.Spec, at.Child("spec"))...)
	case *rbacv1.RoleBinding:
		return apivalidation.ValidateImmutableField(o.RoleRef, old.(*rbacv1.RoleBinding).RoleRef, field.NewPath("roleRef"))
	}
	return nil
}

func immutable(now, was any, name string) field.ErrorList {
	return apivalidation.ValidateImmutableField(now, was, atSpec().Child(name))
}

func isTrue(b *bool) bool { return b != nil && *b }

func secretUpdate(o, was *corev1.Secret) field.ErrorList {
	errs := apivalidation.ValidateImmutableField(o.Type, was.Type, field.NewPath("type"))
	if isTrue(was.Immutable) && (!reflect.DeepEqual(o.Data, was.Data) || !isTrue(o.Immutable)) {
		errs = append(errs, field.Forbidden(field.NewPath("data"), "field is immutable when `immutable` is set"))
	}
	return errs
}

func serviceUpdate(o, was *corev1.Service) field.ErrorList {
	if was.Spec.ClusterIP == "" || o.Spec.Type == corev1.ServiceTypeExternalName || was.Spec.Type == corev1.ServiceTypeExternalName {
		return nil
	}
	if o.Spec.ClusterIP == was.Spec.ClusterIP {
		return nil
	}
	return field.ErrorList{field.Invalid(atSpec().Child("clusterIPs").Index(0), o.Spec.ClusterIPs, "may not change once set")}
}

// statefulSetUpdate refuses changes field by field, as Kubernetes does since 1.37.
func statefulSetUpdate(o, was *appsv1.StatefulSet) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name       string
		value, old any
	}{
		{"selector", o.Spec.Selector, was.Spec.Selector},
		{"volumeClaimTemplates", o.Spec.VolumeClaimTemplates, was.Spec.VolumeClaimTemplates},
		{"serviceName", o.Spec.ServiceName, was.Spec.ServiceName},
		{"podManagementPolicy", o.Spec.PodManagementPolicy, was.Spec.PodManagementPolicy},
	} {
		errs = append(errs, apivalidation.ValidateImmutableField(f.value, f.old, atSpec().Child(f.name))...)
	}
	return errs
}

func podUpdate(o, was *corev1.Pod) field.ErrorList {
	a, b := o.Spec.DeepCopy(), was.Spec.DeepCopy()
	for _, s := range []*corev1.PodSpec{a, b} {
		for i := range s.Containers {
			s.Containers[i].Image = ""
		}
		for i := range s.InitContainers {
			s.InitContainers[i].Image = ""
		}
		s.ActiveDeadlineSeconds, s.Tolerations, s.SchedulingGates = nil, nil, nil
		s.TerminationGracePeriodSeconds = nil
	}
	if was.Spec.NodeName == "" {
		b.NodeName = a.NodeName
	}
	if reflect.DeepEqual(a, b) {
		return nil
	}
	return field.ErrorList{field.Forbidden(atSpec(), "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")}
}

func validateDeployment(s *appsv1.DeploymentSpec) field.ErrorList {
	errs := validateWorkload(s.Replicas, s.Selector, &s.Template)
	at := atSpec().Child("strategy")
	switch s.Strategy.Type {
	case appsv1.RecreateDeploymentStrategyType:
		if s.Strategy.RollingUpdate != nil {
			errs = append(errs, field.Forbidden(at.Child("rollingUpdate"), "may not be specified when strategy `type` is 'Recreate'"))
		}
	case appsv1.RollingUpdateDeploymentStrategyType:
		errs = append(errs, validateRolling(s.Strategy.RollingUpdate, at.Child("rollingUpdate"))...)
	default:
		errs = append(errs, field.NotSupported(at, s.Strategy, []string{"Recreate", "RollingUpdate"}))
	}
	if s.ProgressDeadlineSeconds != nil && *s.ProgressDeadlineSeconds <= s.MinReadySeconds {
		errs = append(errs, field.Invalid(atSpec().Child("progressDeadlineSeconds"), *s.ProgressDeadlineSeconds, "must be greater than minReadySeconds"))
	}
	return errs
}

func validateRolling(r *appsv1.RollingUpdateDeployment, at *field.Path) field.ErrorList {
	surge, e1 := intstr.GetScaledValueFromIntOrPercent(r.MaxSurge, 100, true)
	unavailable, e2 := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, 100, true)
	var errs field.ErrorList
	if e1 != nil {
		errs = append(errs, field.Invalid(at.Child("maxSurge"), r.MaxSurge.String(), "must be an integer or percentage (e.g '5%%')"))
	}
	if e2 != nil {
		errs = append(errs, field.Invalid(at.Child("maxUnavailable"), r.MaxUnavailable.String(), "must be an integer or percentage (e.g '5%%')"))
	}
	if len(errs) == 0 && surge == 0 && unavailable == 0 {
		errs = append(errs, field.Invalid(at.Child("maxUnavailable"), r.MaxUnavailable.String(), "may not be 0 when `maxSurge` is 0"))
	}
	return errs
}

// validateWorkload checks what the kinds of apps/v1 have in common.
func validateWorkload(replicas *int32, selector *metav1.LabelSelector, t *corev1.PodTemplateSpec) field.ErrorList {
	var errs field.ErrorList
	if replicas != nil && *replicas < 0 {
		errs = append(errs, field.Invalid(atSpec().Child("replicas"), *replicas, "must be greater than or equal to 0"))
	}
	at := atSpec().Child("template", "metadata", "labels")
	if selector == nil {
		errs = append(errs, field.Required(atSpec().Child("selector"), ""))
		errs = append(errs, field.Invalid(at, t.Labels, "`selector` does not match template `labels`"))
	} else if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		errs = append(errs, field.Invalid(atSpec().Child("selector"), selector, "empty selector is invalid for deployment"))
	} else if sel, err := metav1.LabelSelectorAsSelector(selector); err != nil {
		errs = append(errs, field.Invalid(atSpec().Child("selector"), selector, "invalid label selector"))
	} else if !sel.Matches(labels.Set(t.Labels)) {
		errs = append(errs, field.Invalid(at, t.Labels, "`selector` does not match template `labels`"))
	}
	return append(errs, validatePodSpec(&t.Spec, atSpec().Child("template", "spec"), corev1.RestartPolicyAlways)...)
}

func validateJob(s *batchv1.JobSpec) field.ErrorList {
	errs := validatePodSpec(&s.Template.Spec, atSpec().Child("template", "spec"), "")
	if s.Template.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(atSpec().Child("template", "spec", "restartPolicy"), s.Template.Spec.RestartPolicy, []string{"OnFailure", "Never"}))
	}
	return errs
}

func validateHPA(s *autoscalingv2.HorizontalPodAutoscalerSpec) field.ErrorList {
	var errs field.ErrorList
	if s.MaxReplicas < 1 {
		errs = append(errs, field.Invalid(atSpec().Child("maxReplicas"), s.MaxReplicas, "must be greater than 0"))
	}
	if s.MinReplicas != nil && s.MaxReplicas < *s.MinReplicas {
		errs = append(errs, field.Invalid(atSpec().Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	return errs
}

func validateIngress(s *networkingv1.IngressSpec) field.ErrorList {
	var errs field.ErrorList
	if len(s.Rules) == 0 && s.DefaultBackend == nil {
		errs = append(errs, field.Invalid(atSpec(), s.Rules, "either `defaultBackend` or `rules` must be specified"))
	}
	for i, r := range s.Rules {
		if r.HTTP == nil {
			continue
		}
		for j, p := range r.HTTP.Paths {
			at := atSpec().Child("rules").Index(i).Child("http", "paths").Index(j)
			if p.PathType == nil {
				errs = append(errs, field.Required(at.Child("pathType"), "pathType must be specified"))
			}
			if p.Backend.Service == nil && p.Backend.Resource == nil {
				errs = append(errs, field.Required(at.Child("backend"), "`service` or `resource` is required"))
			}
		}
	}
	return errs
}

func validateService(s *corev1.ServiceSpec) field.ErrorList {
	var errs field.ErrorList
	at := atSpec().Child("ports")
	if len(s.Ports) == 0 && s.Type != corev1.ServiceTypeExternalName && s.ClusterIP != corev1.ClusterIPNone {
		errs = append(errs, field.Required(at, ""))
	}
	names := map[string]bool{}
	for i, p := range s.Ports {
		if p.Name == "" && len(s.Ports) > 1 {
			errs = append(errs, field.Required(at.Index(i).Child("name"), ""))
		} else if names[p.Name] {
			errs = append(errs, field.Duplicate(at.Index(i).Child("name"), p.Name))
		}
		names[p.Name] = true
		for _, problem := range validation.IsValidPortNum(int(p.Port)) {
			errs = append(errs, field.Invalid(at.Index(i).Child("port"), p.Port, problem))
		}
	}
	return errs
}

// validatePodSpec checks containers, volumes and the restart policy; want ""
// means that any policy will do.
func validatePodSpec(s *corev1.PodSpec, at *field.Path, want corev1.RestartPolicy) field.ErrorList {
	var errs field.ErrorList
	volumes := map[string]bool{}
	for _, v := range s.Volumes {
		volumes[v.Name] = true
	}
	if len(s.Containers) == 0 {
		errs = append(errs, field.Required(at.Child("containers"), ""))
	}
	names := map[string]bool{}
	check := func(list []corev1.Container, at *field.Path) {
		for i := range list {
			errs = append(errs, validateContainer(&list[i], at.Index(i), volumes, names)...)
		}
	}
	check(s.Containers, at.Child("containers"))
	check(s.InitContainers, at.Child("initContainers"))
	if want != "" && s.RestartPolicy != want {
		errs = append(errs, field.NotSupported(at.Child("restartPolicy"), s.RestartPolicy, []string{string(want)}))
	}
	return errs
}

func validateContainer(c *corev1.Container, at *field.Path, volumes, names map[string]bool) field.ErrorList {
	var errs field.ErrorList
	if c.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else if names[c.Name] {
		errs = append(errs, field.Duplicate(at.Child("name"), c.Name))
	} else {
		for _, problem := range validation.IsDNS1123Label(c.Name) {
			errs = append(errs, field.Invalid(at.Child("name"), c.Name, problem))
		}
	}
	names[c.Name] = true
	if c.Image == "" {
		errs = append(errs, field.Required(at.Child("image"), ""))
	}
	for i, p := range c.Ports {
		for _, problem := range validation.IsValidPortNum(int(p.ContainerPort)) {
			errs = append(errs, field.Invalid(at.Child("ports").Index(i).Child("containerPort"), p.ContainerPort, problem))
		}
	}
	for i, m := range c.VolumeMounts {
		if !volumes[m.Name] {
			errs = append(errs, field.NotFound(at.Child("volumeMounts").Index(i).Child("name"), m.Name))
		}
	}
	for name, request := range c.Resources.Requests {
		if limit, ok := c.Resources.Limits[name]; ok && request.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(at.Child("resources", "requests"), request.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		}
	}
	return errs
}
