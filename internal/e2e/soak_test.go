package e2e

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/load"
	"github.com/gennaker/gennaker/pipeline"
)

var (
	soakFlag     = flag.Int("soak", 0, "how many releases of each strategy TestSoak makes")
	soakRateFlag = flag.Int("soak-rate", 1100, "requests per second during TestSoak, over all fronts")
)

// Releases follow each other under a load on every front, with kept connections and
// with new ones. Every second one is killed at a random moment and resumed, and after
// every fifth one comes a release whose pods crash in prod, which is rolled back. No
// request may fail, and none on a new connection may reach the old version after the
// release has said that the traffic has settled.
func TestSoak(t *testing.T) {
	if *soakFlag == 0 {
		t.Skip("-soak is not given")
	}
	for _, strategy := range []string{"redblack", "rolling"} {
		t.Run(strategy, func(t *testing.T) {
			s := newShop(t)
			whole := s.released(t, "v0", "-strategy", strategy).took
			s.serves(t, "v0")
			k := &soak{shop: s, strategy: strategy, whole: whole, before: "v0", rnd: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))}
			k.load(t)
			for i := range *soakFlag {
				t.Run(fmt.Sprint(i+1), func(t *testing.T) {
					k.release(t, fmt.Sprintf("v%d", i+1), i%2 == 1)
					if i%5 == 4 {
						k.breaks(t, fmt.Sprintf("v%d-crash", i+1))
					}
				})
				if t.Failed() {
					break
				}
			}
			k.end(t)
		})
	}
}

// soak is one shop under load.
type soak struct {
	*shop
	strategy       string
	whole          time.Duration // of an undisturbed release
	before         string        // the tag that serves
	rnd            *rand.Rand
	all            []witness
	kills, crashes int
}

func (k *soak) load(t *testing.T) {
	t.Helper()
	var fronts []load.Options
	for namespace := range shopReplicas {
		for _, o := range k.fronts(t, namespace) {
			for _, keep := range []bool{false, true} {
				o.KeepAlive, o.Method = keep, http.MethodPost
				if keep {
					o.Method = http.MethodGet // see witnesses
				}
				fronts = append(fronts, o)
				k.all = append(k.all, witness{namespace: namespace})
			}
		}
	}
	for i, o := range fronts {
		o.Rate = *soakRateFlag / len(fronts)
		o.MaxDuration, o.MaxRequests = 12*time.Hour, 1<<30
		l, err := load.Start(t.Context(), o)
		require.NoError(t, err)
		t.Cleanup(func() { l.Stop() })
		k.all[i].options, k.all[i].load, k.all[i].began = o, l, time.Now()
	}
}

// release replaces the version that serves.
func (k *soak) release(t *testing.T, tag string, kill bool) {
	var o outcome
	if kill {
		r := k.start(t, tag, "-strategy", k.strategy)
		moment := time.Duration(k.rnd.Int64N(int64(k.whole)))
		select {
		case <-time.After(moment):
		case <-t.Context().Done():
		}
		r.kill()
		k.kills++
		t.Logf("killed after %s", moment.Round(time.Millisecond))
	}
	o = k.released(t, tag, "-strategy", k.strategy)
	require.Equal(t, 1, k.builds(tag), "one build")
	for namespace, replicas := range shopReplicas {
		k.runs(t, namespace, tag, replicas)
	}
	k.unharmed(t, o)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for _, w := range k.all {
		// A kept connection stays with its pod for as long as that one lives.
		require.NoError(t, w.load.Until(ctx, func(r load.Report) bool { return r.ByVersion[shopDigest(tag)] > 0 }), w)
		r, stage := w.load.Report(), w.namespace[len("shop-"):]
		if w.options.KeepAlive || !o.has(stage, pipeline.EventStageSucceeded) {
			continue
		}
		settled := o.at(t, stage, pipeline.EventStageSucceeded)
		if !kill { // else the word of it may have died with the process
			settled = o.settled(t, stage)
		}
		last := r.Last[shopDigest(k.before)]
		require.False(t, last.After(settled), "%s: the old version answered %s after the traffic had settled\n%s", w, last.Sub(settled), o)
	}
	k.before = tag
}

// breaks releases what crashes in prod, and then puts the old version back in test.
func (k *soak) breaks(t *testing.T, tag string) {
	k.mutate(t, tag, "crash")
	o := k.shop.release(t, tag, "-strategy", k.strategy)
	require.Equal(t, 1, o.code, o)
	require.Contains(t, o.errs, "the baseline is restored and verified")
	k.runs(t, shopProd, k.before, shopReplicas[shopProd])
	k.unharmed(t, o)
	for _, w := range k.all {
		if w.namespace == shopProd {
			require.Zero(t, w.load.Report().ByVersion[shopDigest(tag)], "%s", w)
		}
	}
	k.crashes++
}

// unharmed checks that no request has failed so far.
func (k *soak) unharmed(t *testing.T, o outcome) {
	t.Helper()
	for _, w := range k.all {
		r := w.load.Report()
		require.Zero(t, r.Failures, "%s since %s: %s\n%s", w, w.began.UTC().Format("15:04:05.000"), r, o)
	}
}

func (k *soak) end(t *testing.T) {
	requests, skipped := 0, 0
	var took []time.Duration
	for _, w := range k.all {
		r := w.load.Stop()
		require.Zero(t, r.Failures, "%s: %s", w, r)
		requests, skipped, took = requests+r.Requests, skipped+r.Skipped, append(took, r.Took)
	}
	rate := float64(requests) / slices.Max(took).Seconds()
	t.Logf("%s: %d releases, %d of them killed and resumed, and %d rolled back: %d requests, %.0f a second, %d skipped; none failed",
		k.strategy, *soakFlag, k.kills, k.crashes, requests, rate, skipped)
}
