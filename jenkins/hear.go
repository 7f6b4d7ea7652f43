package jenkins

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// ToldAnswer is a [Word] that the stage was told and that has not become an answer yet.
type ToldAnswer struct {
	Input    string    `json:"input,omitempty"`
	Decision Decision  `json:"decision"`
	At       time.Time `json:"at"` // when it was said
}

const (
	// wordFresh is how long a word that names no step counts: later on the build may wait at another step than the person saw.
	wordFresh = time.Minute
	maxWords  = 64
	// maxDoubt is how much of a log is searched for an answer.
	maxDoubt = 64 << 20
)

// hear takes in what people have told the stage since it listened last, and reports whether that changed the handle.
func (j *job) hear(c *stage.Ctx, h *Handle, f *follow) bool {
	told := c.Told()
	if n := c.Attempt(); n > 1 && h.Attempt != n {
		h.Attempt = n
		if len(told) > 0 && told[len(told)-1].N > h.Heard {
			// It may have been used by the attempt before.
			h.Heard = told[len(told)-1].N
			c.Progress("what was said about inputs before attempt %d does not count any more; say it again", n)
		}
		return true
	}
	heard := false
	for _, t := range told {
		if t.N <= h.Heard {
			continue
		}
		h.Heard, heard = t.N, true
		w, err := ParseWord(t.Say)
		if err != nil {
			continue // Hears has refused it before
		}
		d := Decision{Approve: w.Approve, Actor: t.Actor, Comment: t.Reason, Parameters: w.Parameters}
		h.Told = slices.DeleteFunc(h.Told, func(o ToldAnswer) bool { return o.Input == w.Input })
		h.Told = append(h.Told, ToldAnswer{Input: w.Input, Decision: d, At: t.At})
		h.Told = h.Told[max(0, len(h.Told)-maxWords):]
	}
	if heard {
		f.gate.looked = false
	}
	return heard
}

// woken reports whether the stage was told something since this call began.
func woken(c *stage.Ctx) bool {
	select {
	case <-c.Woken():
		return true
	default:
		return false
	}
}

// rest waits until d has passed or the stage is told something.
func rest(c *stage.Ctx, d time.Duration) error {
	if c.Err() != nil || d <= 0 {
		return sleep(c, d)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-c.Woken():
		return nil
	case <-c.Done():
		return context.Cause(c)
	}
}

// about reports whether the word is about the step; Jenkins writes ids with a capital.
func (t ToldAnswer) about(id string) bool {
	return t.Input == id || t.Input != "" && strings.ToUpper(t.Input[:1])+t.Input[1:] == id
}

// pick returns the word that answers one of the pending inputs, and which one; words that can answer nothing are dropped.
func (h *Handle) pick(c *stage.Ctx, inputs []Input, now time.Time) (word int, id string) {
	h.Told = slices.DeleteFunc(h.Told, func(t ToldAnswer) bool {
		if t.Input != "" || len(inputs) == 1 && now.Sub(t.At) < wordFresh {
			return false
		}
		why := "the build waits at no input"
		switch {
		case len(inputs) == 1:
			why = "it was said too long ago"
		case len(inputs) > 1:
			why = "the build waits at more than one input"
		}
		c.Progress("what %s said does not count, because %s; say it again with the id of the input", clip(printable(t.Decision.Actor), 200), why)
		return true
	})
	for i, t := range h.Told {
		for _, in := range inputs {
			if t.Input == "" || t.about(in.ID) {
				return i, in.ID
			}
		}
	}
	return -1, ""
}

// mark returns how long the log is while the build waits at the step, 0 if there is none: an answer that gets into the log behind that
// point belongs to this waiting of the step, and not to an earlier one. pending is false if the build does not wait there any more.
func (j *job) mark(ctx context.Context, h Handle, id string) (at int64, pending bool, err error) {
	ch, _, err := j.readLog(ctx, h, h.Log, 0, true)
	if err != nil && !IsNotFound(err) {
		return 0, false, err
	}
	inputs, err := j.c.Build(h.Job, h.Build).Inputs(ctx)
	return ch.size, slices.ContainsFunc(inputs, func(in Input) bool { return in.ID == id }), err
}

var answeredLine = regexp.MustCompile(`^(\[[^\]]*\] *)?(Approved|Rejected) by `)

// answeredSince reports whether the log tells of an answer behind an offset. A step may wait again under the same id, and nothing else
// tells the second waiting from the first.
func (j *job) answeredSince(ctx context.Context, h Handle, from int64) (bool, error) {
	req := get(buildPath(h.Job, h.Build) + "/logText/progressiveText")
	req.query = url.Values{"start": {strconv.FormatInt(from, 10)}}
	req.accept, req.urgent = "text/plain", true
	resp, err := j.c.r.stream(ctx, req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	size, err := strconv.ParseInt(resp.Header.Get("X-Text-Size"), 10, 64)
	if err != nil {
		return false, errors.New("jenkins: no log: the header X-Text-Size is missing")
	}
	if size < from || size-from > maxDoubt {
		return true, nil // it cannot be excluded
	}
	for r := bufio.NewReaderSize(io.LimitReader(resp.Body, 2*maxDoubt), logLong); ; {
		line, err := r.ReadSlice('\n')
		if answeredLine.MatchString(cleanLine(bytes.TrimRight(line, "\r\n"))) {
			return true, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return false, err
		}
	}
}
