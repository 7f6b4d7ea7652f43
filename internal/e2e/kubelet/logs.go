package kubelet

import (
	"fmt"
	"sync"
	"time"
)

// maxLogLines bounds the log of one run; the oldest lines go first.
const maxLogLines = 10_000

// logLine is one line and when it was written.
type logLine struct {
	at   time.Time
	text string
}

// logBuffer is the log of one run of a container.
type logBuffer struct {
	mu      sync.Mutex
	lines   []logLine
	dropped int // lines before lines[0]
	closed  bool
	changed chan struct{} // closed and replaced at every change
}

func newLogBuffer() *logBuffer { return &logBuffer{changed: make(chan struct{})} }

func (b *logBuffer) printf(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, logLine{time.Now(), fmt.Sprintf(format, args...)})
	if len(b.lines) > maxLogLines {
		b.lines = b.lines[1:]
		b.dropped++
	}
	b.wake()
}

// close says that no line follows.
func (b *logBuffer) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	b.wake()
}

func (b *logBuffer) wake() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// after returns the lines from position on, the position after them, whether the
// log is complete, and a channel that tells of the next change.
func (b *logBuffer) after(position int) (lines []logLine, next int, closed bool, changed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := position - b.dropped; i < len(b.lines) {
		lines = append(lines, b.lines[max(i, 0):]...)
	}
	return lines, b.dropped + len(b.lines), b.closed, b.changed
}
