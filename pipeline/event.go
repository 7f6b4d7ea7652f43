package pipeline

import "time"

// EventKind says what happened.
type EventKind string

// The kinds of events. A stage's events carry its id.
const (
	EventStarted   EventKind = "started" // of the execution
	EventSucceeded EventKind = "succeeded"
	EventFailed    EventKind = "failed"
	EventCanceling EventKind = "canceling" // asked to; EventCanceled follows when all is settled
	EventCanceled  EventKind = "canceled"
	EventPaused    EventKind = "paused"
	EventResumed   EventKind = "resumed"
	EventRestarted EventKind = "restarted" // from the stage named
	EventUndoing   EventKind = "undoing"
	EventQueued    EventKind = "queued"   // for a limit or a mutex; Detail says where
	EventAdmitted  EventKind = "admitted" // has its place under the limit, or the mutex

	EventStageStarted   EventKind = "stage.started"
	EventStageWaiting   EventKind = "stage.waiting" // for its window; Detail says until when and why
	EventStageBegun     EventKind = "stage.begun"   // somebody let it begin outside its window
	EventStageHandle    EventKind = "stage.handle"  // the effect was started or found again
	EventStageRetry     EventKind = "stage.retry"   // an attempt failed, another follows
	EventStageAborting  EventKind = "stage.aborting"
	EventStageSucceeded EventKind = "stage.succeeded"
	EventStageFailed    EventKind = "stage.failed"
	EventStageSkipped   EventKind = "stage.skipped"
	EventStageStopped   EventKind = "stage.stopped"
	EventStageCanceled  EventKind = "stage.canceled"
	EventStageApproved  EventKind = "stage.approved" // one person's vote
	EventStageRejected  EventKind = "stage.rejected"
	EventStageTold      EventKind = "stage.told" // the effect was told Detail
	// A decision to skip a stage or to force its success; stage.skipped or
	// stage.succeeded follows when nothing of it runs any more.
	EventStageSkipping EventKind = "stage.skipping"
	EventStageForcing  EventKind = "stage.forcing"
	EventStageUndone   EventKind = "stage.undone"
	EventUndoFailed    EventKind = "stage.undofailed"

	// EventProgress is shown live only: it has no number and is not kept.
	EventProgress EventKind = "progress"
	// EventParked is for the Observer alone: this program cannot go on with the
	// execution, and Detail says why. The record is left as it is.
	EventParked EventKind = "parked"
)

// Event is something that happened in an execution. Numbers count from 1
// without gaps, so whoever handled event N goes on with Watch(ctx, id, N).
type Event struct {
	N      uint64    `json:"n,omitempty"`
	At     time.Time `json:"at"`
	Kind   EventKind `json:"kind"`
	Stage  string    `json:"stage,omitempty"`
	Detail string    `json:"detail,omitempty"`
	Actor  string    `json:"actor,omitempty"`
}
