package strategy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/strategy"
	"github.com/gennaker/gennaker/strategy/strategytest"
)

func TestRedBlackMatchesLiveCapacity(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 5)
	r := start(t, c, strategy.RedBlack{}, 2)
	r.until(strategy.PhaseDeploy)
	c.Autoscale("v1", 7) // load rises while the new version comes up
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 7}, c.Serving())
}

func TestRedBlackKeepsCapacityWhenLiveIsScaledDown(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 5)
	r := start(t, c, strategy.RedBlack{}, 2)
	require.NoError(t, r.run())
	require.Equal(t, "create v2 with 5 pods", r.writes()[0])
}

func TestRedBlackSameVersionWritesNothing(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v2", 3)
	r := start(t, c, strategy.RedBlack{}, 3)
	require.NoError(t, r.run())
	require.Empty(t, r.writes())
	require.Equal(t, epoch, c.Now(), "nothing is waited for")
}

func TestRedBlackSameVersionWithMorePods(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v2", 3)
	r := start(t, c, strategy.RedBlack{}, 4)
	require.NoError(t, r.run())
	require.Equal(t, []string{"create v2 with 4 pods"}, r.writes())
	require.Equal(t, map[string]int{"v2": 4}, c.Serving())
}

// What the rollout has added to the version that serves it takes back, and nothing
// that others have.
func TestSameVersionGoesBackToItsPods(t *testing.T) {
	for name, s := range map[string]strategy.Strategy{
		"redblack": strategy.RedBlack{}, "canary": strategy.Canary{Steps: []strategy.Step{{Weight: 10}}},
	} {
		for then, more := range map[string]struct {
			do   func(c *strategytest.Cluster)
			want int
		}{
			"nothing else":          {func(*strategytest.Cluster) {}, 3},
			"somebody adds more":    {func(c *strategytest.Cluster) { c.Leave("v2", 7) }, 7},
			"an autoscaler owns it": {func(c *strategytest.Cluster) { c.Autoscale("v2", 5) }, 5},
		} {
			t.Run(name+", "+then, func(t *testing.T) {
				c := cluster(strategytest.Options{})
				c.Running("v2", 3)
				c.Floor(3)
				r := start(t, c, s, 5)
				r.step() // the intent
				r.step() // the write
				more.do(c)
				r.signal(strategy.Abort)
				var e *strategy.Error
				require.ErrorAs(t, r.run(), &e)
				require.True(t, e.Restored)
				c.Advance(time.Minute)
				require.Equal(t, map[string]int{"v2": more.want}, c.Serving())
			})
		}
	}
}

func TestRedBlackAdoptsAnOpenFront(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	c.Open()
	r := start(t, c, strategy.RedBlack{}, 2)
	r.each = func(r *rollout) {
		if r.j.Writes["route/"].Action.Version == "" && r.j.Phase != "" && r.j.Verified.IsZero() {
			require.False(t, c.Serving()["v1"] > 0 && c.Serving()["v2"] > 0 && r.j.Phase == strategy.PhaseDeploy,
				"both versions serve before the switch")
		}
	}
	require.NoError(t, r.run())
	require.Equal(t, "route traffic to v1", r.writes()[0])
}

func TestRedBlackSparesWhatIsReferenced(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	c.Refer("v1", "Service shop-debug")
	r := start(t, c, strategy.RedBlack{}, 2)
	require.NoError(t, r.run())
	require.Contains(t, r.j.Reason, "Service shop-debug")
	require.Equal(t, []string{"create v2 with 2 pods", "route traffic to v2"}, r.writes())
}

func TestHoldStopsEveryStepForward(t *testing.T) {
	for name, s := range map[string]strategy.Strategy{"rolling": strategy.Rolling{}, "redblack": strategy.RedBlack{}} {
		t.Run(name, func(t *testing.T) {
			c := cluster(strategytest.Options{Native: name == "rolling"})
			c.Running("v1", 4)
			r := start(t, c, s, 4)
			r.signal(strategy.Hold)
			for range 20 {
				r.step()
				c.Advance(time.Hour)
			}
			require.Empty(t, r.writes())
			r.signal(strategy.Resume)
			require.NoError(t, r.run(), "deadlines stand still in a hold")
		})
	}
}

