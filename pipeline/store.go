package pipeline

import (
	"context"
	"errors"
)

// Version identifies one stored value of a key. It is opaque, and it never
// comes back: a key that held the same bytes twice had two versions. The empty
// Version means that the key must not exist.
type Version string

// Item is one stored value. Its Value belongs to whoever received it.
type Item struct {
	Key     string
	Version Version
	Value   []byte
}

// Errors of a Store.
var (
	// ErrNotFound says that the key does not exist.
	ErrNotFound = errors.New("not found")
	// ErrConflict says that the key's version is not the wanted one, and that
	// nothing was written.
	ErrConflict = errors.New("version conflict")
	// ErrUnknown says that the value may or may not have been written, as after a
	// lost reply. The engine reads back and compares.
	ErrUnknown = errors.New("outcome unknown")
	// ErrTooLarge says that the value exceeds Info.MaxValue; nothing was written.
	ErrTooLarge = errors.New("value too large")
	// ErrLocked says that another process has the store open.
	ErrLocked = errors.New("in use by another process")
	// ErrCorrupt says that stored bytes are not what was written.
	ErrCorrupt = errors.New("corrupt")
)

// Store keeps the engine's records: single keys, changed by compare-and-set.
//
// Get, Put and Delete are linearizable for a key; nothing is promised across
// keys. Keys are at most 512 bytes of printable ASCII, values any bytes up to
// Info.MaxValue. Implementations copy: neither side sees the other change a
// slice afterwards. All methods may be called at the same time. An error is
// one of the errors above, the context's, or another one, after which the
// engine tries again later; a Put that failed with another error has not been
// written.
//
// storetest.Run is this contract as a test.
type Store interface {
	Get(ctx context.Context, key string) (Item, error)
	// Put writes value if key's version is want, and is durable as far as Info
	// says when it returns the new version.
	Put(ctx context.Context, key string, value []byte, want Version) (Version, error)
	// Delete removes key and does not mind its absence. It is for collecting
	// garbage; nothing relies on it for correctness.
	Delete(ctx context.Context, key string) error
	// List returns up to limit items whose keys begin with prefix and come after
	// the key after, in ascending order of bytes. It may lag behind as Info says,
	// but never invents an item. A limit of zero or less means 1000.
	List(ctx context.Context, prefix, after string, limit int) ([]Item, error)
	Info() Info
}

// Info is what a Store guarantees.
type Info struct {
	Name     string // for messages, such as "bolt"
	Durable  bool   // a Put that has returned survives the loss of power
	Shared   bool   // several processes may use the store at the same time
	ListLags bool   // List may miss what was written a moment ago
	MaxValue int    // bytes a value may have
}

// Op is one Put of a batch.
type Op struct {
	Key   string
	Value []byte
	Want  Version
}

// Result is the outcome of one Op.
type Result struct {
	Version Version
	Err     error
}

// Batcher is implemented by stores that can commit many independent Puts with
// one flush. Each Op has an outcome of its own; one that conflicts does not
// disturb the others. Keys within one batch differ.
type Batcher interface {
	PutMany(ctx context.Context, ops []Op) []Result
}
