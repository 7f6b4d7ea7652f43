package pipeline_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gennaker/gennaker/pipeline"
)

var workdays = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}

func at(t *testing.T, s string) time.Time {
	t.Helper()
	u, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return u
}

// Each line is an instant in UTC and when the window opens, "" if it is open.
func TestWindow(t *testing.T) {
	hours := func(zone, from, to string, days ...time.Weekday) pipeline.Window {
		return pipeline.Window{Hours: []pipeline.Hours{{Days: days, From: from, To: to, Zone: zone}}}
	}
	freeze := func(zone, from, to string) pipeline.Window {
		return pipeline.Window{Freezes: []pipeline.Freeze{{From: from, To: to, Zone: zone, Reason: "peak"}}}
	}
	for name, tc := range map[string]struct {
		w    pipeline.Window
		when [][2]string
	}{
		"always": {pipeline.Window{}, [][2]string{{"2026-11-25T03:00:00Z", ""}}},
		"office hours in winter and in summer": {hours("Europe/Berlin", "09:00", "17:00", workdays...), [][2]string{
			{"2026-11-25T08:00:00Z", ""}, {"2026-11-25T07:59:59.999999999Z", "2026-11-25T08:00:00Z"}, {"2026-11-25T15:59:59.5Z", ""},
			{"2026-11-25T16:00:00Z", "2026-11-26T08:00:00Z"}, {"2026-11-27T20:00:00Z", "2026-11-30T08:00:00Z"},
			{"2026-07-01T06:30:00Z", "2026-07-01T07:00:00Z"}, {"2026-03-27T18:00:00Z", "2026-03-30T07:00:00Z"},
		}},
		"over midnight: days are those on which it begins": {hours("America/New_York", "22:00", "06:00", time.Friday), [][2]string{
			{"2026-11-28T03:00:00Z", ""}, {"2026-11-28T10:59:00Z", ""}, {"2026-11-28T11:00:00Z", "2026-12-05T03:00:00Z"},
			{"2026-11-27T10:00:00Z", "2026-11-28T03:00:00Z"},
		}},
		"an hour that is left out": {hours("Europe/Berlin", "02:00", "03:00"), [][2]string{
			{"2026-03-28T01:30:00Z", ""}, {"2026-03-28T02:00:00Z", "2026-03-30T00:00:00Z"}, // not on the 29th
		}},
		"begins in an hour that is left out": {hours("Europe/Berlin", "02:30", "04:00", time.Sunday), [][2]string{
			{"2026-03-29T00:59:00Z", "2026-03-29T01:00:00Z"}, {"2026-03-29T01:59:00Z", ""}, {"2026-03-29T02:00:00Z", "2026-04-05T00:30:00Z"},
		}},
		"an hour that comes twice": {hours("America/New_York", "01:00", "01:30"), [][2]string{
			{"2026-11-01T04:59:00Z", "2026-11-01T05:00:00Z"}, {"2026-11-01T05:10:00Z", ""}, {"2026-11-01T05:30:00Z", "2026-11-01T06:00:00Z"},
			{"2026-11-01T06:10:00Z", ""}, {"2026-11-01T06:30:00Z", "2026-11-02T06:00:00Z"},
		}},
		"half an hour is left out, and comes twice": {hours("Australia/Lord_Howe", "01:45", "02:15"), [][2]string{
			{"2026-10-03T15:20:00Z", ""},                     // 01:50+10:30, a minute of the last quarter before the change
			{"2026-10-03T15:31:00Z", "2026-10-04T14:45:00Z"}, // 02:31+11:00: what follows 01:59 is 02:30
			{"2026-04-04T14:50:00Z", ""},                     // 01:50+11:00
			{"2026-04-04T15:01:00Z", "2026-04-04T15:15:00Z"}, // 01:31+10:30, for the second time
			{"2026-04-04T15:15:00Z", ""},
		}},
		"holidays": {freeze("Europe/Berlin", "2026-12-24", "2027-01-01"), [][2]string{
			{"2026-12-23T22:59:59Z", ""}, {"2026-12-23T23:00:00Z", "2027-01-01T23:00:00Z"}, {"2027-01-01T23:00:00Z", ""},
		}},
		"ends at a time that comes twice": {freeze("America/New_York", "2026-11-01T00:30", "2026-11-01T01:30"), [][2]string{
			{"2026-11-01T04:29:00Z", ""}, {"2026-11-01T05:45:00Z", "2026-11-01T06:30:00Z"}, {"2026-11-01T06:30:00Z", ""},
		}},
		"begins at a time that comes twice": {freeze("America/New_York", "2026-11-01T01:30", "2026-11-01T03:00"), [][2]string{
			{"2026-11-01T05:29:00Z", ""}, {"2026-11-01T05:30:00Z", "2026-11-01T08:00:00Z"}, {"2026-11-01T06:10:00Z", "2026-11-01T08:00:00Z"},
		}},
		"ends at a time that is left out": {freeze("Europe/Berlin", "2026-03-29T01:00", "2026-03-29T02:30"), [][2]string{
			{"2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"}, {"2026-03-29T01:00:00Z", ""},
		}},
		"until further notice": {freeze("", "2026-12-01T18:00", ""), [][2]string{
			{"2026-12-01T17:59:59Z", ""}, {"2026-12-01T18:00:00Z", "never"},
		}},
		"a zone each": {pipeline.Window{
			Hours:   []pipeline.Hours{{From: "09:00", To: "12:00", Zone: "Europe/Berlin"}, {From: "09:00", To: "12:00", Zone: "America/New_York"}},
			Freezes: []pipeline.Freeze{{From: "2026-11-26", To: "2026-11-26", Zone: "America/New_York"}, {From: "2026-11-27", To: "2026-11-27", Zone: "Asia/Tokyo"}},
		}, [][2]string{
			{"2026-11-25T12:00:00Z", "2026-11-25T14:00:00Z"}, {"2026-11-25T17:00:00Z", "2026-11-27T15:00:00Z"}, {"2026-11-27T15:00:00Z", ""},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, when := range tc.when {
				o := tc.w.At(at(t, when[0]))
				switch {
				case when[1] == "":
					require.Equal(t, pipeline.Opening{Open: true}, o, when[0])
				case when[1] == "never":
					require.Equal(t, pipeline.Opening{Why: "frozen: peak"}, o, when[0])
				default:
					require.False(t, o.Open, when[0])
					require.Equal(t, when[1], o.Until.Format(time.RFC3339), when[0])
				}
			}
		})
	}
}

