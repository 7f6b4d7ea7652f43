package pipeline

import (
	"encoding/json"
	"time"
)

// recordFormat is the format this program writes, readFormat the newest it reads.
const (
	recordFormat = 1
	readFormat   = 2 // blobs, tombstones
)

// Status is the state of an execution.
type Status string

// The states of an execution. Succeeded, Failed and Canceled are final: only an
// explicit restart of a stage leaves them.
const (
	Running   Status = "running"
	Paused    Status = "paused"
	Succeeded Status = "succeeded"
	Failed    Status = "failed"
	Canceled  Status = "canceled"
)

var statuses = []Status{Running, Paused, Succeeded, Failed, Canceled}

// Final reports whether the execution has ended.
func (s Status) Final() bool { return s == Succeeded || s == Failed || s == Canceled }

// StageStatus is the state of a stage.
type StageStatus string

// The states of a stage.
const (
	StagePending   StageStatus = "pending"   // waits for others
	StageRunning   StageStatus = "running"   // at work, or waiting for people, time or the next attempt
	StageSucceeded StageStatus = "succeeded" //
	StageFailed    StageStatus = "failed"    //
	StageSkipped   StageStatus = "skipped"   // its condition was false, or a value it needs does not exist
	StageStopped   StageStatus = "stopped"   // never ran, because a stage before it failed
	StageCanceled  StageStatus = "canceled"  // aborted or never ran, because the execution failed or was cancelled
)

// Final reports whether the stage has ended.
func (s StageStatus) Final() bool { return s != StagePending && s != StageRunning }

// phase tells what a running stage is at. It decides which command the engine
// must have going for it.
type phase string

const (
	phaseExec    phase = "exec"    // a task's Exec
	phaseStart   phase = "start"   // an effect's intent is recorded, its handle is not
	phasePoll    phase = "poll"    // an effect's handle is recorded
	phaseAbort   phase = "abort"   // an effect must end
	phaseStop    phase = "stop"    // a task must end
	phaseBackoff phase = "backoff" // until due
	phaseGate    phase = "gate"
	phaseWindow  phase = "window" // until due, at the earliest
	phaseWait    phase = "wait"   // until due
	phaseGroup   phase = "group"  // its stages run
	phaseLock    phase = "lock"   // until it has the mutex
)

