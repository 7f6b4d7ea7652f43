package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// What examples/release releases, and where to.
const (
	shopImage  = "harbor.example.com/shop/web"
	shopCommit = "4f2a9c1d7e"
	shopJob    = "shop/build"
	shopTest   = "shop-test"
	shopProd   = "shop-prod"
)

// shopHosts are the hosts of the environments' Ingresses.
var shopHosts = map[string]string{shopTest: "shop.test.example.com", shopProd: "shop.example.com"}

// shopReplicas are the pods of the environments.
var shopReplicas = map[string]int{shopTest: 1, shopProd: 3}

// releaser is the user whose kubeconfig the program gets.
const releaser = "u1"

// shop is the surroundings of examples/release: two namespaces of the genuine
// cluster, and a simulated Jenkins on a port.
type shop struct {
	t       *testing.T
	cluster *cluster.Cluster
	client  kubernetes.Interface
	jenkins *jenkinstest.Server
	url     string // of Jenkins
	state   string
}

// newShop makes the surroundings. The example knows its namespaces by name, so tests
// that use it must follow each other.
func newShop(t *testing.T) *shop {
	c := clustertest.Own(t)
	_, err := releaseProgram()
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(c.Config(cluster.Tester))
	require.NoError(t, err)
	s := &shop{t: t, cluster: c, client: client, state: t.TempDir(), jenkins: jenkinstest.New(jenkinstest.Options{})}
	t.Cleanup(s.jenkins.Close)
	s.jenkins.AddJob(jenkinstest.Job{
		Name: shopJob, Kind: jenkinstest.Pipeline, QuietPeriod: -1,
		Parameters: []jenkinstest.Parameter{
			{Name: "GENNAKER_KEY"}, {Name: "IMAGE"}, {Name: "BRANCH"}, {Name: "TAG"}, {Name: "COMMIT"},
		},
		Build: shopBuild,
	})
	s.url = s.jenkins.Start().URL
	for _, name := range []string{shopTest, shopProd} {
		s.namespace(name)
	}
	return s
}

// shopBuild is the Jenkinsfile. A tag that ends in -broken doesn't compile.
func shopBuild(b *jenkinstest.Build) {
	b.Stage("checkout", func() {
		b.Log("checking out %s of %s", b.Param("COMMIT"), b.Param("BRANCH"))
		b.Sleep(100 * time.Millisecond)
	})
	b.Stage("docker build", func() {
		b.Sleep(300 * time.Millisecond)
		if strings.HasSuffix(b.Param("TAG"), "-broken") {
			b.Log("main.go:7:2: undefined: basket")
			b.Fail("script returned exit code 1")
		}
	})
	b.Stage("docker push", func() {
		digest := shopDigest(b.Param("TAG"))
		b.Log("%s:%s: digest: %s", b.Param("IMAGE"), b.Param("TAG"), digest)
		meta, err := json.Marshal(map[string]string{"image": b.Param("IMAGE") + ":" + b.Param("TAG"), "digest": digest})
		if err != nil {
			b.Fail("%v", err)
		}
		b.Archive("image.json", meta)
	})
}

