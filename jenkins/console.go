package jenkins

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gennaker/gennaker/stage"
)

const (
	logWindow = 1 << 20  // bytes of the log that one look reports; what is more is skipped
	logLine   = 1 << 10  // bytes of a line that are reported
	logLong   = 64 << 10 // a line without an end is cut here
)

// chunk is a piece of the console log.
type chunk struct {
	text []byte
	size int64 // of the whole log, in its own bytes
	more bool  // the log grows yet
}

// readLog reads the log from an offset on. The text has CRLF where the log has LF, so offsets are taken from X-Text-Size and never from the
// length of the text. Text beyond limit is left unread; ok says whether it was complete.
func (j *job) readLog(ctx context.Context, h Handle, from, limit int64, urgent bool) (chunk, bool, error) {
	req := get(buildPath(h.Job, h.Build) + "/logText/progressiveText")
	req.query = url.Values{"start": {strconv.FormatInt(from, 10)}}
	req.accept, req.urgent = "text/plain", urgent
	resp, err := j.c.r.stream(ctx, req)
	if err != nil {
		return chunk{}, false, err
	}
	defer resp.Body.Close()
	size, err := strconv.ParseInt(resp.Header.Get("X-Text-Size"), 10, 64)
	if err != nil || size < 0 {
		e := j.c.r.statusError(req, answer{status: resp.StatusCode, header: resp.Header})
		e.Err = fmt.Errorf("no log: the header X-Text-Size is missing; is a login page or a proxy in between?")
		return chunk{}, false, e
	}
	ch := chunk{size: size, more: resp.Header.Get("X-More-Data") == "true"}
	if size-from > limit {
		return ch, false, nil
	}
	// A log of nothing but line feeds doubles.
	ch.text, err = io.ReadAll(io.LimitReader(resp.Body, 2*limit+1))
	if err != nil {
		return chunk{}, false, err
	}
	return ch, int64(len(ch.text)) <= 2*limit, nil
}

// lookLog reports new lines of the log as progress. The offset stays at the beginning of a line that is not complete, so that
// neither a line nor a character nor a console note is ever cut in two, and nothing but the offset needs to be kept.
func (j *job) lookLog(c *stage.Ctx, h *Handle, urgent bool) (more bool, err error) {
	if err := j.c.holdLog(c); err != nil {
		return true, err
	}
	defer j.c.dropLog()
	ch, complete, err := j.readLog(c, *h, h.Log, logWindow, urgent)
	if err != nil {
		return true, err
	}
	if ch.size < h.Log {
		// The log was replaced, and Jenkins sends it from its beginning.
		h.Log = 0
	}
	if !complete {
		skip := max(h.Log, ch.size-logWindow/4)
		c.Progress("… %d KiB of the log skipped", (skip-h.Log)>>10)
		h.Log = skip
		return true, nil
	}
	lines, rest := splitLog(ch.text, !ch.more)
	for _, l := range lines {
		c.Progress("%s", clip(l, logLine))
	}
	h.Log = ch.size - int64(rest)
	return ch.more, nil
}

// holdLog waits until a piece of a log may be read into memory.
func (c *Client) holdLog(ctx context.Context) error {
	select {
	case c.logs <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (c *Client) dropLog() { <-c.logs }

// splitLog returns the lines of a piece of log, cleaned, and the length of an incomplete last line, which final makes a line. A line that
// is too long is taken as it is.
func splitLog(text []byte, final bool) (lines []string, rest int) {
	for len(text) > 0 {
		i := bytes.IndexByte(text, '\n')
		if i < 0 && !final && len(text) < logLong {
			return lines, len(text)
		}
		line := text
		if i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if l := cleanLine(line); l != "" {
			lines = append(lines, l)
		}
	}
	return lines, 0
}

const (
	noteStart = "\x1b[8mha:"
	noteEnd   = "\x1b[0m"
)

// cleanLine removes from a line of a log what is not text: the console notes that Jenkins hides in it (unstripped
// since 2.509), escape sequences, and control characters, which must not reach anybody's terminal.
func cleanLine(line []byte) string {
	s := string(line)
	for {
		i := strings.Index(s, noteStart)
		if i < 0 {
			break
		}
		n := strings.Index(s[i+len(noteStart):], noteEnd)
		if n < 0 {
			s = s[:i]
			break
		}
		s = s[:i] + s[i+len(noteStart)+n+len(noteEnd):]
	}
	s = strings.TrimRight(s, "\r")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		// A progress bar overwrites itself; its last state counts.
		s = s[i+1:]
	}
	return strings.TrimRight(printable(s), " ")
}

// printable drops escape sequences and control characters; a tab becomes a space.
func printable(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] == 0x1b {
			i = skipEscape(s, i+1)
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case r == '\t':
			b.WriteByte(' ')
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == utf8.RuneError && n <= 1 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069:
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// skipEscape returns the index after the escape sequence whose escape character is before i.
func skipEscape(s string, i int) int {
	if i >= len(s) {
		return i
	}
	switch s[i] {
	case '[':
		for i++; i < len(s); i++ {
			if s[i] >= 0x40 && s[i] <= 0x7e {
				return i + 1
			}
		}
		return i
	case ']':
		for i++; i < len(s); i++ {
			if s[i] == 0x07 {
				return i + 1
			}
			if s[i] == 0x1b {
				return min(i+2, len(s))
			}
		}
		return i
	}
	return i + 1
}

// tail returns the last lines of the log, as evidence of why a build failed. An error is evidence, too.
func (j *job) tail(ctx context.Context, h Handle) string {
	const window = 32 << 10
	ch, _, err := j.readLog(ctx, h, 0, 0, true)
	var text []byte
	from := max(0, ch.size-window)
	if err == nil && ch.size > 0 {
		ch, _, err = j.readLog(ctx, h, from, 2*window, true)
		text = ch.text
	}
	if err != nil {
		return "the console log cannot be read: " + err.Error()
	}
	if from > 0 {
		// The first line is probably cut.
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			text = text[i+1:]
		}
	}
	lines, _ := splitLog(text, true)
	keep, room := len(lines), maxTail
	for keep > 0 && room > len(lines[keep-1]) {
		keep--
		room -= len(lines[keep]) + 1
	}
	return strings.Join(lines[keep:], "\n")
}
