package kubetest_test

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

var ctx = context.Background()

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func TestFaults(t *testing.T) {
	create := func(client kubernetes.Interface, name string) error {
		_, err := client.CoreV1().ConfigMaps("default").Create(ctx, configMap(name), metav1.CreateOptions{})
		return err
	}
	exists := func(client kubernetes.Interface, name string) bool {
		_, err := client.CoreV1().ConfigMaps("default").Get(ctx, name, metav1.GetOptions{})
		return err == nil
	}
	t.Run("codes", func(t *testing.T) {
		bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
			for code, is := range map[int]func(error) bool{
				409: apierrors.IsConflict, 500: apierrors.IsInternalError, 503: apierrors.IsServiceUnavailable,
			} {
				k.Inject(kubetest.Fault{Verb: "create", Resource: "configmaps", Code: code, Times: 1})
				require.True(t, is(create(client, "a")))
			}
			require.NoError(t, create(client, "a"))
		})
	})
	t.Run("retry after", func(t *testing.T) {
		bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
			k.Inject(kubetest.Fault{Verb: "create", Code: 429, RetryAfter: 7 * time.Second, Times: 1})
			began := time.Now()
			require.NoError(t, create(client, "a"), "client-go retries a 429 that says when")
			require.Equal(t, 7*time.Second, time.Since(began))
		})
	})
	t.Run("lost", func(t *testing.T) {
		bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
			k.Inject(kubetest.Fault{Verb: "create", Name: "", LoseRequest: true, Times: 1})
			require.ErrorIs(t, create(client, "a"), syscall.ECONNRESET)
			require.False(t, exists(client, "a"))
			k.Inject(kubetest.Fault{Verb: "create", LoseReply: true, Times: 1})
			require.ErrorIs(t, create(client, "a"), syscall.ECONNRESET)
			require.True(t, exists(client, "a"))
		})
	})
	t.Run("delay and skip", func(t *testing.T) {
		bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
			k.Inject(kubetest.Fault{Verb: "create", Skip: 1, Delay: time.Minute})
			began := time.Now()
			require.NoError(t, create(client, "a"))
			require.Zero(t, time.Since(began))
			require.NoError(t, create(client, "b"))
			require.Equal(t, time.Minute, time.Since(began))
			short, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			_, err := client.CoreV1().ConfigMaps("default").Create(short, configMap("c"), metav1.CreateOptions{})
			require.ErrorIs(t, err, context.DeadlineExceeded)
		})
	})
	t.Run("stale", func(t *testing.T) {
		bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
			require.NoError(t, create(client, "a"))
			time.Sleep(time.Minute)
			require.NoError(t, create(client, "b"))
			remove := k.Inject(kubetest.Fault{Resource: "configmaps", Stale: 30 * time.Second})
			require.True(t, exists(client, "a"))
			require.False(t, exists(client, "b"))
			list, err := client.CoreV1().ConfigMaps("default").List(ctx, metav1.ListOptions{})
			require.NoError(t, err)
			require.Len(t, list.Items, 1)
			remove()
			require.True(t, exists(client, "b"))
		})
	})
	t.Run("over a socket", func(t *testing.T) {
		k := kubetest.New(kubetest.Options{})
		t.Cleanup(k.Close)
		s, err := k.Serve("")
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		client := kubernetes.NewForConfigOrDie(s.Config())
		k.Inject(kubetest.Fault{Verb: "create", LoseReply: true, Times: 1})
		require.Error(t, create(client, "a"))
		require.True(t, exists(client, "a"))
	})
}

func TestRequestLog(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		_, err := client.AppsV1().Deployments("default").Create(ctx, deployment("shop", "shop:v1", 1), metav1.CreateOptions{FieldManager: "release"})
		require.NoError(t, err)
		_, err = client.AppsV1().Deployments("default").Get(ctx, "other", metav1.GetOptions{})
		require.Error(t, err)
		time.Sleep(time.Second)
		got := k.Requests()
		require.Len(t, got, 2, "what controllers do is not logged")
		require.Equal(t, "release", got[0].Manager)
		require.Equal(t, 201, got[0].Code)
		require.Equal(t, kubetest.Request{
			Time: got[1].Time, Verb: "get", Group: "apps", Resource: "deployments", Namespace: "default", Name: "other",
			Manager: "kubetest.test", Code: 404,
		}, got[1])
		k.ResetRequests()
		require.Empty(t, k.Requests())
	})
}

