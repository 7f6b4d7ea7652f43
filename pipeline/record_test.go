package pipeline

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Generators of records. Raw values are what encoding/json made, as in the engine.
var (
	anyText = rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"", "a<b>&c", "quote\"back\\slash", "tab\tnewline\n", "\u2028", "ünïcode", "\xff"}))
	anyTime = rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999999999).Draw(t, "ns")).UTC()
	})
	anyRaw = rapid.Custom(func(t *rapid.T) json.RawMessage {
		switch rapid.IntRange(0, 3).Draw(t, "raw") {
		case 0:
			return nil
		case 1:
			return mustJSON(anyText.Draw(t, "text"))
		case 2:
			return mustJSON(map[string]any{anyText.Draw(t, "key"): rapid.Float64().Draw(t, "n")})
		}
		return mustJSON(rapid.SliceOf(rapid.Int()).Draw(t, "list"))
	})
	anyStatus  = rapid.SampledFrom([]StageStatus{StagePending, StageRunning, StageSucceeded, StageFailed, StageSkipped, StageStopped, StageCanceled})
	anyFailure = rapid.Custom(func(t *rapid.T) *Failure {
		if rapid.Bool().Draw(t, "none") {
			return nil
		}
		return &Failure{Message: anyText.Draw(t, "message"), Detail: anyText.Draw(t, "detail"), Permanent: rapid.Bool().Draw(t, "p")}
	})
	anyVote = rapid.Custom(func(t *rapid.T) Vote {
		return Vote{Actor: anyText.Draw(t, "actor"), Approve: rapid.Bool().Draw(t, "approve"), At: anyTime.Draw(t, "at")}
	})
	anyTold = rapid.Custom(func(t *rapid.T) Told {
		return Told{N: rapid.Int().Draw(t, "n"), Say: anyText.Draw(t, "say"), Actor: anyText.Draw(t, "actor"), At: anyTime.Draw(t, "at")}
	})
	anyItem = rapid.Custom(func(t *rapid.T) itemRec {
		return itemRec{Key: anyText.Draw(t, "key"), Value: anyRaw.Draw(t, "v"), Status: anyStatus.Draw(t, "s"), Halted: anyText.Draw(t, "h"), Past: rapid.Bool().Draw(t, "p")}
	})
	anyPast = rapid.Custom(func(t *rapid.T) Past {
		return Past{Generation: rapid.Int().Draw(t, "g"), Failure: anyFailure.Draw(t, "f"), Started: anyTime.Draw(t, "s"), Key: anyText.Draw(t, "k")}
	})
	anyStage = rapid.Custom(func(t *rapid.T) stageRec {
		s := stageRec{
			ID: anyText.Draw(t, "id"), Status: anyStatus.Draw(t, "status"), Phase: phase(anyText.Draw(t, "phase")),
			Gen: rapid.Int().Draw(t, "gen"), Attempt: rapid.Int().Draw(t, "attempt"), Input: anyRaw.Draw(t, "in"),
			Output: anyRaw.Draw(t, "out"), Handle: anyRaw.Draw(t, "h"), Failure: anyFailure.Draw(t, "f"),
			Reason: anyText.Draw(t, "r"), Unknown: rapid.Bool().Draw(t, "u"), Detail: anyText.Draw(t, "d"),
			Due: anyTime.Draw(t, "due"), Expires: anyTime.Draw(t, "exp"), Deadline: anyTime.Draw(t, "dl"),
			Started: anyTime.Draw(t, "st"), Ended: anyTime.Draw(t, "en"), Halted: anyText.Draw(t, "ha"),
			Items: rapid.SliceOfN(anyItem, 0, 2).Draw(t, "items"), Base: rapid.Int().Draw(t, "base"),
			Votes:   rapid.SliceOfN(anyVote, 0, 2).Draw(t, "votes"),
			Told:    rapid.SliceOfN(anyTold, 0, 2).Draw(t, "told"),
			History: rapid.SliceOfN(anyPast, 0, 2).Draw(t, "history"),
			Steps:   rapid.MapOfN(anyText, anyRaw, 0, 2).Draw(t, "steps"),
		}
		if rapid.Bool().Draw(t, "undo") {
			s.Undo = &undoRec{Status: anyStatus.Draw(t, "us"), Attempt: rapid.Int().Draw(t, "ua"), Due: anyTime.Draw(t, "ud")}
		}
		return s
	})
	anyEvent = rapid.Custom(func(t *rapid.T) Event {
		return Event{N: rapid.Uint64().Draw(t, "n"), At: anyTime.Draw(t, "at"), Kind: EventKind(anyText.Draw(t, "k")),
			Stage: anyText.Draw(t, "s"), Detail: anyText.Draw(t, "d"), Actor: anyText.Draw(t, "a")}
	})
	anyRecord = rapid.Custom(func(t *rapid.T) *record {
		r := &record{
			Format: rapid.Int().Draw(t, "format"), MinReader: rapid.Int().Draw(t, "reader"), Rev: rapid.Uint64().Draw(t, "rev"),
			Writer: anyText.Draw(t, "w"), Epoch: rapid.Uint64().Draw(t, "epoch"), ID: anyText.Draw(t, "id"),
			Pipeline: anyText.Draw(t, "p"), Version: rapid.Int().Draw(t, "v"), Plan: anyText.Draw(t, "plan"),
			Status: Status(anyText.Draw(t, "status")), Halted: anyText.Draw(t, "ha"), Reason: anyText.Draw(t, "re"),
			PausedAt: anyTime.Draw(t, "pa"), StartedBy: anyText.Draw(t, "by"), Created: anyTime.Draw(t, "cr"),
			Ended: anyTime.Draw(t, "en"), Undoing: rapid.Bool().Draw(t, "un"), Restarts: rapid.Int().Draw(t, "rs"),
			Input: anyRaw.Draw(t, "in"), Output: anyRaw.Draw(t, "out"),
			Stages:  rapid.SliceOfN(anyStage, 1, 3).Draw(t, "stages"),
			Signals: rapid.SliceOfN(anyText, 0, 2).Draw(t, "signals"),
			Events:  rapid.SliceOfN(anyEvent, 1, 3).Draw(t, "events"), Seq: rapid.Uint64().Draw(t, "seq"),
		}
		if rapid.Bool().Draw(t, "cancel") {
			r.Cancel = &cancelRec{Actor: anyText.Draw(t, "ca"), At: anyTime.Draw(t, "cat")}
		}
		return r
	})
)

func TestEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord.Draw(t, "record")
		want, err := json.Marshal(r)
		require.NoError(t, err)
		require.Equal(t, string(want), string(r.encode(nil)))
	})
}

// A record that a newer program wrote keeps what this one does not understand.
func TestUnknownFieldsSurvive(t *testing.T) {
	raw := `{"format":9,"minReader":1,"rev":3,"id":"x","plan":"p","status":"running","input":null,"stages":[` +
		`{"id":"a","status":"pending","gen":1,"mood":{"is":"good"}},{"id":"b","status":"pending","gen":1}],` +
		`"events":[],"seq":0,"with \"quotes\"":[1],"lease":"w7"}`
	r, err := decodeRecord("x/x", []byte(raw))
	require.NoError(t, err)
	r = r.clone()
	r.Rev++
	again := r.encode(nil)
	var out struct {
		Lease  string
		Rev    int
		Stages []struct{ Mood struct{ Is string } }
	}
	require.NoError(t, json.Unmarshal(again, &out))
	require.Equal(t, "w7", out.Lease)
	require.Equal(t, 4, out.Rev)
	require.Equal(t, "good", out.Stages[0].Mood.Is)
	require.Contains(t, string(again), `"with \"quotes\"":[1]`)
	twice, err := decodeRecord("x/x", again)
	require.NoError(t, err)
	require.Equal(t, string(again), string(twice.encode(nil)))
}

