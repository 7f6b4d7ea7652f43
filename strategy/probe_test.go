package strategy_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestProbeJudges(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(n int64, w http.ResponseWriter)
		want   strategy.Judgement
		says   string
	}{
		"new alone": {func(n int64, w http.ResponseWriter) { w.Header().Set("X-Version", "v2") }, strategy.Pass, "all of 44 requests"},
		"one old": {func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Version", map[bool]string{true: "v1", false: "v2"}[n == 17])
		}, strategy.Fail, `of 44 requests 43 were answered by "v2", 1 by "v1"`},
		"one fails": {func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Version", "v2")
			if n == 30 {
				w.WriteHeader(http.StatusBadGateway)
			}
		}, strategy.Fail, "1 of 44 requests failed: status 502"},
		"one is silent": {func(n int64, w http.ResponseWriter) {
			if n != 5 {
				w.Header().Set("X-Version", "v2")
			}
		}, strategy.Fail, `1 by ""`},
		"no header": {func(int64, http.ResponseWriter) {}, strategy.NoData, "no response has the header X-Version"},
		"redirects": {func(n int64, w http.ResponseWriter) {
			w.Header().Set("X-Version", "v2")
			w.Header().Set("Location", "http://elsewhere.invalid/")
			w.WriteHeader(http.StatusFound)
		}, strategy.Pass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int64
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c.answer(n.Add(1), w) }))
			defer s.Close()
			v, err := strategy.Probe{URL: s.URL, Share: 0.1}.Judge(t.Context(), strategy.Question{Canary: "v2"})
			require.NoError(t, err)
			require.Equal(t, c.want, v.Judgement, v.Reason)
			require.Contains(t, v.Reason, c.says)
			require.EqualValues(t, 44, n.Load())
		})
	}
}

func TestProbeThatCannotMeasure(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close()
	_, err := strategy.Probe{URL: s.URL, Share: 0.5}.Judge(t.Context(), strategy.Question{})
	require.ErrorContains(t, err, "each of 7 requests failed")

	var n atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Version", "v2")
		if n.Add(1) > 9 {
			cancel()
			<-r.Context().Done()
		}
	}))
	defer slow.Close()
	v, err := strategy.Probe{URL: slow.URL, Parallel: 1}.Judge(ctx, strategy.Question{Canary: "v2"})
	require.NoError(t, err)
	require.Equal(t, strategy.Inconclusive, v.Judgement)
	require.Contains(t, v.Reason, "9 of 459 requests")

	for want, p := range map[string]strategy.Probe{
		"none of http or https":   {URL: "shop.example.com"},
		"2 is not between 0":      {URL: "http://shop", Confidence: 2},
		"at most 100000 are made": {URL: "http://shop", Share: 1e-9},
	} {
		_, err := p.Judge(t.Context(), strategy.Question{})
		require.ErrorContains(t, err, want)
		var permanent interface{ Permanent() bool }
		require.ErrorAs(t, err, &permanent)
	}
}

func TestProbeArithmetic(t *testing.T) {
	require.Equal(t, 459, strategy.Probe{}.Requests())
	require.Equal(t, 299, strategy.Probe{Confidence: 0.95}.Requests())
	require.Equal(t, 6905, strategy.Probe{Confidence: 0.999, Share: 0.001}.Requests())
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// The probe comes after the switch and before the old version goes: a data plane
// that still leads elsewhere takes the release back.
func TestProbeKeepsTheOldVersion(t *testing.T) {
	for _, stale := range []bool{false, true} {
		c := cluster(strategytest.Options{})
		c.Running("v1", 3)
		r := start(t, c, strategy.RedBlack{After: &strategy.Analysis{}, KeepOld: strategy.Immediately}, 3)
		asked := 0
		r.judge = strategy.Probe{URL: "http://shop", Share: 0.2, Parallel: 1, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			asked++
			o, err := c.Observe(context.Background())
			require.NoError(t, err)
			old, _ := o.Version("v1")
			require.Equal(t, 3, old.Ready)
			version := "v2"
			if stale && asked == 20 {
				version = "v1"
			}
			return &http.Response{StatusCode: 200, Header: http.Header{"X-Version": {version}}, Body: http.NoBody}, nil
		})}
		err := r.run()
		require.Equal(t, 21, asked)
		if !stale {
			require.NoError(t, err)
			require.Equal(t, map[string]int{"v2": 3}, c.Serving())
			continue
		}
		require.ErrorContains(t, err, `1 by "v1"`)
		require.Equal(t, map[string]int{"v1": 3}, c.Serving())
	}
}