// record is the one document of an execution. A field needs a line in encode.go
// and one in decode.go; tests say so if it has none.
type record struct {
	Format    int               `json:"format"`
	MinReader int               `json:"minReader"`
	Rev       uint64            `json:"rev"`             // strictly increasing
	Writer    string            `json:"writer"`          // unique for every record that is written
	Epoch     uint64            `json:"epoch"`           // rises with every owner
	Owner     string            `json:"owner,omitempty"` // the worker that works on it, in a store that is shared
	ID        string            `json:"id"`
	Pipeline  string            `json:"pipeline"`
	Version   int               `json:"version"`
	Plan      string            `json:"plan"` // hash
	Status    Status            `json:"status"`
	Idle      bool              `json:"idle,omitempty"`   // see idle
	Due       time.Time         `json:"due,omitzero"`     // of one that is idle: when time will have something for it to do
	Halted    string            `json:"halted,omitempty"` // why no further stage starts
	Reason    string            `json:"reason,omitempty"` // why it failed or was cancelled
	Cancel    *cancelRec        `json:"cancel,omitempty"`
	PausedAt  time.Time         `json:"pausedAt,omitzero"`
	StartedBy string            `json:"startedBy,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Created   time.Time         `json:"created"`
	Ended     time.Time         `json:"ended,omitzero"`
	Undoing   bool              `json:"undoing,omitempty"`
	Restarts  int               `json:"restarts,omitempty"`
	LimitKey  string            `json:"limitKey,omitempty"` // what the limit of its pipeline counts it under
	Locks     []lockRec         `json:"locks,omitempty"`
	Input     json.RawMessage   `json:"input"`
	Output    json.RawMessage   `json:"output,omitempty"`
	Blobs     []blobRef         `json:"blobs,omitempty"` // only in what is stored
	Stages    []stageRec        `json:"stages"`
	Signals   []string          `json:"signals,omitempty"` // ids, newest last
	Events    []Event           `json:"events"`
	Seq       uint64            `json:"seq"` // number of the newest event

	extra   map[string]json.RawMessage // fields of a newer writer
	blobs   map[*byte]string           // the keys of payloads that are stored as blobs, by their first byte
	history []byte                     // the encoding of the first events,
	encoded int                        // of as many
	stamped bool                       // Writer is this record's, not that of the one it was copied from
}

type cancelRec struct {
	Actor  string    `json:"actor,omitempty"`
	Reason string    `json:"reason,omitempty"`
	At     time.Time `json:"at"`
}

// stageRec is the state of one stage. A field needs a line in encode.go and one in
// decodestage.go.
type stageRec struct {
	ID       string                     `json:"id"`
	Status   StageStatus                `json:"status"`
	Phase    phase                      `json:"phase,omitempty"`
	Gen      int                        `json:"gen"`
	Attempt  int                        `json:"attempt,omitempty"`
	Input    json.RawMessage            `json:"input,omitempty"` // resolved; absent where the plan names its source
	Output   json.RawMessage            `json:"output,omitempty"`
	Handle   json.RawMessage            `json:"handle,omitempty"`
	Failure  *Failure                   `json:"failure,omitempty"`
	Reason   string                     `json:"reason,omitempty"` // of a skip, stop, cancel or abort
	Unknown  bool                       `json:"unknown,omitempty"`
	Detail   string                     `json:"detail,omitempty"`
	Due      time.Time                  `json:"due,omitzero"`      // end of a backoff or wait
	Expires  time.Time                  `json:"expires,omitzero"`  // end of the attempt
	Deadline time.Time                  `json:"deadline,omitzero"` // end of all attempts
	Started  time.Time                  `json:"started,omitzero"`
	Ended    time.Time                  `json:"ended,omitzero"`
	Halted   string                     `json:"halted,omitempty"` // of a group: why no further stage starts
	Items    []itemRec                  `json:"items,omitempty"`
	Base     int                        `json:"base,omitempty"` // newest generation of earlier items' stages
	Votes    []Vote                     `json:"votes,omitempty"`
	Told     []Told                     `json:"told,omitempty"`
	Steps    map[string]json.RawMessage `json:"steps,omitempty"`
	Undo     *undoRec                   `json:"undo,omitempty"`
	Override *Override                  `json:"override,omitempty"`
	History  []Past                     `json:"history,omitempty"`

	extra map[string]json.RawMessage
}

// itemRec is one item of a group; a Sub has one with the key "".
type itemRec struct {
	Key    string          `json:"key"`
	Value  json.RawMessage `json:"value"`
	Status StageStatus     `json:"status"`
	Halted string          `json:"halted,omitempty"`
	Past   bool            `json:"past,omitempty"` // it failed before a restart, so it aborts no others
}

type undoRec struct {
	Status  StageStatus `json:"status"`
	Attempt int         `json:"attempt"`
	Failure *Failure    `json:"failure,omitempty"`
	Due     time.Time   `json:"due,omitzero"`
}

// Failure is why a stage or an attempt failed, as it is recorded.
type Failure struct {
	Message   string `json:"message"`
	Detail    string `json:"detail,omitempty"` // evidence of several lines: the tail of a log, events
	Permanent bool   `json:"permanent,omitempty"`
	Timeout   bool   `json:"timeout,omitempty"`

	err error // itself, in the process where it happened
}

// Past is an earlier generation of a stage.
type Past struct {
	Generation int         `json:"gen"`
	Attempt    int         `json:"attempt"`
	Status     StageStatus `json:"status"`
	Failure    *Failure    `json:"failure,omitempty"`
	Started    time.Time   `json:"started,omitzero"`
	Ended      time.Time   `json:"ended,omitzero"`
	Key        string      `json:"key"`
}

// Vote is one person's decision at a gate.
type Vote struct {
	Actor   string    `json:"actor"`
	Approve bool      `json:"approve"`
	Reason  string    `json:"reason,omitempty"`
	At      time.Time `json:"at"`
}

// Decision is the output of a gate that was approved.
type Decision struct {
	By []Vote    `json:"by"`
	At time.Time `json:"at"`
}

// clone copies the record so that the copy can be changed. The stages are
// copied; everything else that is shared is either replaced as a whole or, like
// events, only appended to, which readers of the original do not see.
func (r *record) clone() *record {
	c := *r
	c.stamped = false
	c.Stages = append(make([]stageRec, 0, len(r.Stages)), r.Stages...)
	return &c
}

// maxEvents and maxSignals bound what a record keeps; the oldest go first.
const (
	maxEvents  = 2000
	maxSignals = 500
)

// expect makes room for the events of as many stages.
func (r *record) expect(stages int) {
	n := 2*stages + 2
	r.Events, r.history = make([]Event, 0, n), make([]byte, 0, 96*n)
}

func (r *record) event(now time.Time, kind EventKind, stage, detail, actor string) {
	r.Seq++
	if len(r.Events) >= maxEvents {
		r.Events = append([]Event(nil), r.Events[maxEvents/4:]...)
		r.history, r.encoded = nil, 0
	}
	r.Events = append(r.Events, Event{N: r.Seq, At: now, Kind: kind, Stage: stage, Detail: detail, Actor: actor})
}