func TestDecodeRefuses(t *testing.T) {
	good := `{"format":1,"minReader":1,"rev":1,"id":"x","plan":"p","status":"running","input":null,"stages":[{"id":"a","status":"pending","gen":1}],"events":[],"seq":0}`
	_, err := decodeRecord("x/x", []byte(good))
	require.NoError(t, err)
	var bad *RecordError
	for i := range len(good) {
		_, err := decodeRecord("x/x", []byte(good[:i]))
		require.ErrorAs(t, err, &bad, "cut at %d", i)
		require.ErrorIs(t, err, ErrCorrupt)
		require.Equal(t, "x/x", bad.Key)
	}
	for _, raw := range []string{
		`null`, `[]`, `{}`, `{"format":1,"minReader":1,"rev":1,"id":"x","plan":"p","status":"odd","stages":[{"id":"a","status":"pending","gen":1}]}`,
		`{"format":1,"rev":1,"id":"x","plan":"p","status":"running","stages":[]}`,
		`{"format":1,"rev":1,"id":"x","plan":"p","status":"running","stages":[null]}`,
		`{"format":1,"rev":1,"id":"x","plan":"p","status":"running","stages":[{"id":"a","status":"x","gen":1}]}`,
		`{"format":1,"rev":1,"id":"x","plan":"p","status":"running","stages":[{"id":"a","status":"failed","gen":1},{"id":"a","status":"failed","gen":1}]}`,
		`{"format":1,"rev":1,"id":"x","plan":"p","status":"running","stages":[{"id":"a","status":"failed","gen":1,"undo":{"status":"running","attempt":0}}]}`,
	} {
		_, err := decodeRecord("x/x", []byte(raw))
		require.ErrorIs(t, err, ErrCorrupt, raw)
		require.ErrorAs(t, err, &bad)
	}
	_, err = decodeRecord("x/x", []byte(`{"format":7,"minReader":3,"status":5}`))
	require.ErrorIs(t, err, ErrParked)
}

// A name that is spelt with escapes is the same name: nothing comes past a check.
func TestDecodeEscapedNames(t *testing.T) {
	r, err := decodeRecord("x/x", []byte(`{"format":1,"rev":1,"\u0069d":"x","plan":"p","status":"running","input":1,"stages":[{"id":"a","\u0073tatus":"pending","gen":1}],`+
		`"\u006cocks":[{"name":"pipeline p","ticket":"y/@/0","state":"held","whole":true,"max":1}],"a\"b":1}`))
	require.NoError(t, err)
	require.Len(t, r.Locks, 1)
	require.Equal(t, StagePending, r.Stages[0].Status)
	require.Len(t, r.extra, 1)
	require.Empty(t, r.Stages[0].extra)
}

func TestAppendTime(t *testing.T) {
	for _, at := range []time.Time{
		{}, time.Unix(0, 0).UTC(), time.Unix(0, 1).UTC(), time.Unix(0, 120_000_000).UTC(), time.Unix(1<<33, 999_999_999).UTC(),
		time.Date(9999, 12, 31, 23, 59, 59, 100, time.UTC), time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC),
		time.Date(2026, 1, 2, 3, 4, 5, 60_000, time.FixedZone("", 5400)), time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local),
	} {
		require.Equal(t, at.Format(time.RFC3339Nano), string(appendTime(nil, at)))
	}
	rapid.Check(t, func(t *rapid.T) {
		at := anyTime.Draw(t, "at")
		require.Equal(t, at.Format(time.RFC3339Nano), string(appendTime(nil, at)))
	})
}

// Every field that is written is read again, and none is taken for one of a
// newer program.
func TestDecode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := anyRecord.Draw(t, "record")
		r.Format, r.MinReader, r.Rev, r.Status = 1, 1, 1, Running
		r.ID, r.Plan = "x"+r.ID, "p"+r.Plan
		for i := range r.Stages {
			s := &r.Stages[i]
			s.ID, s.Gen, s.Attempt, s.Undo = fmt.Sprint(i, s.ID), 1, i, nil
		}
		raw := r.encode(nil)
		again, err := decodeRecord("x/x", raw)
		require.NoError(t, err)
		var want record
		require.NoError(t, json.Unmarshal(raw, &want))
		again.history, again.encoded = nil, 0
		require.Equal(t, &want, again)
	})
	for _, name := range jsonNames(reflect.TypeFor[record]()) {
		r := &record{}
		require.NoError(t, r.set([]byte(strconv.Quote(name)), []byte("null")), name)
		require.Empty(t, r.extra)
	}
	for _, name := range jsonNames(reflect.TypeFor[stageRec]()) {
		s := &stageRec{}
		require.NoError(t, s.set([]byte(strconv.Quote(name)), []byte("null")), name)
		require.Empty(t, s.extra)
	}
}

func jsonNames(t reflect.Type) (names []string) {
	for i := range t.NumField() {
		if name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}
