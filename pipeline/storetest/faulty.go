package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/gennaker/gennaker/pipeline"
)

// Faulty is a store with faults. It implements pipeline.Batcher; a batch is
// torn at a write that does not pass, so that a crash in the middle leaves its
// first part written. It therefore reaches the store below op by op, unless
// OnWrite is nil.
//
// Set the fields before use. The hooks may be called from several goroutines
// at the same time, and may call the methods of Faulty other than those of
// pipeline.Store.
type Faulty struct {
	// OnWrite decides about each write; nil lets all pass.
	OnWrite func(Write) Fault
	// OnRead, if set, fails Get (with the key) and List (with the prefix) by the
	// error it returns, unless that is nil.
	OnRead func(key string) error
	// Lags makes Info say that List lags, as it does with FreezeList.
	Lags bool

	below   pipeline.Store
	crashed chan struct{}

	mu     sync.Mutex
	writes int
	dead   bool
	frozen []pipeline.Item // what List shows; nil when it shows the truth
	late   []func()        // writes on their way
}

var (
	_ pipeline.Store   = (*Faulty)(nil)
	_ pipeline.Batcher = (*Faulty)(nil)
)

// NewFaulty wraps a store. Several Faulty may share one store: a process that
// crashed and the one that follows it.
func NewFaulty(below pipeline.Store) *Faulty {
	return &Faulty{below: below, crashed: make(chan struct{})}
}

// Writes returns how many writes there were, those that failed included.
func (f *Faulty) Writes() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.writes
}

// Crash makes everything fail from now on, except writes that are held back.
func (f *Faulty) Crash() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dead {
		f.dead = true
		close(f.crashed)
	}
}

// Crashed is closed by the crash.
func (f *Faulty) Crashed() <-chan struct{} { return f.crashed }

// Land lets the writes on their way reach the store, in their order, and returns
// how many there were. Those whose version has been replaced meanwhile conflict,
// as they would on a genuine store.
func (f *Faulty) Land() int {
	f.mu.Lock()
	late := f.late
	f.late = nil
	f.mu.Unlock()
	for _, do := range late {
		do()
	}
	return len(late)
}

// FreezeList makes List show the store as it is now, until ThawList.
func (f *Faulty) FreezeList(ctx context.Context) error {
	items, err := page(ctx, f.below, "", 1000, func() {})
	if err != nil {
		return fmt.Errorf("freeze list: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = append([]pipeline.Item{}, items...)
	return nil
}

// ThawList makes List show the truth again.
func (f *Faulty) ThawList() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = nil
}

// Info is that of the store below; see Lags.
func (f *Faulty) Info() pipeline.Info {
	info := f.below.Info()
	info.ListLags = info.ListLags || f.Lags
	return info
}

// Get implements pipeline.Store.
func (f *Faulty) Get(ctx context.Context, key string) (pipeline.Item, error) {
	if err := f.read(key); err != nil {
		return pipeline.Item{}, fmt.Errorf("get %q: %w", key, err)
	}
	it, err := f.below.Get(ctx, key)
	if f.isDead() {
		return pipeline.Item{}, fmt.Errorf("get %q: %w", key, ErrCrashed)
	}
	return it, err
}

// List implements pipeline.Store.
func (f *Faulty) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if err := f.read(prefix); err != nil {
		return nil, fmt.Errorf("list %q: %w", prefix, err)
	}
	f.mu.Lock()
	frozen := f.frozen
	f.mu.Unlock()
	if frozen == nil {
		items, err := f.below.List(ctx, prefix, after, limit)
		if f.isDead() {
			return nil, fmt.Errorf("list %q: %w", prefix, ErrCrashed)
		}
		return items, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("list %q: %w", prefix, err)
	}
	if limit <= 0 {
		limit = 1000
	}
	var items []pipeline.Item
	for _, it := range frozen {
		if strings.HasPrefix(it.Key, prefix) && it.Key > after && len(items) < limit {
			it.Value = slices.Clone(it.Value)
			items = append(items, it)
		}
	}
	return items, nil
}

