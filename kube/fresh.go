package kube

import (
	"context"
	"time"
)

// gap is how long after the end of a watch another one goes on where it was. After
// that it begins with the present state.
const gap = time.Second

// cancellable is the context of one watch, which renew ends.
func (k *cache) cancellable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.again, k.doubted = cancel, false
	return ctx, cancel
}

// stale reports whether there has been no watch for so long that another one must
// begin with the present state.
func (k *cache) stale() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lost()
}

func (k *cache) lost() bool { return k.doubted || !k.open && time.Since(k.told) > gap }

// opened notes that the watch tells from now on what happens.
func (k *cache) opened() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open, k.err = true, nil
	k.wakeAll()
}

// ended notes that the watch has ended and reports whether it was open. One that
// ended at once and has told nothing is as if it had not been.
func (k *cache) ended(told bool) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	was := k.open && told
	switch {
	case k.doubted:
		k.told = time.Time{}
	case was:
		k.told = time.Now()
	}
	k.open = false
	return was
}

// doubt keeps the cache from being read until the present state has come.
func (k *cache) doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.open, k.told, k.doubted = false, time.Time{}, true
}

// renew does the same and asks for the present state at once.
func (k *cache) renew() {
	k.doubt()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.again != nil {
		k.again()
	}
}