func TestHoldPausesAControllerThatRolls(t *testing.T) {
	c := cluster(strategytest.Options{Native: true})
	c.Running("v1", 4)
	r := start(t, c, strategy.Rolling{}, 4)
	for range 3 {
		r.step()
	}
	r.signal(strategy.Hold)
	r.step() // the intent
	r.step() // the write
	for range 20 {
		c.Advance(time.Minute)
		r.step()
	}
	require.Positive(t, c.Serving()["v1"], "the old version is still there")
	r.signal(strategy.Resume)
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 4}, c.Serving())
}

func TestHoldStillGoesBackFromAFailure(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	r := start(t, c, strategy.RedBlack{KeepOld: time.Hour}, 2)
	r.until(strategy.PhaseKeep)
	r.signal(strategy.Hold)
	c.Ail("v2", strategytest.Fault{Problem: &strategy.Problem{Reason: "CrashLoopBackOff", Message: "exit 1",
		Evidence: []string{"panic: no database"}, Permanent: true}})
	err := r.run()
	var e *strategy.Error
	require.ErrorAs(t, err, &e)
	require.True(t, e.Restored)
	require.Equal(t, strategy.PhaseKeep, e.Phase)
	require.Equal(t, "panic: no database", e.Detail())
	require.ErrorContains(t, err, `rollout failed in phase "keep": version v2: CrashLoopBackOff: exit 1; v1 is restored and verified`)
	require.Equal(t, map[string]int{"v1": 2}, c.Serving())
}

func TestPromoteEndsThePauseAndNotTheKeepPeriod(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	r := start(t, c, strategy.RedBlack{PauseFor: strategy.Forever, KeepOld: time.Hour}, 2)
	r.signal(strategy.Promote) // early: it counts for the pause
	r.until(strategy.PhaseKeep)
	require.Less(t, c.Now().Sub(epoch), time.Minute)
	require.Nil(t, r.j.Signals.Promote)
	r.signal(strategy.Promote)
	require.NoError(t, r.run())
	require.Less(t, c.Now().Sub(epoch), time.Minute)
}

func TestRollbackReopensASuccess(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 3)
	r := start(t, c, strategy.RedBlack{}, 3)
	require.NoError(t, r.run())
	r.signal(strategy.Abort)
	require.NoError(t, r.run(), "an abort comes too late")
	r = &rollout{t: t, c: c, j: r.j}
	r.j.Signals.Abort = nil
	r.signal(strategy.Rollback)
	var e *strategy.Error
	require.ErrorAs(t, r.run(), &e)
	require.Equal(t, strategy.RolledBack, e.Outcome)
	require.True(t, e.Restored)
	require.Equal(t, map[string]int{"v1": 3}, c.Serving())
}

func TestKeepForEver(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	c.Leave("v0", 2)
	r := start(t, c, strategy.RedBlack{KeepOld: strategy.Forever}, 2)
	require.NoError(t, r.run())
	require.Equal(t, "v2 serves; v1 keeps its pods", r.j.Reason)
	require.Equal(t, []string{"create v2 with 2 pods", "route traffic to v2", "scale v0 to 0 pods"}, r.writes())
}

func TestBaselineIsWhatServesWhenTheFrontLeadsToDeadPods(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2) // the front leads to v1 …
	c.Leave("v0", 2)   // … but v0 is what is ready
	c.Ail("v1", strategytest.Fault{Never: true})
	c.Advance(time.Minute)
	r := start(t, c, strategy.RedBlack{}, 2)
	r.step()
	require.Equal(t, "v0", r.j.Baseline.Version)
}

func TestRollingChangesTheNumberOfPods(t *testing.T) {
	c := cluster(strategytest.Options{Native: true})
	c.Running("v2", 2)
	r := start(t, c, strategy.Rolling{}, 5)
	require.NoError(t, r.run())
	require.Equal(t, map[string]int{"v2": 5}, c.Serving())
	r = start(t, c, strategy.Rolling{}, 5)
	require.NoError(t, r.run())
	require.Len(t, c.Writes(), 1, "the second release finds nothing to do")
}

