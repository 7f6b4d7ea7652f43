package strategy_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/strategy"
)

func TestSpecRoundTrip(t *testing.T) {
	span := rapid.SampledFrom([]time.Duration{0, time.Millisecond, 90 * time.Second, 72 * time.Hour, strategy.Forever})
	amount := rapid.Custom(func(t *rapid.T) strategy.Amount {
		return rapid.SampledFrom([]strategy.Amount{{}, strategy.Pods(1), strategy.Pods(7), strategy.Percent(33)}).Draw(t, "amount")
	})
	rapid.Check(t, func(t *rapid.T) {
		var s strategy.Strategy = strategy.RedBlack{Ready: amount.Draw(t, "a"), Preview: rapid.Bool().Draw(t, "p"),
			PauseFor: span.Draw(t, "d"), KeepOld: span.Draw(t, "e"), ProgressDeadline: span.Draw(t, "f"), Deadline: span.Draw(t, "g"),
			Settle: rapid.SampledFrom([]time.Duration{0, strategy.Immediately, time.Second}).Draw(t, "h")}
		if rapid.Bool().Draw(t, "rolling") {
			s = strategy.Rolling{MaxSurge: amount.Draw(t, "i"), MaxUnavailable: amount.Draw(t, "j"), MinReady: time.Minute,
				PauseAt: strategy.Pods(1), PauseFor: span.Draw(t, "k"), ProgressDeadline: span.Draw(t, "l")}
		}
		spec, err := strategy.Encode(s)
		require.NoError(t, err)
		b, err := json.Marshal(spec)
		require.NoError(t, err)
		var back strategy.Spec
		require.NoError(t, json.Unmarshal(b, &back))
		got, err := strategy.Decode(back)
		require.NoError(t, err)
		require.Equal(t, s, got)
	})
}

func TestDecodeRefuses(t *testing.T) {
	for config, want := range map[string]string{
		`{"keepold":"1h","typo":1}`:  `unknown field "typo"`,
		`{"keepOld":3600}`:           `want a string such as "90s"`,
		`{"keepOld":"soon"}`:         `duration "soon"`,
		`{"keepOld":"-5s"}`:          `KeepOld: -5s is negative; use strategy.Immediately`,
		`{"ready":"25"}`:             `want a number of pods (2) or a percentage ("25%")`,
		`{"ready":0,"settle":"-1h"}`: `Settle: -1h0m0s is negative`,
		`{"ready":0}`:                `Ready: the traffic would move to a version without ready pods`,
		`{} {}`:                      `text after the configuration`,
		`[`:                          `unexpected EOF`,
	} {
		_, err := strategy.Decode(strategy.Spec{Kind: "redblack/v1", Config: json.RawMessage(config)})
		var e *strategy.SpecError
		require.ErrorAs(t, err, &e, config)
		require.ErrorContains(t, err, want, config)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := strategy.Decode(strategy.Spec{Kind: "blue/v9"})
	var unknown *strategy.UnknownKindError
	require.ErrorAs(t, err, &unknown)
	require.Equal(t, "blue/v9", unknown.Kind)
	s, err := strategy.Decode(strategy.Spec{Kind: "rolling/v1"})
	require.NoError(t, err)
	require.Equal(t, strategy.Rolling{}, s)
}

func TestBeginReportsEverything(t *testing.T) {
	_, err := strategy.Begin(strategy.RedBlack{}, strategy.Release{Replicas: -1})
	require.ErrorContains(t, err, "no key")
	require.ErrorContains(t, err, "no version id")
	require.ErrorContains(t, err, "-1 replicas")
	_, err = strategy.Begin(strategy.Rolling{MaxSurge: strategy.Pods(0), MaxUnavailable: strategy.Percent(0), PauseFor: time.Second},
		strategy.Release{Key: "k", Version: "v"})
	require.ErrorContains(t, err, "no pod could ever be replaced")
	require.ErrorContains(t, err, "set PauseAt")
	_, err = strategy.Begin(nil, strategy.Release{Key: "k", Version: "v"})
	require.ErrorContains(t, err, "no strategy")
}

func TestAmount(t *testing.T) {
	for _, c := range []struct {
		a               strategy.Amount
		of, ceil, floor int
	}{
		{strategy.Percent(25), 10, 3, 2}, {strategy.Percent(25), 1, 1, 0}, {strategy.Percent(100), 7, 7, 7},
		{strategy.Percent(0), 7, 0, 0}, {strategy.Pods(2), 10, 2, 2}, {strategy.Amount{}, 10, 0, 0},
	} {
		require.Equal(t, c.ceil, c.a.Ceil(c.of), "%s of %d", c.a, c.of)
		require.Equal(t, c.floor, c.a.Floor(c.of), "%s of %d", c.a, c.of)
	}
}

// A pointer to a strategy is as good as its value, unless it is nil.
func TestPointerToAStrategy(t *testing.T) {
	want, err := strategy.Encode(strategy.RedBlack{KeepOld: time.Hour})
	require.NoError(t, err)
	got, err := strategy.Encode(&strategy.RedBlack{KeepOld: time.Hour})
	require.NoError(t, err)
	require.Equal(t, want, got)
	var bad *strategy.SpecError
	_, err = strategy.Encode((*strategy.RedBlack)(nil))
	require.ErrorAs(t, err, &bad)
	require.ErrorAs(t, strategy.Supports(nil, (*strategy.Canary)(nil)), &bad)
}

func FuzzDecode(f *testing.F) {
	f.Add("redblack/v1", `{"keepOld":"forever","ready":"50%"}`)
	f.Add("rolling/v1", `{"maxSurge":2,"pauseAt":"10%"}`)
	f.Fuzz(func(t *testing.T, kind, config string) {
		s, err := strategy.Decode(strategy.Spec{Kind: kind, Config: json.RawMessage(config)})
		if err != nil {
			return
		}
		spec, err := strategy.Encode(s)
		require.NoError(t, err, "what was decoded can be recorded")
		again, err := strategy.Decode(spec)
		require.NoError(t, err)
		require.Equal(t, s, again)
	})
}
