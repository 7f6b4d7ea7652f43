package stage

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/evidence"
	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/strategy"
)

// Analyst is implemented by a Deployer whose handle tells how the analyses of its rollout have ended, as kube.App is. Gated
// makes signed evidence of it: see CanaryVerdict.
type Analyst[H any] interface {
	// Analyses returns the analyses that have begun. It reads the handle only.
	Analyses(h H) []strategy.Run
}

// CanaryVerdict puts the analyses of a rollout into one verdict about a set in an environment, as evidence: the worst of them
// counts, and one that was cut short, did not decide or had no data is no pass, also if a person has let the rollout go on. Its
// time is that of the last one's end. It reports false if nothing was analysed.
func CanaryVerdict(env string, runs []strategy.Run) (evidence.Canary, bool) {
	if len(runs) == 0 {
		return evidence.Canary{}, false
	}
	var worst strategy.Run
	v := evidence.Canary{Environment: env, Metrics: map[string]float64{}}
	for i, r := range runs {
		if r.Judgement == "" {
			r.Judgement, r.Reason = strategy.Cancelled, "it has not ended"
		}
		if i == 0 || gravity(r.Judgement) > gravity(worst.Judgement) {
			worst = r
		}
		for _, at := range []time.Time{r.Since, r.Ended} {
			if at.After(v.At) {
				v.At = at.UTC()
			}
		}
		v.Metrics["passed"] += float64(r.Passed)
		v.Metrics["failed"] += float64(r.Failed)
		v.Metrics["inconclusive"] += float64(r.Inconclusive)
		v.Metrics["no data"] += float64(r.NoData)
	}
	v.Outcome, v.Reason = string(worst.Judgement), strings.TrimSuffix(worst.Name+": "+worst.Reason, ": ")
	if worst.Accepted {
		v.Reason += "; a person has let it go on"
	}
	return v, true
}

// gravity orders judgements from the best to the worst.
func gravity(j strategy.Judgement) int {
	return slices.Index([]strategy.Judgement{strategy.Pass, strategy.Inconclusive, strategy.NoData, strategy.Cancelled, strategy.Fail}, j)
}

// attestCanary leaves the verdict of a rollout's analyses as evidence. Where the gatekeeper is not trusted with that, somebody
// else writes it, and nothing is left.
func attestCanary[H any](c *Ctx, gate *promotion.Gatekeeper, d Deployer[H], set artifact.Set, h H) error {
	a, ok := d.(Analyst[H])
	if !ok {
		return nil
	}
	v, ok := CanaryVerdict(d.Environment(), a.Analyses(h))
	if !ok {
		return nil
	}
	_, err := attest(c, gate, set, v)
	if refused, ok := errors.AsType[*evidence.TrustError](err); ok {
		c.Progress("the verdict of the canary is no evidence: %v", refused)
		return nil
	}
	if err != nil {
		return fmt.Errorf("verdict of the canary: %w", err)
	}
	return nil
}
