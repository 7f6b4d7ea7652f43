package stage

import (
	"context"
	"errors"
	"fmt"

	"github.com/gennaker/gennaker/artifact/promotion"
	"github.com/gennaker/gennaker/pipeline"
)

// LedgerLog keeps the ledger of an application's promotions in a state store, beside the executions of an engine or alone.
// Every entry is a key of its own that is created once, so that processes which share the store cannot lose each other's
// entries. The application's name must have the form that promotion.Config asks for.
func LedgerLog(store pipeline.Store, application string) promotion.Log {
	return ledgerLog{store, "promotion/" + application + "/"}
}

type ledgerLog struct {
	store  pipeline.Store
	prefix string
}

func (l ledgerLog) key(seq uint64) string { return fmt.Sprintf("%s%020d", l.prefix, seq) }

func (l ledgerLog) Append(ctx context.Context, seq uint64, entry []byte) error {
	_, err := l.store.Put(ctx, l.key(seq), entry, "")
	if errors.Is(err, pipeline.ErrConflict) {
		return fmt.Errorf("entry %d: %w", seq, promotion.ErrConflict)
	}
	return err
}

// Read asks for the next key itself, as a list may lag behind, and for those that follow by a list.
func (l ledgerLog) Read(ctx context.Context, after uint64) ([][]byte, error) {
	next, err := l.store.Get(ctx, l.key(after+1))
	if errors.Is(err, pipeline.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := [][]byte{next.Value}
	more, err := l.store.List(ctx, l.prefix, next.Key, 0)
	if err != nil {
		return nil, err
	}
	for _, item := range more {
		if item.Key != l.key(after+uint64(len(entries))+1) {
			break // the list has not caught up with the one between
		}
		entries = append(entries, item.Value)
	}
	return entries, nil
}
