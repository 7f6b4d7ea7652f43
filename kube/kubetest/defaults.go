package kubetest

import (
	"fmt"
	"maps"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// orDefault points p at v when it points nowhere.
func orDefault[T any](p **T, v T) {
	if *p == nil {
		*p = &v
	}
}

func orValue[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// setDefaults fills what the API server fills on write.
func (c *Cluster) setDefaults(obj runtime.Object, old *unstructured.Unstructured) {
	switch o := obj.(type) {
	case *corev1.Namespace:
		defaultNamespace(o, old)
	case *corev1.Pod:
		defaultPod(o)
	case *corev1.Service:
		c.defaultService(o, old)
	case *corev1.Secret:
		defaultSecret(o)
	case *corev1.PersistentVolumeClaim:
		orDefault(&o.Spec.VolumeMode, corev1.PersistentVolumeFilesystem)
		orValue(&o.Status.Phase, corev1.ClaimPending)
	case *appsv1.Deployment:
		defaultDeployment(o)
	case *appsv1.ReplicaSet:
		orDefault(&o.Spec.Replicas, 1)
		defaultTemplate(&o.Spec.Template)
	case *appsv1.StatefulSet:
		defaultStatefulSet(o)
	case *appsv1.DaemonSet:
		defaultDaemonSet(o)
	case *batchv1.Job:
		c.defaultJob(o, old)
	case *batchv1.CronJob:
		defaultCronJob(o)
	case *autoscalingv2.HorizontalPodAutoscaler:
		orDefault(&o.Spec.MinReplicas, 1)
	case *discoveryv1.EndpointSlice:
		defaultSlice(o)
	case *networkingv1.Ingress:
	}
}

func defaultNamespace(o *corev1.Namespace, old *unstructured.Unstructured) {
	if old == nil && len(o.Spec.Finalizers) == 0 {
		o.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
	}
	orValue(&o.Status.Phase, corev1.NamespaceActive)
	if o.Labels == nil {
		o.Labels = map[string]string{}
	}
	o.Labels[corev1.LabelMetadataName] = o.Name
}

func defaultSecret(o *corev1.Secret) {
	orValue(&o.Type, corev1.SecretTypeOpaque)
	for k, v := range o.StringData {
		if o.Data == nil {
			o.Data = map[string][]byte{}
		}
		o.Data[k] = []byte(v)
	}
	o.StringData = nil
}

func defaultDeployment(o *appsv1.Deployment) {
	s := &o.Spec
	orDefault(&s.Replicas, 1)
	orValue(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		orDefault(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		orDefault(&s.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		orDefault(&s.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	orDefault(&s.RevisionHistoryLimit, 10)
	orDefault(&s.ProgressDeadlineSeconds, 600)
	defaultTemplate(&s.Template)
}

func defaultStatefulSet(o *appsv1.StatefulSet) {
	s := &o.Spec
	orDefault(&s.Replicas, 1)
	orValue(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	orValue(&s.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		orDefault(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		orDefault(&s.UpdateStrategy.RollingUpdate.Partition, 0)
	}
	orDefault(&s.RevisionHistoryLimit, 10)
	orDefault(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	orValue(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	orValue(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	defaultTemplate(&s.Template)
}

func defaultDaemonSet(o *appsv1.DaemonSet) {
	s := &o.Spec
	orValue(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		orDefault(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		orDefault(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		orDefault(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	orDefault(&s.RevisionHistoryLimit, 10)
	defaultTemplate(&s.Template)
}

func (c *Cluster) defaultJob(o *batchv1.Job, old *unstructured.Unstructured) {
	s := &o.Spec
	if s.Completions == nil && s.Parallelism == nil {
		orDefault(&s.Completions, 1)
	}
	orDefault(&s.Parallelism, 1)
	orDefault(&s.BackoffLimit, 6)
	orDefault(&s.CompletionMode, batchv1.NonIndexedCompletion)
	orDefault(&s.Suspend, false)
	orDefault(&s.ManualSelector, false)
	orDefault(&s.PodReplacementPolicy, batchv1.TerminatingOrFailed)
	if old == nil && !*s.ManualSelector && s.Selector == nil {
		labelJob(o)
	}
	defaultTemplate(&s.Template)
}

// labelJob generates the labels and the selector by which a Job finds its pods.
func labelJob(o *batchv1.Job) {
	add := map[string]string{
		batchv1.ControllerUidLabel: string(o.UID), "controller-uid": string(o.UID),
		batchv1.JobNameLabel: o.Name, "job-name": o.Name,
	}
	if o.Spec.Template.Labels == nil {
		o.Spec.Template.Labels = map[string]string{}
	}
	maps.Copy(o.Spec.Template.Labels, add)
	o.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{batchv1.ControllerUidLabel: string(o.UID)}}
}

func defaultCronJob(o *batchv1.CronJob) {
	orValue(&o.Spec.ConcurrencyPolicy, batchv1.AllowConcurrent)
	orDefault(&o.Spec.Suspend, false)
	orDefault(&o.Spec.SuccessfulJobsHistoryLimit, 3)
	orDefault(&o.Spec.FailedJobsHistoryLimit, 1)
	defaultTemplate(&o.Spec.JobTemplate.Spec.Template)
}

func defaultSlice(o *discoveryv1.EndpointSlice) {
	for i := range o.Ports {
		orDefault(&o.Ports[i].Name, "")
		orDefault(&o.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}

func (c *Cluster) defaultService(o *corev1.Service, old *unstructured.Unstructured) {
	s := &o.Spec
	orValue(&s.Type, corev1.ServiceTypeClusterIP)
	orValue(&s.SessionAffinity, corev1.ServiceAffinityNone)
	for i := range s.Ports {
		p := &s.Ports[i]
		orValue(&p.Protocol, corev1.ProtocolTCP)
		if p.TargetPort == (intstr.IntOrString{}) {
			p.TargetPort = intstr.FromInt32(p.Port)
		}
	}
	if s.Type == corev1.ServiceTypeExternalName {
		return
	}
	orDefault(&s.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	orDefault(&s.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
	if len(s.IPFamilies) == 0 {
		s.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	c.allocate(s, old)
}

// allocate gives the Service the addresses and ports it has or needs.
func (c *Cluster) allocate(s *corev1.ServiceSpec, old *unstructured.Unstructured) {
	if s.ClusterIP == "" && len(s.ClusterIPs) > 0 {
		s.ClusterIP = s.ClusterIPs[0]
	}
	if s.ClusterIP == "" && old != nil {
		s.ClusterIP, _, _ = unstructured.NestedString(old.Object, "spec", "clusterIP")
	}
	if s.ClusterIP == "" {
		c.nextVIP++
		s.ClusterIP = fmt.Sprintf("10.96.%d.%d", c.nextVIP/250+1, c.nextVIP%250+1)
	}
	s.ClusterIPs = []string{s.ClusterIP}
	if s.Type == corev1.ServiceTypeClusterIP {
		return
	}
	orValue(&s.ExternalTrafficPolicy, corev1.ServiceExternalTrafficPolicyCluster)
	if s.Type == corev1.ServiceTypeLoadBalancer {
		orDefault(&s.AllocateLoadBalancerNodePorts, true)
	}
	had := nodePorts(old)
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.NodePort == 0 {
			p.NodePort = had[p.Port]
		}
		if p.NodePort == 0 {
			c.nextPort++
			p.NodePort = int32(30000 + c.nextPort)
		}
	}
}

func nodePorts(old *unstructured.Unstructured) map[int32]int32 {
	had := map[int32]int32{}
	if old == nil {
		return had
	}
	list, _, _ := unstructured.NestedSlice(old.Object, "spec", "ports")
	for _, v := range list {
		p, _ := v.(map[string]any)
		port, _ := p["port"].(int64)
		node, _ := p["nodePort"].(int64)
		had[int32(port)] = int32(node)
	}
	return had
}