func TestRollingBaselineIsNotAnUpdateThatNeverBecameReady(t *testing.T) {
	c := cluster(strategytest.Options{Native: true})
	c.Running("v1", 3)
	stuck := strategy.Problem{Reason: "ImagePullBackOff", Message: "no such image", Permanent: true}
	c.Ail("v0", strategytest.Fault{Problem: &stuck})
	c.Ail("v2", strategytest.Fault{Problem: &stuck})
	up := strategy.Action{Op: strategy.OpUpdate, Version: "v0", Update: &strategy.Update{MaxSurge: strategy.Pods(1)}}
	require.NoError(t, c.Apply(context.Background(), up))
	c.Advance(time.Minute)
	var e *strategy.Error
	require.ErrorAs(t, start(t, c, strategy.Rolling{}, 3).run(), &e)
	require.Equal(t, "v1", e.Baseline)
	require.True(t, e.Restored)
	require.Equal(t, map[string]int{"v1": 3}, c.Serving())
}

func TestRefusedWriteTurnsBack(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	c.FailApply(2, refusal{errors.New("admission webhook: no")})
	var e *strategy.Error
	require.ErrorAs(t, start(t, c, strategy.RedBlack{}, 2).run(), &e)
	require.Contains(t, e.Reason, "route traffic to v2: admission webhook: no")
	require.True(t, e.Restored)
}

type refusal struct{ error }

func (refusal) Permanent() bool { return true }

func TestTakenOverTargetIsLeftAlone(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	r := start(t, c, strategy.RedBlack{KeepOld: time.Hour}, 2)
	r.until(strategy.PhaseKeep)
	other := strategy.Action{Op: strategy.OpRoute, Route: strategy.To("v1"), Stamp: strategy.Stamp{Key: "other", Step: 1}}
	require.NoError(t, c.Apply(context.Background(), other))
	n := len(c.Writes())
	require.ErrorContains(t, r.run(), `taken over by the rollout "other"`)
	require.Len(t, c.Writes(), n)
}

// A stamp that was removed is waited for once after each write to its object, for it
// might only not be seen yet, and not at all by a reader that has seen it before.
func TestRemovedStampIsNotWaitedForAgainAndAgain(t *testing.T) {
	for reader, limit := range map[string]time.Duration{"": 150 * time.Second, "one": 30 * time.Second} {
		c := cluster(strategytest.Options{})
		c.Running("v1", 2)
		r := start(t, c, strategy.RedBlack{KeepOld: time.Hour, Settle: time.Second}, 2)
		removed := false
		r.see = func(o *strategy.Observation) {
			o.Reader = reader
			for i := range o.Versions {
				if v := &o.Versions[i]; removed && v.ID == "v2" {
					v.Stamp = strategy.Stamp{}
				}
			}
		}
		r.until(strategy.PhaseKeep)
		r.step()
		removed = true
		r.signal(strategy.Rollback)
		begun := c.Now()
		require.ErrorContains(t, r.run(), "rolled back")
		require.Less(t, c.Now().Sub(begun), limit, "reader %q", reader)
		require.Equal(t, map[string]int{"v1": 2}, c.Serving())
	}
}

// A rollout that has given a stamp up still notices that another one has come.
func TestTakenOverAfterALostStamp(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Running("v1", 2)
	r := start(t, c, strategy.RedBlack{KeepOld: time.Hour}, 2)
	var stamp strategy.Stamp
	lost := false
	r.see = func(o *strategy.Observation) {
		if lost {
			o.Traffic.Stamp = stamp
		}
	}
	r.until(strategy.PhaseKeep)
	lost = true
	for begun := c.Now(); c.Now().Sub(begun) < 5*time.Minute; {
		r.step()
	}
	stamp = strategy.Stamp{Key: "other", Step: 1}
	require.ErrorContains(t, r.run(), `taken over by the rollout "other"`)
}

func TestJournalOfANewerRelease(t *testing.T) {
	c := cluster(strategytest.Options{})
	r := start(t, c, strategy.RedBlack{}, 1)
	r.j.Format = strategy.JournalVersion + 1
	_, _, err := strategy.Driver{Target: c}.Advance(context.Background(), r.j, epoch)
	var e *strategy.JournalError
	require.ErrorAs(t, err, &e)
}

// Pods to which no front leads are a baseline without traffic: there is none to
// wait for on the way back.
func TestAbortWhereNothingWasLedAnywhere(t *testing.T) {
	c := cluster(strategytest.Options{})
	c.Leave("v0", 1)
	c.Advance(time.Minute)
	r := start(t, c, strategy.RedBlack{}, 1)
	r.step() // the intent
	r.signal(strategy.Abort)
	var e *strategy.Error
	require.ErrorAs(t, r.run(), &e)
	require.True(t, e.Restored, "%v", e)
	require.Empty(t, r.writes())
}
