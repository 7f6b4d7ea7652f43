package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

// Observer is told what an engine does, for logs, metrics and traces. Its
// methods are called from many goroutines and must be quick. They are told of
// events after these are durable, possibly again after a crash.
type Observer interface {
	OnEvent(execution, pipeline string, e Event)
	OnCall(CallInfo)
	OnWrite(WriteInfo)
}

// CallInfo is one finished call of a stage's code.
type CallInfo struct {
	Execution, Pipeline, Stage string
	Op                         string // exec, start, find, poll, abort or undo
	Generation, Attempt        int
	Duration                   time.Duration
	Err                        error
}

// WriteInfo is one write to the store, of one record or of a batch.
type WriteInfo struct {
	Writes   int // records written together, with one flush
	Bytes    int
	Duration time.Duration
	Err      error // the first error of a record that was not written
}

type noObserver struct{}

func (noObserver) OnEvent(string, string, Event) {}
func (noObserver) OnCall(CallInfo)               {}
func (noObserver) OnWrite(WriteInfo)             {}

// LogTo returns an Observer that logs events at level Info, failures at Warn,
// calls and writes at Debug, and writes that failed at Warn. A conflict is no failure:
// it is how an execution that is started again, or by somebody else, is found.
func LogTo(l *slog.Logger) Observer { return logObserver{l} }

type logObserver struct{ l *slog.Logger }

func (o logObserver) OnEvent(execution, pipeline string, e Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case EventParked, EventFailed, EventStageFailed, EventStageRetry, EventUndoFailed:
		level = slog.LevelWarn
	case EventProgress:
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{slog.String("execution", execution), slog.String("pipeline", pipeline)}
	for _, a := range []slog.Attr{slog.String("stage", e.Stage), slog.String("detail", e.Detail), slog.String("actor", e.Actor)} {
		if a.Value.String() != "" {
			attrs = append(attrs, a)
		}
	}
	o.l.LogAttrs(context.Background(), level, string(e.Kind), attrs...)
}

func (o logObserver) OnCall(c CallInfo) {
	o.l.LogAttrs(context.Background(), slog.LevelDebug, "call", slog.String("execution", c.Execution),
		slog.String("stage", c.Stage), slog.String("op", c.Op), slog.Int("attempt", c.Attempt),
		slog.Duration("took", c.Duration), slog.Any("err", c.Err))
}

func (o logObserver) OnWrite(w WriteInfo) {
	level := slog.LevelDebug
	if w.Err != nil && !errors.Is(w.Err, ErrConflict) {
		level = slog.LevelWarn
	}
	o.l.LogAttrs(context.Background(), level, "write", slog.Int("records", w.Writes),
		slog.Int("bytes", w.Bytes), slog.Duration("took", w.Duration), slog.Any("err", w.Err))
}
