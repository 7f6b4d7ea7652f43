package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/pipeline"
)

// What fails before prod leaves prod alone.
func TestFailedReleaseLeavesProdAlone(t *testing.T) {
	s := newShop(t)
	s.released(t, "v0")
	s.runs(t, shopProd, "v0", shopReplicas[shopProd])
	for _, c := range []struct {
		name, tag string
		args      []string
		want      []string
	}{
		{"a build that fails", "v1-broken", nil, []string{`stage "build" failed`, "main.go:7:2: undefined: basket"}},
		{"a rejected approval", "v2", []string{"-approve", "never"}, []string{"rejected by approver", "-approve never"}},
		{"a job that isn't there", "v3", []string{"-job", "shop/other"}, []string{`stage "build" failed`, "shop/other"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := s.objects(t, shopProd)
			o := s.release(t, c.tag, c.args...)
			require.Equal(t, 1, o.code, o)
			for _, text := range c.want {
				require.Contains(t, o.errs, text)
			}
			require.Equal(t, before, s.objects(t, shopProd))
			require.False(t, o.has("prod", pipeline.EventStageStarted), o)
		})
	}
}

// A rollout that can't become ready fails with the reason that its pods give, and
// nobody who uses prod notices.
func TestBrokenRolloutRestoresProd(t *testing.T) {
	for _, strategy := range []string{"redblack", "rolling"} {
		t.Run(strategy, func(t *testing.T) {
			s := newShop(t)
			s.released(t, "v0", "-strategy", strategy)
			for i, c := range []struct{ key, reason string }{
				{"crash", "CrashLoopBackOff"},
				{"imagepull", "ImagePullBackOff"},
			} {
				t.Run(c.reason, func(t *testing.T) {
					s.breaks(t, fmt.Sprintf("v%d", i+1), strategy, c.key, c.reason)
				})
			}
		})
	}
}

func (s *shop) breaks(t *testing.T, tag, strategy, key, reason string) {
	s.runs(t, shopProd, "v0", shopReplicas[shopProd])
	s.mutate(t, tag, key)
	before := s.objects(t, shopProd)
	all := s.witnesses(t, "v0", shopProd)
	o := s.release(t, tag, "-strategy", strategy)
	require.Equal(t, 1, o.code, o)
	require.Contains(t, o.errs, reason)
	require.Contains(t, o.errs, "the baseline is restored and verified")
	began, failed := o.at(t, "prod", pipeline.EventStageStarted), o.at(t, "prod", pipeline.EventStageFailed)
	seen := s.evidence(t, began)
	t.Logf("%s with %s: failed %s after the evidence, %s after the stage began", strategy, reason,
		failed.Sub(seen).Round(time.Millisecond), failed.Sub(began).Round(time.Millisecond))
	require.Less(t, failed.Sub(seen), 10*time.Second)
	s.runs(t, shopProd, "v0", shopReplicas[shopProd])
	require.Equal(t, before, s.objects(t, shopProd))
	for _, w := range all {
		r := w.load.Stop()
		require.Zero(t, r.Failures, "%s: %s", w, r)
		require.Equal(t, map[string]int{shopDigest("v0"): r.Requests}, r.ByVersion)
	}
}

// evidence is when the first event that tells what is wrong came, in whole seconds,
// rounded down.
func (s *shop) evidence(t *testing.T, since time.Time) time.Time {
	t.Helper()
	var first time.Time
	events, err := s.client.CoreV1().Events(shopProd).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, e := range events.Items {
		at := e.FirstTimestamp.Time
		told := e.Reason == "BackOff" || e.Reason == "Failed"
		if told && !at.Before(since.Truncate(time.Second)) && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	require.False(t, first.IsZero(), "no event about what is wrong")
	return first
}

// mutate lets the pods of a tag in prod do what the key says, as a broken image
// would: the example's images are bound by digest, so that no tag can say it.
func (s *shop) mutate(t *testing.T, tag, key string) {
	t.Helper()
	policies := s.client.AdmissionregistrationV1().MutatingAdmissionPolicies()
	bindings := s.client.AdmissionregistrationV1().MutatingAdmissionPolicyBindings()
	name := "break-" + key
	_, err := policies.Create(t.Context(), &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			MatchConstraints:   inProd("", "v1", "pods"),
			MatchConditions: []admissionv1.MatchCondition{{
				Name: "image", Expression: fmt.Sprintf("object.spec.containers[0].image.endsWith(%q)", shopDigest(tag)),
			}},
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{Expression: fmt.Sprintf(
					`Object{metadata: Object.metadata{annotations: {"testcluster/%s": "true"}}}`, key)},
			}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = bindings.Create(t.Context(), &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, bindings.Delete(ctx, name, metav1.DeleteOptions{}))
		require.NoError(t, policies.Delete(ctx, name, metav1.DeleteOptions{}))
	})
	clustertest.Eventually(t, patience, func(ctx context.Context) error {
		pod, err := s.client.CoreV1().Pods(shopProd).Create(ctx, &v1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "probe"},
			Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "shop", Image: shopImage + "@" + shopDigest(tag)}}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && pod.Annotations["testcluster/"+key] == "" {
			err = fmt.Errorf("policy %s isn't in force", name)
		}
		return err
	})
}

