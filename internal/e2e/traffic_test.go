package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/gennaker/gennaker/internal/e2e/load"
)

// drive starts a load and waits until the version answers.
func (b *bench) drive(o load.Options, version string) *load.Load {
	b.t.Helper()
	l, err := load.Start(b.t.Context(), o)
	require.NoError(b.t, err)
	b.t.Cleanup(func() { l.Stop() })
	require.NoError(b.t, l.Until(b.t.Context(), func(r load.Report) bool { return r.ByVersion[version] > 0 }))
	return l
}

// warm waits until the Service answers at all: kube-proxy may take a sync period.
func (b *bench) warm(url string) {
	b.t.Helper()
	l, err := load.Start(b.t.Context(), load.Options{URL: url, Rate: 50, Workers: 2})
	require.NoError(b.t, err)
	err = l.Until(b.t.Context(), func(r load.Report) bool { return len(r.ByVersion) > 0 })
	l.Stop()
	require.NoError(b.t, err)
}

// more waits for n more good answers of a version.
func (b *bench) more(l *load.Load, version string, n int) {
	b.t.Helper()
	want := l.Report().ByVersion[version] + n
	require.NoError(b.t, l.Until(b.t.Context(), func(r load.Report) bool { return r.ByVersion[version] >= want }))
}

// silent waits until a count stays the same over n answers in a row.
func (b *bench) silent(l *load.Load, n int, count func(load.Report) int) {
	b.t.Helper()
	before := l.Report()
	require.NoError(b.t, l.Until(b.t.Context(), func(r load.Report) bool {
		if count(r) != count(before) {
			before = r
		}
		return r.Requests-before.Requests > n
	}))
}

func TestDeploymentServesThroughItsService(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1", 3)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	l := b.drive(load.Options{URL: url}, "v1")
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return len(r.ByPod) == 3 }), "every pod gets a share")
	r := l.Stop()
	require.Zero(t, r.Failures, r)
	require.Equal(t, map[string]int{"v1": r.Requests}, r.ByVersion)
}

func TestSelectorFlipLosesNoRequest(t *testing.T) {
	for _, keepAlive := range []bool{false, true} {
		t.Run(fmt.Sprintf("keepalive=%t", keepAlive), func(t *testing.T) {
			b := newBench(t)
			b.deploy("blue", "app:v1", 3)
			b.deploy("green", "app:v2", 3)
			b.rolledOut("blue")
			b.rolledOut("green")
			url := b.service("blue")
			b.warm(url)
			// POST, so that no request is repeated silently.
			o := load.Options{URL: url, Method: http.MethodPost, KeepAlive: keepAlive, Rate: 300}
			if keepAlive {
				o.Workers = 1 // one connection: of several, a client may leave the old ones idle
			}
			l := b.drive(o, "v1")
			fresh := b.drive(load.Options{URL: url, Method: http.MethodPost, Rate: 50, Workers: 4}, "v1")
			b.selectTrack("green")
			require.NoError(t, fresh.Until(t.Context(), func(r load.Report) bool { return r.ByVersion["v2"] > 0 }))
			b.more(fresh, "v2", 50)
			if keepAlive {
				// Connections that stand are never moved by a change of the selector.
				b.more(l, "v1", 100)
			} else {
				b.more(l, "v2", 300)
			}
			for _, r := range []load.Report{l.Stop(), fresh.Stop()} {
				require.Zero(t, r.Failures, r)
			}
			r := fresh.Report()
			require.Less(t, r.Last["v1"].Sub(r.First["v2"]), 2*time.Second, "the old version goes on for at most a sync period")
		})
	}
}

func (b *bench) selectTrack(track string) {
	b.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"selector":{"track":%q}}}`, track)
	_, err := b.client.CoreV1().Services(b.namespace).Patch(b.t.Context(), "web",
		types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(b.t, err)
}

func TestRollingUpdateWithDrainLosesNoRequest(t *testing.T) {
	b := newBench(t)
	// The pods that end are the old ones, so it is the old image that drains.
	b.deploy("blue", "app:v1-drain_8s", 4)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	l := b.drive(load.Options{URL: url, Method: http.MethodPost, Rate: 300}, "v1")
	b.setImage("blue", "app:v2-drain_8s")
	b.rolledOut("blue")
	b.more(l, "v2", 300)
	b.podsAreOnly("app:v2-drain_8s")
	r := l.Stop()
	require.Zero(t, r.Failures, r)
	require.NotZero(t, r.ByVersion["v1"])
}

func TestRollingUpdateWithoutDrainLosesRequests(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1", 4)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	l := b.drive(load.Options{URL: url, Method: http.MethodPost, Rate: 300}, "v1")
	// The simulation would be too kind if pods that end at once lost nothing:
	// kube-proxy hears of their end after it happened.
	for version := 2; version < 12 && l.Report().Failures == 0; version++ {
		b.setImage("blue", fmt.Sprintf("app:v%d", version))
		b.rolledOut("blue")
		b.more(l, fmt.Sprintf("v%d", version), 50)
	}
	require.NotZero(t, l.Stop().Failures)
}

func (b *bench) setImage(deployment, image string) {
	b.t.Helper()
	patch := fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":"app","image":%q}]}}}}`, image)
	_, err := b.client.AppsV1().Deployments(b.namespace).Patch(b.t.Context(), deployment,
		types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{})
	require.NoError(b.t, err)
}

// podsAreOnly waits until the pods of every other image are gone.
func (b *bench) podsAreOnly(image string) {
	b.t.Helper()
	b.podsUntil("only "+image, func(pods []v1.Pod) bool {
		for _, p := range pods {
			if p.Spec.Containers[0].Image != image {
				return false
			}
		}
		return true
	})
}

func TestUnreadyPodGetsNoTraffic(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1", 2)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	victim := b.podUntil("is ready", ready)
	l := b.drive(load.Options{URL: url}, "v1")
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return len(r.ByPod) == 2 }))
	_, err := b.client.CoreV1().Pods(b.namespace).Patch(t.Context(), victim.Name, types.MergePatchType,
		[]byte(`{"metadata":{"annotations":{"testcluster/unready":"true"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	b.silent(l, 200, func(r load.Report) int { return r.ByPod[victim.Name] })
	require.Zero(t, l.Stop().Failures)
}

func TestServiceWithoutEndpointsRefuses(t *testing.T) {
	b := newBench(t)
	url := b.service("nobody")
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	b.eventually(func() error {
		start := time.Now()
		_, err := client.Get(url)
		if err == nil {
			return fmt.Errorf("somebody answers")
		}
		if took := time.Since(start); took > time.Second {
			return fmt.Errorf("%w after %s: not refused", err, took)
		}
		return nil
	})
}

func TestErrorRateIsExact(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1-err_20", 1)
	b.rolledOut("blue")
	url := b.service("blue")
	b.warm(url)
	l, err := load.Start(t.Context(), load.Options{URL: url, MaxRequests: 500, Rate: 400})
	require.NoError(t, err)
	require.NoError(t, l.Until(t.Context(), func(r load.Report) bool { return r.Took > 0 }))
	r := l.Stop()
	require.InDelta(t, float64(r.Requests)/5, r.ByStatus[500], 1, r)
	require.Equal(t, r.Failures, r.ByStatus[500])
}
