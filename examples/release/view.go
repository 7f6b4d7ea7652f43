package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// view shows a release to a person or to a program.
type view interface {
	show(s pipeline.Snapshot, ev pipeline.Event)
	note(format string, args ...any)
	question(text string)
	answered() // the person has typed a line
	end(s pipeline.Snapshot)
}

func (o options) view(con console) view {
	switch {
	case o.json:
		return &jsonView{out: con.out, err: con.err}
	case con.tty:
		return &liveView{out: con.out, width: con.width}
	}
	return &lineView{out: con.out, begin: time.Now()}
}

// jsonView prints one event a line; what is meant for people goes elsewhere.
type jsonView struct{ out, err io.Writer }

func (v *jsonView) show(_ pipeline.Snapshot, ev pipeline.Event) {
	if err := json.NewEncoder(v.out).Encode(ev); err != nil {
		fmt.Fprintln(v.err, "release:", err)
	}
}
func (v *jsonView) note(format string, args ...any) { fmt.Fprintf(v.err, format+"\n", args...) }
func (v *jsonView) question(text string)            { fmt.Fprint(v.err, text) }
func (v *jsonView) answered()                       {}
func (v *jsonView) end(pipeline.Snapshot)           {}

// lineView prints a line whenever a stage changes.
type lineView struct {
	mu    sync.Mutex
	out   io.Writer
	begin time.Time
}

func (v *lineView) show(s pipeline.Snapshot, ev pipeline.Event) {
	if ev.Stage == "" {
		return
	}
	what := strings.TrimPrefix(string(ev.Kind), "stage.")
	detail := ev.Detail
	if ev.Actor != "" {
		detail = strings.TrimSpace("by " + ev.Actor + " " + detail)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, "%6.1fs  %-10s %-10s %s\n", time.Since(v.begin).Seconds(), ev.Stage, what, detail)
}

func (v *lineView) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, format+"\n", args...)
}
func (v *lineView) question(text string)    { v.note("%s", text) }
func (v *lineView) answered()               {}
func (v *lineView) end(s pipeline.Snapshot) { v.note("%s", summary(s)) }

// liveView keeps one line a stage on the terminal up to date.
type liveView struct {
	mu    sync.Mutex
	out   io.Writer
	width func() int // columns of the terminal; a line that it wraps could not be drawn over
	lines int        // between the first line of the stages and the cursor
	ask   string
}

// The colours of the states, and the end of a colour.
const (
	green, red, yellow, grey, plain = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[90m", "\x1b[0m"
)

func (v *liveView) show(s pipeline.Snapshot, _ pipeline.Event) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.draw(s)
}

func (v *liveView) draw(s pipeline.Snapshot) {
	var b strings.Builder
	width := v.width() - 1
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r\x1b[J", v.lines)
	}
	for _, st := range s.Stages {
		mark, colour := "·", grey
		switch st.Status {
		case pipeline.StageSucceeded:
			mark, colour = "✓", green
		case pipeline.StageFailed:
			mark, colour = "✗", red
		case pipeline.StageRunning:
			mark, colour = "▸", yellow
		case pipeline.StageCanceled, pipeline.StageStopped, pipeline.StageSkipped:
			mark = "-"
		}
		head := clip(fmt.Sprintf("%s %-10s %-10s", mark, st.ID, st.Status), width)
		rest := clip(fmt.Sprintf(" %7s  %s", took(st), detail(st)), width-utf8.RuneCountInString(head))
		fmt.Fprintf(&b, "%s%s%s%s\n", colour, head, plain, rest)
	}
	v.lines = len(s.Stages)
	b.WriteString(v.ask)
	io.WriteString(v.out, b.String())
}

func (v *liveView) note(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintf(v.out, format+"\n", args...)
	v.lines = 0
}

func (v *liveView) question(text string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ask = text
	io.WriteString(v.out, text)
}

func (v *liveView) answered() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ask = ""
	v.lines++
}

func (v *liveView) end(s pipeline.Snapshot) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.ask = ""
	v.draw(s)
	fmt.Fprintln(v.out, summary(s))
}

func took(st pipeline.StageSnapshot) string {
	if st.Started.IsZero() {
		return ""
	}
	end := st.Ended
	if end.IsZero() {
		end = time.Now()
	}
	return fmt.Sprintf("%.1fs", end.Sub(st.Started).Seconds())
}

func detail(st pipeline.StageSnapshot) string {
	switch {
	case st.Failure != nil:
		return st.Failure.Message
	case st.Reason != "":
		return st.Reason
	}
	return st.Detail
}

// clip makes one line of at most n characters.
func clip(s string, n int) string {
	r := []rune(strings.ReplaceAll(s, "\n", " "))
	switch {
	case len(r) <= n:
		return string(r)
	case n <= 0:
		return ""
	}
	return string(r[:n-1]) + "…"
}

func summary(s pipeline.Snapshot) string {
	took := s.Ended.Sub(s.Created).Seconds()
	if s.Status != pipeline.Succeeded {
		return fmt.Sprintf("release %s %s after %.1fs", s.ID, s.Status, took)
	}
	text := fmt.Sprintf("release %s succeeded after %.1fs", s.ID, took)
	var out stage.Release
	if err := json.Unmarshal(s.Output, &out); err != nil {
		return text
	}
	for a := range out.Set.All() {
		text += fmt.Sprintf("\n%s runs %s", out.Environment, a.Location)
	}
	for _, e := range out.Endpoints {
		text += "\nat " + e
	}
	return text
}
