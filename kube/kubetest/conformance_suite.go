package kubetest

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// suite is what a conformance case works with.
type suite struct {
	t       *testing.T
	ctx     context.Context
	client  kubernetes.Interface
	dynamic dynamic.Interface
	ns      string
	timeout time.Duration
}

func newSuite(t *testing.T, cfg *rest.Config, opts ConformanceOptions) *suite {
	t.Helper()
	s := &suite{t: t, ctx: t.Context(), timeout: opts.Timeout}
	if s.timeout == 0 {
		s.timeout = time.Minute
	}
	cfg = rest.CopyConfig(cfg)
	cfg.UserAgent = "conformance/v1"
	var err error
	s.client, err = kubernetes.NewForConfig(cfg)
	s.ok(err)
	s.dynamic, err = dynamic.NewForConfig(cfg)
	s.ok(err)
	ns, err := s.client.CoreV1().Namespaces().Create(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "conformance-"}}, metav1.CreateOptions{})
	s.ok(err)
	s.ns = ns.Name
	t.Cleanup(func() {
		_ = s.client.CoreV1().Namespaces().Delete(context.WithoutCancel(s.ctx), s.ns, metav1.DeleteOptions{})
	})
	s.eventually("ServiceAccount default", func() (bool, string) {
		_, err := s.client.CoreV1().ServiceAccounts(s.ns).Get(s.ctx, "default", metav1.GetOptions{})
		return err == nil, fmt.Sprint(err)
	})
	return s
}

func (s *suite) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("unexpected error: %v", err)
	}
}

func (s *suite) equal(what string, want, got any) {
	s.t.Helper()
	if !reflect.DeepEqual(want, got) {
		s.t.Fatalf("%s: want %v, got %v", what, want, got)
	}
}

func (s *suite) check(is bool, format string, args ...any) {
	s.t.Helper()
	if !is {
		s.t.Fatalf(format, args...)
	}
}

// refused checks the code and reason of an error and that it says something.
func (s *suite) refused(err error, code int32, reason metav1.StatusReason, says ...string) *metav1.Status {
	s.t.Helper()
	api, ok := err.(apierrors.APIStatus)
	if !ok {
		s.t.Fatalf("want a Status with code %d, got %v", code, err)
	}
	st := api.Status()
	if st.Code != code || st.Reason != reason {
		s.t.Fatalf("want %d %s, got %d %s: %s", code, reason, st.Code, st.Reason, st.Message)
	}
	for _, part := range says {
		if !strings.Contains(st.Message, part) {
			s.t.Fatalf("message %q does not say %q", st.Message, part)
		}
	}
	return &st
}

// cause checks that a 422 blames a field.
func (s *suite) cause(st *metav1.Status, field string) {
	s.t.Helper()
	if st.Details != nil {
		for _, c := range st.Details.Causes {
			if c.Field == field {
				return
			}
		}
	}
	s.t.Fatalf("no cause for field %s in %+v", field, st.Details)
}

// eventually waits until done, in steps that cost a genuine server little.
func (s *suite) eventually(what string, done func() (bool, string)) {
	s.t.Helper()
	deadline := time.Now().Add(s.timeout)
	for {
		ok, state := done()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not within %s: %s", what, s.timeout, state)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func pointer[T any](v T) *T { return &v }

// deploy returns a Deployment that selects app=NAME.
func (s *suite) deploy(name, image string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.ns},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: template(labels, image),
		},
	}
}

func template(labels map[string]string, image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: pointer[int64](5),
			Containers: []corev1.Container{{
				Name: "app", Image: image, Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}},
			}},
		},
	}
}

func (s *suite) create(d *appsv1.Deployment) *appsv1.Deployment {
	s.t.Helper()
	out, err := s.client.AppsV1().Deployments(s.ns).Create(s.ctx, d, metav1.CreateOptions{})
	s.ok(err)
	return out
}

func (s *suite) get(name string) *appsv1.Deployment {
	s.t.Helper()
	d, err := s.client.AppsV1().Deployments(s.ns).Get(s.ctx, name, metav1.GetOptions{})
	s.ok(err)
	return d
}

func (s *suite) setImage(name, image string) *appsv1.Deployment {
	s.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, image)
	d, err := s.client.AppsV1().Deployments(s.ns).Patch(s.ctx, name, types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	s.ok(err)
	return d
}

// rolledOut waits as kubectl rollout status does, for the generation given.
func (s *suite) rolledOut(d *appsv1.Deployment) *appsv1.Deployment {
	s.t.Helper()
	var got *appsv1.Deployment
	s.eventually("rollout of "+d.Name, func() (bool, string) {
		got = s.get(d.Name)
		st, want := got.Status, *got.Spec.Replicas
		return st.ObservedGeneration >= d.Generation && st.UpdatedReplicas == want && st.Replicas == want && st.AvailableReplicas == want,
			fmt.Sprintf("%+v", st)
	})
	return got
}

func (s *suite) replicaSets(app string) map[string]appsv1.ReplicaSet {
	s.t.Helper()
	list, err := s.client.AppsV1().ReplicaSets(s.ns).List(s.ctx, metav1.ListOptions{LabelSelector: "app=" + app})
	s.ok(err)
	byImage := map[string]appsv1.ReplicaSet{}
	for _, rs := range list.Items {
		byImage[rs.Spec.Template.Spec.Containers[0].Image] = rs
	}
	return byImage
}

func (s *suite) podList(selector string) []corev1.Pod {
	s.t.Helper()
	list, err := s.client.CoreV1().Pods(s.ns).List(s.ctx, metav1.ListOptions{LabelSelector: selector})
	s.ok(err)
	return list.Items
}

// hasEvent waits for an event about an object.
func (s *suite) hasEvent(kind, reason string, says string) {
	s.t.Helper()
	s.eventually("event "+reason, func() (bool, string) {
		list, err := s.client.CoreV1().Events(s.ns).List(s.ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=" + kind})
		if err != nil {
			return false, err.Error()
		}
		var seen []string
		for _, e := range list.Items {
			if e.Reason == reason && strings.Contains(e.Message, says) {
				return true, ""
			}
			seen = append(seen, e.Reason+": "+e.Message)
		}
		return false, strings.Join(seen, "; ")
	})
}

func (s *suite) service(name string, selector map[string]string) *corev1.Service {
	s.t.Helper()
	svc, err := s.client.CoreV1().Services(s.ns).Create(s.ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: selector,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}, metav1.CreateOptions{})
	s.ok(err)
	return svc
}

// condition finds a condition of a Deployment.
func conditionOf(d *appsv1.Deployment, t appsv1.DeploymentConditionType) appsv1.DeploymentCondition {
	if c := deploymentCondition(&d.Status, t); c != nil {
		return *c
	}
	return appsv1.DeploymentCondition{}
}
