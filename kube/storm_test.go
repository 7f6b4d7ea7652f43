package kube_test

import (
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube/kubetest"
)

// One request in ten fails with 500, 503 or 429: a release gets through, and
// takes little longer than without.
func TestStormOfErrors(t *testing.T) {
	for name, s := range strategies {
		t.Run(name, func(t *testing.T) {
			took := func(seed uint64, share float64) (d time.Duration) {
				bubble(t, smallYAML, func(w *world) {
					release := w.onEngine(s)
					require.NoError(t, release("one", "v1"))
					rng := rand.New(rand.NewPCG(seed, 1))
					for i, code := range []int{http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusTooManyRequests} {
						w.k.Inject(kubetest.Fault{Code: code, Match: func(kubetest.Request) bool { return rng.Float64() < share/float64(3-i) }})
					}
					start := time.Now()
					require.NoError(t, release("two", "v2"))
					d = time.Since(start)
				})
				return d
			}
			clean, total, worst := took(0, 0), time.Duration(0), time.Duration(0)
			const rounds = 6
			for seed := range uint64(rounds) {
				d := took(seed, 0.1)
				total, worst = total+d, max(worst, d)
			}
			t.Logf("%s: %s without errors, %s on average and %s at worst with", name, clean, total/rounds, worst)
			require.Less(t, total/rounds, clean+5*time.Second)
		})
	}
}
