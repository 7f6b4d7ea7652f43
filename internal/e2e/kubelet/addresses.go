package kubelet

import (
	"net/netip"
	"sync"
)

// Addresses gives out the addresses of a range one after the other, each once, so
// that a client that still holds the address of an ended pod never reaches another.
type Addresses struct {
	mu   sync.Mutex
	next netip.Addr
}

// NewAddresses gives out first and the addresses after it.
func NewAddresses(first netip.Addr) *Addresses { return &Addresses{next: first} }

// Take returns the next address.
func (a *Addresses) Take() netip.Addr {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.next
	a.next = taken.Next()
	return taken
}
