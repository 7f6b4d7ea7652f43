package promotion

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/artifact"
)

// Event is what a record tells.
type Event string

// The events.
const (
	Candidate  Event = "candidate"  // the set may be considered; newer candidates are newer sets
	Requested  Event = "requested"  // the set is to enter; Supersedes are the requests that it dismisses
	Started    Event = "started"    // it was eligible by Evidence, and enters
	Deployed   Event = "deployed"   // it runs
	Failed     Event = "failed"     // it does not; what ran before still does
	Withdrawn  Event = "withdrawn"  // a request has been given up before it started
	Verified   Event = "verified"   // the set, which runs, is good here
	Demoted    Event = "demoted"    // the set is not good here, whatever was said before
	RolledBack Event = "rolledback" // Set runs again; Previous has been taken back, and is demoted
	Held       Event = "held"       // automation stops; people too, if Everyone is set
	Released   Event = "released"   // all holds of the environment have ended
	Denied     Event = "denied"     // Evidence speaks against the set
)

// A Record is one entry of a ledger.
type Record struct {
	Seq   uint64    `json:"seq"` // its place in the ledger, from 1
	ID    string    `json:"id"`  // of this very write
	At    time.Time `json:"at"`  // by the clock of whoever wrote it
	Event Event     `json:"event"`
	// Environment is where; empty for a candidate.
	Environment string          `json:"environment,omitempty"`
	Set         artifact.Digest `json:"set,omitempty"`
	Previous    artifact.Digest `json:"previous,omitempty"` // what ran before
	By          string          `json:"by,omitempty"`
	Automatic   bool            `json:"automatic,omitempty"` // no person asked for it
	Rollback    bool            `json:"rollback,omitempty"`  // it goes back to a set that was good here
	Key         string          `json:"key,omitempty"`       // of the promotion, or of whatever is written once
	Reason      string          `json:"reason,omitempty"`
	Supersedes  []string        `json:"supersedes,omitempty"` // keys
	// Evidence is what the verdict rests on, Summary the verification summary that says so, Located the set as it was copied
	// to the environment's repositories, if it was.
	Evidence []artifact.Digest `json:"evidence,omitempty"`
	Summary  artifact.Digest   `json:"summary,omitempty"`
	Located  artifact.Digest   `json:"located,omitempty"`
	Policy   artifact.Digest   `json:"policy,omitempty"` // of the environment and its rules, when the promotion started
	Until    time.Time         `json:"until,omitzero"`   // of a hold; zero means until it is released
	Everyone bool              `json:"everyone,omitempty"`
}

// maxRecord bounds the JSON of a record, in bytes.
const maxRecord = 64 << 10

// ParseRecord decodes an entry of a log.
func ParseRecord(data []byte) (Record, error) {
	var r Record
	if len(data) > maxRecord {
		return Record{}, fmt.Errorf("ledger: entry of %d bytes, at most %d are allowed", len(data), maxRecord)
	}
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("ledger: entry: %w", err)
	}
	if r.Seq == 0 || r.ID == "" || r.Event == "" {
		return Record{}, fmt.Errorf("ledger: entry without a number, an id or an event")
	}
	if r.Set != "" {
		if err := r.Set.Validate(); err != nil {
			return Record{}, fmt.Errorf("ledger: entry %d: %w", r.Seq, err)
		}
	}
	return r, nil
}

// inForce reports whether a hold counts at a time.
func (r Record) inForce(now time.Time) bool { return r.Until.IsZero() || now.Before(r.Until) }

// ends reports whether the record is the end of the promotion that was requested under its key.
func (r Record) ends() bool {
	return r.Event == Deployed || r.Event == Failed || r.Event == Withdrawn || r.Event == RolledBack
}
