package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/load"
	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/strategy"
)

// Pods that end at once when they are told to lose requests in a rolling update of any
// tool. With red/black no new connection reaches them by then, even if the old version
// goes as soon as the traffic has settled; a rolling update says beforehand what it may lose.
func TestRedBlackOfPodsThatDoNotDrain(t *testing.T) {
	t.Parallel()
	b := newCanaryBench(t, nil)
	text := strings.Replace(canaryYAML, "      annotations: {testcluster/drain: 2s}\n", "", 1)
	require.NotContains(t, text, "drain")
	b.app.Manifests = kube.YAML("web.yaml", []byte(strings.Replace(text, "HOST", b.host(), 1)))
	s := strategy.RedBlack{Settle: time.Second, KeepOld: strategy.Immediately}
	b.release("v1", s)
	svc, err := b.client.CoreV1().Services(b.namespace).Get(t.Context(), "web", metav1.GetOptions{})
	require.NoError(t, err)
	var loads []*load.Load
	for _, o := range []load.Options{
		{URL: "http://" + svc.Spec.ClusterIP, Method: http.MethodPost, Rate: 250},
		{URL: "http://" + cluster.IngressIP, Host: b.host(), Method: http.MethodPost, Rate: 250},
	} {
		b.answers(o.URL, o.Host, shopDigest("v1"))
		l, err := load.Start(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { l.Stop() })
		loads = append(loads, l)
	}
	tags := []string{"v2", "v3", "v4"}
	for _, tag := range tags {
		b.release(tag, s)
	}
	for _, l := range loads {
		r := l.Stop()
		require.Zero(t, r.Failures, r)
		for _, tag := range tags[:2] {
			require.Positive(t, r.ByVersion[shopDigest(tag)], r)
		}
	}

	other := newCanaryBench(t, nil)
	other.app.Manifests = b.app.Manifests
	warned := ""
	for ev, err := range other.begin("v1", strategy.Rolling{Settle: time.Second}).Watch(t.Context()) {
		require.NoError(t, err)
		if strings.HasPrefix(ev.Detail, "warning: ") {
			warned = ev.Detail
		}
	}
	require.Contains(t, warned, "a rolling update loses requests")
}