// inProd matches a kind of object in prod.
func inProd(group, version, resource string) *admissionv1.MatchResources {
	return &admissionv1.MatchResources{
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1.LabelMetadataName: shopProd}},
		ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
			Operations: []admissionv1.OperationType{admissionv1.Create, admissionv1.Update},
			Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource}},
		}}},
	}
}

// A manifest that the API server refuses: nothing of the release is written to prod.
func TestRefusedManifest(t *testing.T) {
	s := newShop(t)
	const name = "no-ingress"
	fail := admissionv1.Fail
	policies := s.client.AdmissionregistrationV1().ValidatingAdmissionPolicies()
	bindings := s.client.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	_, err := policies.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			FailurePolicy:    &fail,
			MatchConstraints: inProd("networking.k8s.io", "v1", "ingresses"),
			Validations:      []admissionv1.Validation{{Expression: "false", Message: "prod takes no Ingress today"}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = bindings.Create(t.Context(), &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, bindings.Delete(ctx, name, metav1.DeleteOptions{}))
		require.NoError(t, policies.Delete(ctx, name, metav1.DeleteOptions{}))
	})
	s.refusesIngresses(t)
	before := s.objects(t, shopProd)
	o := s.release(t, "v1")
	require.Equal(t, 1, o.code, o)
	require.Contains(t, o.errs, `stage "prod" failed`)
	require.Contains(t, o.errs, "Ingress shop-prod/shop")
	require.Contains(t, o.errs, "prod takes no Ingress today")
	require.Equal(t, before, s.objects(t, shopProd))
	s.runs(t, shopTest, "v1", shopReplicas[shopTest])
}

func (s *shop) refusesIngresses(t *testing.T) {
	t.Helper()
	backend := &networkingv1.IngressBackend{Service: &networkingv1.IngressServiceBackend{
		Name: "shop", Port: networkingv1.ServiceBackendPort{Name: "http"},
	}}
	clustertest.Eventually(t, patience, func(ctx context.Context) error {
		_, err := s.client.NetworkingV1().Ingresses(shopProd).Create(ctx, &networkingv1.Ingress{
			ObjectMeta: metav1.ObjectMeta{Name: "probe"},
			Spec:       networkingv1.IngressSpec{DefaultBackend: backend},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil {
			return fmt.Errorf("the policy isn't in force")
		}
		if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) {
			return nil
		}
		return err
	})
}

// A namespace that isn't there is named, and nothing is made in its place.
func TestMissingNamespace(t *testing.T) {
	s := newShop(t)
	require.NoError(t, s.client.CoreV1().Namespaces().Delete(t.Context(), shopProd, metav1.DeleteOptions{}))
	clustertest.Eventually(t, patience, func(ctx context.Context) error {
		_, err := s.client.CoreV1().Namespaces().Get(ctx, shopProd, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("namespace %s is still there: %w", shopProd, err)
	})
	o := s.release(t, "v1")
	require.Equal(t, 1, o.code, o)
	require.Contains(t, o.errs, `stage "prod" failed`)
	require.Contains(t, o.errs, `namespaces "shop-prod" not found`)
	_, err := s.client.CoreV1().Namespaces().Get(t.Context(), shopProd, metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), err)
}