// Put implements pipeline.Store.
func (f *Faulty) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	var v pipeline.Version
	err := f.write(ctx, Write{Key: key, Value: value, Want: want}, func(ctx context.Context) (err error) {
		v, err = f.below.Put(ctx, key, value, want)
		return err
	})
	if err != nil {
		v = ""
	}
	return v, err
}

// Delete implements pipeline.Store.
func (f *Faulty) Delete(ctx context.Context, key string) error {
	return f.write(ctx, Write{Key: key, Delete: true}, func(ctx context.Context) error {
		return f.below.Delete(ctx, key)
	})
}

// PutMany implements pipeline.Batcher.
func (f *Faulty) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	if b, ok := f.below.(pipeline.Batcher); ok && f.OnWrite == nil {
		return f.whole(ctx, b, ops)
	}
	results := make([]pipeline.Result, len(ops))
	for i, op := range ops {
		results[i].Version, results[i].Err = f.Put(ctx, op.Key, op.Value, op.Want)
	}
	return results
}

// whole passes a batch on as one, and still counts its writes.
func (f *Faulty) whole(ctx context.Context, b pipeline.Batcher, ops []pipeline.Op) []pipeline.Result {
	f.mu.Lock()
	f.writes += len(ops)
	dead := f.dead
	f.mu.Unlock()
	var results []pipeline.Result
	if dead {
		results = make([]pipeline.Result, len(ops))
	} else {
		results = b.PutMany(ctx, ops)
	}
	if f.isDead() {
		for i := range results {
			results[i] = pipeline.Result{Err: fmt.Errorf("put %q: %w", ops[i].Key, ErrCrashed)}
		}
	}
	return results
}

// write numbers one write and applies what the hook decides; do reaches the
// store below.
func (f *Faulty) write(ctx context.Context, w Write, do func(context.Context) error) error {
	f.mu.Lock()
	f.writes++
	w.N = f.writes
	dead := f.dead
	f.mu.Unlock()
	if dead {
		return fmt.Errorf("%v: %w", w, ErrCrashed)
	}
	var fault Fault
	if f.OnWrite != nil {
		fault = f.OnWrite(w)
	}
	if err := fault.wait(ctx); err != nil {
		return fmt.Errorf("%v: %w", w, err)
	}
	if fault.Rival != nil {
		fault.Rival(ctx, f.below)
	}
	err := f.suffer(ctx, w, fault, do)
	if f.isDead() {
		err = fmt.Errorf("%v: %w", w, ErrCrashed)
	}
	return err
}

func (f *Faulty) suffer(ctx context.Context, w Write, fault Fault, do func(context.Context) error) error {
	switch fault.Fate {
	case Refuse:
		return fmt.Errorf("%v: %w", w, ErrRefused)
	case Lose:
		_ = do(ctx) // nobody will know the answer
		return fmt.Errorf("%v: %w: reply lost (injected)", w, pipeline.ErrUnknown)
	case LoseUnwritten:
		return fmt.Errorf("%v: %w: request lost (injected)", w, pipeline.ErrUnknown)
	case LoseLate:
		f.later(ctx, w)
		return fmt.Errorf("%v: %w: reply lost (injected)", w, pipeline.ErrUnknown)
	case CrashBefore:
		f.Crash()
		return nil
	case CrashLate:
		f.later(ctx, w)
		f.Crash()
		return nil
	case CrashAfter:
		_ = do(ctx) // nobody will know the answer
		f.Crash()
		return nil
	}
	held := fault.Hold != nil || fault.Delay > 0
	if !held && f.isDead() {
		return nil
	}
	return do(ctx)
}

// later keeps a write on its way. The value is copied, because the caller may
// use its slice again; the context is cut, because the caller is gone.
func (f *Faulty) later(ctx context.Context, w Write) {
	ctx = context.WithoutCancel(ctx)
	value := slices.Clone(w.Value)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.late = append(f.late, func() {
		if w.Delete {
			_ = f.below.Delete(ctx, w.Key)
		} else {
			_, _ = f.below.Put(ctx, w.Key, value, w.Want)
		}
	})
}

func (f *Faulty) read(key string) error {
	if f.isDead() {
		return ErrCrashed
	}
	if f.OnRead != nil {
		return f.OnRead(key)
	}
	return nil
}

func (f *Faulty) isDead() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dead
}