// A closed window opens when it says, and not a minute earlier.
func TestWindowOpensAtTheFirstMinute(t *testing.T) {
	zones := []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Kathmandu"}
	changes := []string{"2026-03-28T20:00:00Z", "2026-10-24T20:00:00Z", "2026-03-08T00:00:00Z", "2026-11-01T00:00:00Z", "2026-04-04T10:00:00Z", "2026-10-03T10:00:00Z"}
	rapid.Check(t, func(rt *rapid.T) {
		minute := func(label string) string {
			m := rapid.IntRange(0, 95).Draw(rt, label) * 15
			return time.Date(2000, 1, 1, m/60, m%60, 0, 0, time.UTC).Format("15:04")
		}
		var w pipeline.Window
		for range rapid.IntRange(1, 2).Draw(rt, "hours") {
			h := pipeline.Hours{From: minute("from"), To: minute("to"), Zone: rapid.SampledFrom(zones).Draw(rt, "zone")}
			h.Days = rapid.SliceOfNDistinct(rapid.SampledFrom(workdays), 0, 3, rapid.ID[time.Weekday]).Draw(rt, "days")
			if h.From != h.To {
				w.Hours = append(w.Hours, h)
			}
		}
		from := at(t, rapid.SampledFrom(changes).Draw(rt, "change"))
		if rapid.Bool().Draw(rt, "freeze") {
			day := from.AddDate(0, 0, rapid.IntRange(-1, 1).Draw(rt, "day")).Format(time.DateOnly)
			w.Freezes = append(w.Freezes, pipeline.Freeze{From: day + "T" + minute("begin"), To: day + "T23:59", Zone: rapid.SampledFrom(zones).Draw(rt, "zone")})
		}
		u := from.Add(time.Duration(rapid.IntRange(0, 24*60).Draw(rt, "minutes")) * time.Minute)
		o := w.At(u)
		if o.Open || o.Until.IsZero() {
			return
		}
		require.True(rt, w.At(o.Until).Open, "%v", o)
		require.False(rt, w.At(o.Until.Add(-time.Second)).Open, "%v", o)
		step := max(o.Until.Sub(u).Truncate(15*time.Minute)/60, time.Minute)
		for v := u; v.Before(o.Until); v = v.Add(step) {
			require.False(rt, w.At(v).Open, "at %v, which is before %v", v, o.Until)
		}
	})
}

func TestWindowMistakes(t *testing.T) {
	w := pipeline.Window{
		Hours: []pipeline.Hours{{From: "9:00"}, {To: "25:00"}, {From: "10:00", To: "10:00"}, {Zone: "Mars/Olympus"}, {Zone: "Local"},
			{Days: []time.Weekday{7}}, {Days: []time.Weekday{1, 1}}, {From: "24:00", To: "12:00"}},
		Freezes: []pipeline.Freeze{{From: "24.12.2026"}, {From: "2026-12-24", To: "2026-12-23"}, {From: "2026-12-24", To: "soon"}, {}},
	}
	err := w.Validate()
	for _, want := range []string{
		`hours 1: from: "9:00" is no time of the day`, `hours 2: to: "25:00"`, `hours 3: from "10:00" to "10:00"`, `hours 4: time zone "Mars/Olympus"`,
		`hours 5: time zone "Local" differs`, "hours 6: day 7", "hours 7: day 1", "hours 8:", `freeze 1: from: "24.12.2026" is no date`,
		"freeze 2:", `freeze 3: to: "soon"`, `freeze 4: from: ""`,
	} {
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, err.Error(), w.At(time.Now()).Why)
	require.NoError(t, pipeline.Window{}.Validate())
}
