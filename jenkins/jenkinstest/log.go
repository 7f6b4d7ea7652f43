package jenkinstest

import (
	"bytes"
	"encoding/base64"
	"io"
)

// segment is a part of a log or the whole of an artifact: bytes in memory or a reader that makes them on demand.
type segment struct {
	size int64
	data []byte
	src  io.ReaderAt
}

func (s *segment) readAt(p []byte, off int64) (int, error) {
	p = p[:min(int64(len(p)), s.size-off)]
	if s.src == nil {
		return copy(p, s.data[off:]), nil
	}
	n, err := s.src.ReadAt(p, off)
	if n == len(p) {
		err = nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// console is the log of a build. Its owner guards it; a view taken of it may be read without that guard, because bytes
// once written never change.
type console struct {
	segs []*segment
	size int64
	// lastLine is the offset after the last line feed.
	lastLine int64
}

// chunkSize is where a memory segment is closed, so that growing a long log never copies it.
const chunkSize = 64 << 10

func (c *console) write(text string) {
	if text == "" {
		return
	}
	n := len(c.segs)
	if n == 0 || c.segs[n-1].src != nil || len(c.segs[n-1].data)+len(text) > chunkSize {
		c.segs = append(c.segs, &segment{data: make([]byte, 0, max(512, len(text)))})
		n++
	}
	// The segment is replaced, not changed: views hold the old one.
	last := *c.segs[n-1]
	last.data = append(last.data, text...)
	last.size = int64(len(last.data))
	c.segs[n-1] = &last
	if i := bytes.LastIndexByte([]byte(text), '\n'); i >= 0 {
		c.lastLine = c.size + int64(i) + 1
	}
	c.size += int64(len(text))
}

func (c *console) attach(src io.ReaderAt, size int64) {
	if size <= 0 {
		return
	}
	c.segs = append(c.segs, &segment{src: src, size: size})
	c.size += size
	c.lastLine = c.size
}

// view returns the bytes from..to as they are now.
func (c *console) view(from, to int64) io.Reader {
	segs := append([]*segment(nil), c.segs...)
	return &logReader{segs: segs, skip: from, left: to - from}
}

func (c *console) text() string {
	b, err := io.ReadAll(c.view(0, c.size))
	if err != nil {
		return string(b) + "\n" + err.Error()
	}
	return string(b)
}

type logReader struct {
	segs []*segment
	skip int64
	left int64
}

func (r *logReader) Read(p []byte) (int, error) {
	for len(r.segs) > 0 && r.skip >= r.segs[0].size {
		r.skip -= r.segs[0].size
		r.segs = r.segs[1:]
	}
	if r.left <= 0 || len(r.segs) == 0 {
		return 0, io.EOF
	}
	n, err := r.segs[0].readAt(p[:min(int64(len(p)), r.left)], r.skip)
	r.skip += int64(n)
	r.left -= int64(n)
	return n, err
}

// crlfReader turns each LF that follows no CR into CRLF, as Stapler's LineEndNormalizingWriter does.
type crlfReader struct {
	src  io.Reader
	buf  [4096]byte
	room []byte // what out is part of
	out  []byte
	last byte
	err  error
}

func (r *crlfReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(r.buf[:])
		r.err, r.out = err, r.room[:0]
		for _, c := range r.buf[:n] {
			if c == '\n' && r.last != '\r' {
				r.out = append(r.out, '\r')
			}
			r.out = append(r.out, c)
			r.last = c
		}
		r.room = r.out
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// A console note is invisible annotation in a log: its payload between these two.
const (
	notePreamble  = "\x1b[8mha:"
	notePostamble = "\x1b[0m"
)

// ConsoleNote returns payload in the form in which Jenkins embeds annotations in raw logs. Versions since 2.509 serve
// them in progressive logs, older ones strip them.
func ConsoleNote(payload string) string {
	return notePreamble + base64.StdEncoding.EncodeToString([]byte(payload)) + notePostamble
}

// noteStripper removes console notes, also those that span two reads.
type noteStripper struct {
	src    io.Reader
	buf    [4096]byte
	out    []byte
	seen   int  // how much of the pre- or postamble matched
	inside bool // between the two
	err    error
}

func (r *noteStripper) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		n, err := r.src.Read(r.buf[:])
		r.err = err
		for _, c := range r.buf[:n] {
			r.feed(c)
		}
		if err != nil && !r.inside {
			r.out = append(r.out, notePreamble[:r.seen]...)
			r.seen = 0
		}
	}
	n := copy(p, r.out)
	if r.out = r.out[n:]; len(r.out) == 0 {
		r.out = nil
	}
	return n, nil
}

func (r *noteStripper) feed(c byte) {
	mark := notePreamble
	if r.inside {
		mark = notePostamble
	}
	// ESC begins both marks and occurs in neither again, so that a failed match can only restart at c itself.
	if c != mark[r.seen] && r.seen > 0 {
		if !r.inside {
			r.out = append(r.out, mark[:r.seen]...)
		}
		r.seen = 0
	}
	if c == mark[r.seen] {
		if r.seen++; r.seen == len(mark) {
			r.inside, r.seen = !r.inside, 0
		}
		return
	}
	if !r.inside {
		r.out = append(r.out, c)
	}
}