func TestWatchIsDroppedAndTooOld(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		cms := client.CoreV1().ConfigMaps("default")
		w, err := cms.Watch(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, k.OpenWatches("configmaps"))
		require.Equal(t, 1, k.DropWatches("configmaps"))
		_, open := <-w.ResultChan()
		require.False(t, open)

		k.Inject(kubetest.Fault{Verb: "watch", DropAfter: time.Minute, Times: 1})
		began := time.Now()
		w, err = cms.Watch(ctx, metav1.ListOptions{})
		require.NoError(t, err)
		_, open = <-w.ResultChan()
		require.False(t, open)
		require.Equal(t, time.Minute, time.Since(began))

		_, err = cms.Create(ctx, configMap("a"), metav1.CreateOptions{})
		require.NoError(t, err)
		k.Forget()
		w, err = cms.Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
		require.NoError(t, err)
		ev := <-w.ResultChan()
		require.Equal(t, watch.Error, ev.Type)
		require.True(t, apierrors.IsResourceExpired(apierrors.FromObject(ev.Object)))
		require.EqualValues(t, 410, ev.Object.(*metav1.Status).Code)
	})
}

// Three days of an informer cost next to nothing and miss nothing, although
// the server ends its watches and forgets its history.
func TestInformerForThreeDays(t *testing.T) {
	bubble(t, kubetest.Options{History: 50}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		factory := informers.NewSharedInformerFactory(client, 0)
		lister := factory.Core().V1().ConfigMaps().Lister()
		factory.Core().V1().ConfigMaps().Informer()
		running, cancel := context.WithCancel(ctx)
		factory.Start(running.Done())
		factory.WaitForCacheSync(running.Done())
		for i := range 72 {
			_, err := client.CoreV1().ConfigMaps("default").Create(ctx, configMap(fmt.Sprint("c", i)), metav1.CreateOptions{})
			require.NoError(t, err)
			if i%10 == 0 {
				k.Forget()
				k.DropWatches("")
			}
			time.Sleep(time.Hour)
			got, err := lister.ConfigMaps("default").Get(fmt.Sprint("c", i))
			require.NoError(t, err)
			require.NotEmpty(t, got.UID)
		}
		cancel()
		factory.Shutdown()
	})
}

func TestSameRequestsSameCluster(t *testing.T) {
	run := func() (log []string) {
		bubble(t, kubetest.Options{OnWrite: func(_ kubetest.View, ch kubetest.Change) {
			log = append(log, fmt.Sprint(ch.Type, ch.Resource, ch.Object.GetName(), ch.Object.GetUID(), ch.Object.GetResourceVersion()))
		}}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
			_, err := client.AppsV1().Deployments("default").Create(ctx, deployment("shop", "shop:v1", 5), metav1.CreateOptions{})
			require.NoError(t, err)
			time.Sleep(time.Minute)
		})
		return log
	}
	first := run()
	require.Greater(t, len(first), 20)
	require.Equal(t, strings.Join(first, "\n"), strings.Join(run(), "\n"))
}

func TestClosedClusterRefuses(t *testing.T) {
	k := kubetest.New(kubetest.Options{})
	k.Close()
	k.Close()
	client := kubernetes.NewForConfigOrDie(k.Config())
	_, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{})
	require.ErrorIs(t, err, kubetest.ErrClosed)
}

func TestWatchEndsWithItsContext(t *testing.T) {
	bubble(t, kubetest.Options{}, func(t *testing.T, k *kubetest.Cluster, client kubernetes.Interface) {
		rc := client.CoreV1().RESTClient().(*rest.RESTClient)
		short, cancel := context.WithCancel(ctx)
		stream, err := rc.Get().Namespace("default").Resource("pods").Param("watch", "true").Stream(short)
		require.NoError(t, err)
		synctest.Wait()
		require.Equal(t, 1, k.OpenWatches("pods"))
		cancel()
		_, err = stream.Read(make([]byte, 10))
		require.Error(t, err)
		synctest.Wait()
		require.Zero(t, k.OpenWatches("pods"))
	})
}
