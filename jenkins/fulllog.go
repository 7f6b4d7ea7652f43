package jenkins

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
)

// Log writes the console log of the build from an offset on to w, in constant memory however long it is: UTF-8 as Jenkins has it, with line
// feeds and without the notes that Jenkins hides in it, but with the build's own escape sequences. next is the offset from which to go on, in
// Jenkins' count; more says that the log grows yet.
//
// The error is a [StatusError], a [RequestError] or that of w. w may then have got a part, and next is from. A log that has become shorter than from
// is written from its beginning.
func (b Build) Log(ctx context.Context, w io.Writer, from int64) (next int64, more bool, err error) {
	req := get(buildPath(b.Job, b.Number) + "/logText/progressiveText")
	req.query = url.Values{"start": {strconv.FormatInt(from, 10)}}
	req.accept = "text/plain"
	resp, err := b.c.r.stream(ctx, req)
	if err != nil {
		return from, true, err
	}
	defer resp.Body.Close()
	size, err := strconv.ParseInt(resp.Header.Get("X-Text-Size"), 10, 64)
	if err != nil || size < 0 {
		e := b.c.r.statusError(req, answer{status: resp.StatusCode, header: resp.Header})
		e.Err = fmt.Errorf("no log: the header X-Text-Size is missing; is a login page or a proxy in between?")
		return from, true, e
	}
	clean := &logWriter{w: w}
	if _, err := io.Copy(clean, resp.Body); err != nil {
		return from, true, err
	}
	if err := clean.flush(); err != nil {
		return from, true, err
	}
	return size, resp.Header.Get("X-More-Data") == "true", nil
}

// logWriter turns CRLF into LF and drops console notes, wherever the text is cut.
type logWriter struct {
	w    io.Writer
	out  []byte
	held []byte // the beginning of what may be a note, its end, or a line end
	note bool   // within a note
}

func (l *logWriter) Write(p []byte) (int, error) {
	l.out = l.out[:0]
	for _, c := range p {
		l.put(c)
	}
	if _, err := l.w.Write(l.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (l *logWriter) put(c byte) {
	want := noteStart
	if l.note {
		want = noteEnd
	}
	switch {
	case len(l.held) > 0 && l.held[0] == '\r':
		if c != '\n' {
			l.out = append(l.out, '\r')
		}
		l.held = l.held[:0]
		l.put(c)
	case c == want[len(l.held)]:
		if l.held = append(l.held, c); len(l.held) == len(want) {
			l.note, l.held = !l.note, l.held[:0]
		}
	case len(l.held) > 0:
		// It was none; what was held is text, unless it is part of a note.
		if !l.note {
			l.out = append(l.out, l.held...)
		}
		l.held = l.held[:0]
		l.put(c)
	case c == '\r':
		l.held = append(l.held, c)
	case l.note && c == '\n':
		l.note = false // a note without an end ends with its line
		l.out = append(l.out, c)
	case !l.note:
		l.out = append(l.out, c)
	}
}

// flush writes what was held back at the end of the text.
func (l *logWriter) flush() error {
	if l.note || len(l.held) == 0 {
		return nil
	}
	_, err := l.w.Write(bytes.Clone(l.held))
	return err
}