// shopDigest is the digest of the image that is built for a tag. It is also the
// version that the pods of that image say they are.
func shopDigest(tag string) string {
	sum := sha256.Sum256([]byte(shopImage + ":" + tag))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// namespace makes a namespace if it isn't there, and empties it after the test.
// It is not removed, which takes longer than most of the tests.
func (s *shop) namespace(name string) {
	s.t.Helper()
	namespaces := s.client.CoreV1().Namespaces()
	_, err := namespaces.Create(s.t.Context(), &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if !apierrors.IsAlreadyExists(err) {
		require.NoError(s.t, err)
	}
	s.t.Cleanup(func() { s.empty(name) })
	clustertest.Eventually(s.t, patience, func(ctx context.Context) error {
		_, err := s.client.CoreV1().ServiceAccounts(name).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

// empty removes what a release makes and waits until no pod is left.
func (s *shop) empty(name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), patience)
	defer cancel()
	background, now := metav1.DeletePropagationBackground, metav1.DeleteOptions{GracePeriodSeconds: new(int64)}
	core, all := s.client.CoreV1(), metav1.ListOptions{}
	err := errors.Join(
		s.client.NetworkingV1().Ingresses(name).DeleteCollection(ctx, metav1.DeleteOptions{}, all),
		ignoreNotFound(core.Services(name).Delete(ctx, "shop", metav1.DeleteOptions{})),
		core.ConfigMaps(name).DeleteCollection(ctx, metav1.DeleteOptions{}, all),
		s.client.AppsV1().Deployments(name).DeleteCollection(ctx, metav1.DeleteOptions{PropagationPolicy: &background}, all),
	)
	for err == nil {
		sets, err1 := s.client.AppsV1().ReplicaSets(name).List(ctx, all)
		pods, err2 := core.Pods(name).List(ctx, all)
		if err = errors.Join(err1, err2); err == nil && len(sets.Items)+len(pods.Items) == 0 {
			return
		}
		_ = core.Pods(name).DeleteCollection(ctx, now, all) // the drains need not end
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.t.Errorf("emptying namespace %s: %v", name, err)
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// start starts a release; its id is its tag.
func (s *shop) start(t *testing.T, tag string, args ...string) *running {
	t.Helper()
	args = append([]string{
		"-id", "shop-" + tag, "-tag", tag, "-state", s.state, "-approve", "auto", "-json",
		"-jenkins", s.url, "-kubeconfig", s.cluster.Kubeconfig(releaser),
	}, args...)
	env := []string{"JENKINS_USER=" + jenkinstest.AdminUser, "JENKINS_TOKEN=" + jenkinstest.AdminToken}
	return startProgram(t, env, args...)
}

// release runs a release to its end.
func (s *shop) release(t *testing.T, tag string, args ...string) outcome {
	t.Helper()
	return s.start(t, tag, args...).wait()
}

// released runs a release that must succeed.
func (s *shop) released(t *testing.T, tag string, args ...string) outcome {
	t.Helper()
	o := s.release(t, tag, args...)
	require.Zero(t, o.code, o)
	return o
}

// service is the URL of an environment's Service.
func (s *shop) service(t *testing.T, namespace string) string {
	t.Helper()
	service, err := s.client.CoreV1().Services(namespace).Get(t.Context(), "shop", metav1.GetOptions{})
	require.NoError(t, err)
	return "http://" + service.Spec.ClusterIP
}

// builds are the builds of a tag.
func (s *shop) builds(tag string) int {
	return len(slices.DeleteFunc(s.jenkins.Builds(shopJob), func(b jenkinstest.BuildInfo) bool { return b.Params["TAG"] != tag }))
}

// shopRecord is the ConfigMap that tells which release came last, and how it ended.
const shopRecord = "gennaker-shop"

// objects is every object of a namespace that a release may write but its record,
// as it was asked for, without what changes whenever it is written.
func (s *shop) objects(t *testing.T, namespace string) map[string]string {
	t.Helper()
	all := map[string]string{}
	add := func(kind string, meta metav1.ObjectMeta, spec any) {
		text, err := json.Marshal(spec)
		require.NoError(t, err)
		all[kind+" "+meta.Name] = fmt.Sprintf("%s %s", meta.UID, text)
	}
	deployments, err := s.client.AppsV1().Deployments(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range deployments.Items {
		add("Deployment", o.ObjectMeta, o.Spec)
	}
	services, err := s.client.CoreV1().Services(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range services.Items {
		add("Service", o.ObjectMeta, o.Spec)
	}
	ingresses, err := s.client.NetworkingV1().Ingresses(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range ingresses.Items {
		add("Ingress", o.ObjectMeta, o.Spec)
	}
	settings, err := s.client.CoreV1().ConfigMaps(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, o := range settings.Items {
		if o.Name != shopRecord {
			add("ConfigMap", o.ObjectMeta, o.Data)
		}
	}
	return all
}
