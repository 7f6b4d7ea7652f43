package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Plan is a pipeline as data: what will run, in which order, under which
// policies. It is frozen into every execution, so that a changed program goes on
// with what was started. A Plan is read-only.
type Plan struct {
	Name    string `json:"name"`
	Version int    `json:"version"`
	// UndoOnFailure undoes finished stages when the execution fails or is cancelled.
	UndoOnFailure bool `json:"undoOnFailure,omitempty"`
	// Limit says how many executions may be under way; nil means any number.
	Limit *Limit `json:"limit,omitempty"`
	// Stages are in the order of definition, which respects the dependencies.
	Stages []Stage `json:"stages"`
	// Output names the stage whose output is the execution's, "" for its input.
	Output string `json:"output,omitempty"`
}

// StageType says how the engine treats a stage.
type StageType string

// The types of stages.
const (
	TypeTask   StageType = "task"   // runs in this process
	TypeEffect StageType = "effect" // outlives this process
	TypeGate   StageType = "gate"   // waits for people
	TypeWait   StageType = "wait"   // waits for time to pass
	TypeValue  StageType = "value"  // computes a value from others
	TypeEach   StageType = "each"   // runs its stages for every item of a list
	TypeSub    StageType = "sub"    // runs another pipeline's stages
	TypeLock   StageType = "lock"   // takes a mutex
	TypeUnlock StageType = "unlock" // gives a mutex back
)

var stageTypes = []StageType{TypeTask, TypeEffect, TypeGate, TypeWait, TypeValue, TypeEach, TypeSub, TypeLock, TypeUnlock}

// OnFailure says what the failure of a stage means for the rest.
type OnFailure string

// The four meanings of a failure, which are Spinnaker's.
const (
	// Halt stops everything: what runs is aborted, the pipeline fails. The default.
	Halt OnFailure = ""
	// HaltBranch stops what depends on the stage; the rest decides the outcome.
	HaltBranch OnFailure = "branch"
	// FailAtEnd stops what depends on the stage; when the rest has ended, the
	// pipeline fails.
	FailAtEnd OnFailure = "end"
	// Ignore goes on as if the stage had been skipped. Stages that need its output
	// are skipped too, unless they take it as Optional.
	Ignore OnFailure = "ignore"
)

// Retry says how often a stage is attempted and how long to wait in between.
type Retry struct {
	// Attempts is the number of attempts in total; 0 and 1 mean no retry.
	Attempts int `json:"attempts,omitempty"`
	// Backoff is the wait before the second attempt and doubles from then on;
	// default 1 s. It is spread by a quarter to either side.
	Backoff time.Duration `json:"backoff,omitempty"`
	// MaxBackoff bounds the wait; default 5 min.
	MaxBackoff time.Duration `json:"maxBackoff,omitempty"`
}

// Gate says what opens a gate.
type Gate struct {
	// Quorum is how many different people must approve; 0 means one. Names that
	// differ in letter case or in spaces around them are one person.
	Quorum int `json:"quorum,omitempty"`
	// Approvers are the names of those who may decide; empty means anyone whom the
	// engine's Authorize accepts. They are compared exactly.
	Approvers []string `json:"approvers,omitempty"`
	// AllowSelf lets whoever started the execution approve it.
	AllowSelf bool `json:"allowSelf,omitempty"`
	// Message is shown to the approvers.
	Message string `json:"message,omitempty"`
}

// problem says why the gate could never open, "" if it can.
func (g *Gate) problem() string {
	people := slices.Compact(slices.Sorted(slices.Values(g.Approvers)))
	switch {
	case g.Quorum < 0:
		return fmt.Sprintf("quorum %d is negative", g.Quorum)
	case slices.Contains(people, ""):
		return "an approver has no name"
	case len(people) > 0 && g.Quorum > len(people):
		return fmt.Sprintf("quorum %d cannot be reached by %d approvers", g.Quorum, len(people))
	}
	return ""
}

// Stage is one node of a Plan. Durations are in nanoseconds in JSON.
type Stage struct {
	ID   string    `json:"id"` // with the ids of the enclosing groups: "prod/deploy"
	Type StageType `json:"type"`
	Kind string    `json:"kind"`
	// Input tells where the input comes from: "input" is that of the pipeline or
	// the item of the group, "const" is Const, "stage:build" is that stage's output,
	// "map" is a function of what Needs and After name.
	Input string          `json:"input"`
	Const json.RawMessage `json:"const,omitempty"`
	// Needs are the stages without whose output this one is skipped.
	Needs []string `json:"needs,omitempty"`
	// After are the stages that must have ended before this one.
	After []string `json:"after,omitempty"`
	// Conditional stages are skipped when their condition is false.
	Conditional bool          `json:"conditional,omitempty"`
	OnFailure   OnFailure     `json:"onFailure,omitempty"`
	Always      bool          `json:"always,omitempty"`
	Undo        bool          `json:"undo,omitempty"` // its work can be undone
	Retry       Retry         `json:"retry,omitzero"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	Deadline    time.Duration `json:"deadline,omitempty"`
	Tolerance   time.Duration `json:"tolerance,omitempty"`
	Window      *Window       `json:"window,omitempty"` // it may begin only then
	Gate        *Gate         `json:"gate,omitempty"`
	Wait        time.Duration `json:"wait,omitempty"`
	MaxParallel int           `json:"maxParallel,omitempty"`
	Budget      int           `json:"failureBudget,omitempty"`
	Stages      []Stage       `json:"stages,omitempty"` // of a group
	Output      string        `json:"output,omitempty"` // of a group: the stage whose output an item has
	// Config is what is frozen of the work's settings, such as the strategy.
	Config json.RawMessage `json:"config,omitempty"`
}

// JSON returns the plan's canonical encoding.
func (p *Plan) JSON() []byte {
	raw, err := json.Marshal(p)
	if err != nil {
		// Every raw message of a plan has been encoded or decoded before.
		panic(fmt.Sprintf("plan %s: %v", p.Name, err))
	}
	return raw
}

// Hash identifies the plan: the SHA-256 of its canonical JSON in hex.
func (p *Plan) Hash() string {
	sum := sha256.Sum256(p.JSON())
	return hex.EncodeToString(sum[:])
}

// All visits every stage, the stages of groups after their group.
func (p *Plan) All(visit func(s *Stage, depth int)) { visitStages(p.Stages, 0, visit) }

func visitStages(stages []Stage, depth int, visit func(*Stage, int)) {
	for i := range stages {
		visit(&stages[i], depth)
		visitStages(stages[i].Stages, depth+1, visit)
	}
}
