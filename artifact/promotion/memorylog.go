package promotion

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

// MemoryLog is a [Log] in memory, for tests and for programs whose ledger need not outlive them. The zero MemoryLog is empty
// and ready to use.
type MemoryLog struct {
	mu      sync.Mutex
	entries [][]byte
}

// NewMemoryLog returns an empty log.
func NewMemoryLog() *MemoryLog { return new(MemoryLog) }

// Append implements [Log].
func (m *MemoryLog) Append(ctx context.Context, seq uint64, entry []byte) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	switch n := uint64(len(m.entries)) + 1; {
	case seq < n:
		return fmt.Errorf("entry %d: %w", seq, ErrConflict)
	case seq > n:
		return fmt.Errorf("entry %d does not follow on entry %d", seq, n-1)
	}
	m.entries = append(m.entries, slices.Clone(entry))
	return nil
}

// Read implements [Log].
func (m *MemoryLog) Read(ctx context.Context, after uint64) ([][]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var all [][]byte
	for i := after; i < uint64(len(m.entries)); i++ {
		all = append(all, slices.Clone(m.entries[i]))
	}
	return all, nil
}
