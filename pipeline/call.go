package pipeline

import (
	"context"
	"encoding/json"
	"time"
)

// Work is what the engine runs for one stage, without its types. Package stage
// adapts its typed contracts (Task, Effect, Undoer) to Work and to the optional
// interfaces beside it; other packages have no reason to implement it.
//
// Kind names the code in persisted records, by convention "area.name/v1". It
// must not change while executions that use it are alive: an execution whose
// kind this program does not know is parked, never failed.
type Work interface {
	Kind() string
}

// TaskWork is Work that ends inside this process. Exec runs at least once: a
// process that dies in the middle runs it again under the same Call.Key.
type TaskWork interface {
	Work
	Exec(c *Call) (json.RawMessage, error)
}

// EffectWork is Work that outlives this process; see stage.Effect for the
// contract of each method.
type EffectWork interface {
	Work
	Start(c *Call) (handle json.RawMessage, err error)
	Find(c *Call) (handle json.RawMessage, found bool, err error)
	Poll(c *Call, handle json.RawMessage) (PollResult, error)
	Abort(c *Call, handle json.RawMessage) error
}

// UndoWork is Work that can be taken back. Output is nil when the outcome of
// the stage is unknown and must be looked up.
type UndoWork interface {
	Work
	Undo(c *Call, output json.RawMessage) error
}

// PollResult is what one look at a running effect found.
type PollResult struct {
	Done   bool            // the effect has ended; Output or Err holds the outcome
	Output json.RawMessage // the result, when Done and Err is nil
	Err    error           // the definite failure, when Done
	Handle json.RawMessage // the handle to persist from now on
	Next   time.Duration   // when to look again if not Done; 0 means at once
	Detail string          // one line for people, kept as the stage's progress
}

// Call is one invocation of Work by the engine.
type Call struct {
	Context    context.Context
	Key        string          // execution/stage/generation: the same after a crash and for an attempt of unknown outcome
	Execution  string          // id of the execution
	Pipeline   string          // name of the pipeline
	StartedBy  string          // who started the execution; may be empty
	Stage      string          // id of the stage, such as "prod[eu-1]/deploy"
	Generation int             // 1 for the first; rises with each restart and each retry after a definite failure
	Attempt    int             // 1 for the first; counts every attempt of this stage
	Fence      uint64          // rises whenever another process takes the execution over
	Input      json.RawMessage // the resolved input
	Config     json.RawMessage // the stage's settings as they were frozen with the plan
	Budget     time.Duration   // how long Poll may block on a watch; 0 for other calls

	// Told is what people have told the effect in this generation, oldest first;
	// Woken is closed when more is said. Both are for Poll only.
	Told  []Told
	Woken <-chan struct{}

	// Progress reports a line for people. It is shown live and kept, the newest
	// line only, with the next write of the record.
	Progress func(line string)
	// Checkpoint returns what SaveCheckpoint stored under name in this generation.
	Checkpoint func(name string) (json.RawMessage, bool)
	// SaveCheckpoint stores value durably under name before it returns.
	SaveCheckpoint func(name string, value json.RawMessage) error
}
