package storetest

import (
	"context"

	"github.com/gennaker/gennaker/pipeline"
)

// Shared returns a store that says it may be used by several processes at the same
// time, as pipeline.NewMemory and boltstore do not. Engines on it keep leases and
// leave hints for each other, so a test can let several work on one store.
func Shared(below pipeline.Store) pipeline.Store { return shared{below} }

type shared struct{ pipeline.Store }

var _ pipeline.Batcher = shared{}

func (s shared) Info() pipeline.Info {
	info := s.Store.Info()
	info.Shared = true
	return info
}

// PutMany passes a batch on as one if the store below takes it.
func (s shared) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	if b, ok := s.Store.(pipeline.Batcher); ok {
		return b.PutMany(ctx, ops)
	}
	results := make([]pipeline.Result, len(ops))
	for i, op := range ops {
		results[i].Version, results[i].Err = s.Put(ctx, op.Key, op.Value, op.Want)
	}
	return results
}
