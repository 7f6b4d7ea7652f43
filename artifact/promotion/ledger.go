package promotion

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// A Log keeps the entries of one ledger, each at a position from 1 on, without gaps. It is the seam to a store:
// [NewMemoryLog] keeps one in memory, stage.LedgerLog in a state store of a pipeline engine.
type Log interface {
	// Append writes an entry at a position whose predecessor exists, and is durable when it returns. It returns an error that
	// wraps [ErrConflict] if the position is taken, whoever took it. After another error the entry may be there or not.
	Append(ctx context.Context, seq uint64, entry []byte) error
	// Read returns entries in order, from the position after the given one: at least one if there are more, and none if there
	// are not. What Append has written is seen by every Read that begins afterwards.
	Read(ctx context.Context, after uint64) ([][]byte, error)
}

// A Ledger is the records of one application over a [Log]. It remembers what it has read, and is safe for concurrent use;
// any number of processes may have ledgers over the same log.
type Ledger struct {
	log     Log
	mu      sync.Mutex
	records []Record // a prefix of the log; appended to, never changed
}

// NewLedger returns the ledger over a log.
func NewLedger(log Log) *Ledger { return &Ledger{log: log} }

// Records returns all records, in order. The slice must not be changed.
func (l *Ledger) Records(ctx context.Context) ([]Record, error) {
	for {
		known := l.known()
		entries, err := l.log.Read(ctx, uint64(len(known)))
		if err != nil {
			return nil, fmt.Errorf("ledger: %w", err)
		}
		if len(entries) == 0 {
			return known, nil
		}
		more := slices.Clone(known)
		for _, e := range entries {
			r, err := ParseRecord(e)
			if err != nil {
				return nil, err
			}
			if r.Seq != uint64(len(more)+1) {
				return nil, fmt.Errorf("ledger: entry %d says that it is number %d; the log is damaged", len(more)+1, r.Seq)
			}
			more = append(more, r)
		}
		l.learn(more)
	}
}

func (l *Ledger) known() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clip(l.records)
}

func (l *Ledger) learn(records []Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(records) > len(l.records) {
		l.records = records
	}
}

// Append appends the record that decide makes of all records, in one step: if another record gets in between, decide is asked
// again. decide returns the record and true to append it, and false for one that is there already and is returned as it is.
// Its error ends the attempt. The ledger fills in number, id and time.
func (l *Ledger) Append(ctx context.Context, decide func(records []Record) (r Record, write bool, err error)) (Record, error) {
	id := rand.Text()
	for {
		records, err := l.Records(ctx)
		if err != nil {
			return Record{}, err
		}
		// An append whose outcome was not known may have been made.
		if i := slices.IndexFunc(records, func(r Record) bool { return r.ID == id }); i >= 0 {
			return records[i], nil
		}
		r, write, err := decide(records)
		if err != nil || !write {
			return r, err
		}
		r.Seq, r.ID = uint64(len(records)+1), id
		if r.At.IsZero() {
			r.At = time.Now().UTC()
		}
		entry, err := json.Marshal(r)
		if err != nil {
			return Record{}, fmt.Errorf("ledger: %w", err)
		}
		if len(entry) > maxRecord {
			return Record{}, fmt.Errorf("ledger: record of %d bytes, at most %d are allowed; shorten its reason", len(entry), maxRecord)
		}
		switch err := l.log.Append(ctx, r.Seq, entry); {
		case err == nil:
			return r, nil
		case !errors.Is(err, ErrConflict):
			return l.settle(ctx, r, err)
		}
	}
}

// settle finds out what became of an append that ended with another error than a conflict.
func (l *Ledger) settle(ctx context.Context, r Record, failed error) (Record, error) {
	records, err := l.Records(ctx)
	if err == nil && uint64(len(records)) >= r.Seq && records[r.Seq-1].ID == r.ID {
		return r, nil
	}
	return Record{}, fmt.Errorf("ledger: %w", failed)
}
