package pipeline

import (
	"errors"
	"fmt"
)

// MaxKey is how many bytes a Store's key may have.
const MaxKey = 512

// CheckKey returns an error that says why key is not fit for a Store, or nil.
// Implementations call it, so that all stores agree and executions can move
// between them.
func CheckKey(key string) error {
	if key == "" {
		return errors.New("the key is empty")
	}
	if len(key) > MaxKey {
		return fmt.Errorf("the key has %d bytes, at most %d are allowed", len(key), MaxKey)
	}
	for i := range len(key) {
		if c := key[i]; c < ' ' || c > '~' {
			return fmt.Errorf("the key has byte %#x at %d; only printable ASCII is allowed", c, i)
		}
	}
	return nil
}
