package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"
)

// ErrEvicts is the cause of the error of Open for a server that may drop records
// when its memory is full.
var ErrEvicts = errors.New("the server may evict records")

// maxValue is the limit of all stores of this library, so that an execution can
// move between them.
const maxValue = 16 << 20

// Config says where the records are.
type Config struct {
	// Server is required. Retries are switched off and deadlines on, whatever it
	// says about them.
	Server *redis.UniversalOptions
	// Prefix separates stores on one server. Empty means "gennaker".
	Prefix string
}

// Open connects to the server and asks for its configuration. A server that
// does not tell, as many hosted ones do, counts as not durable; whether it evicts
// is then for you to check. The error wraps ErrEvicts if it may.
func Open(ctx context.Context, c Config) (*Store, error) {
	if c.Prefix == "" {
		c.Prefix = "gennaker"
	}
	if c.Server == nil {
		return nil, errors.New("redis store: open: Config.Server is nil")
	}
	if strings.ContainsAny(c.Prefix, "{}") {
		return nil, fmt.Errorf("redis store: open: Config.Prefix %q has a brace", c.Prefix)
	}
	opts := *c.Server
	opts.MaxRetries = -1 // a repeated request would meet the result of the first one
	opts.ContextTimeoutEnabled = true
	s := &Store{
		client: redis.NewUniversalClient(&opts),
		name:   fmt.Sprintf("redis store %q at %s", c.Prefix, strings.Join(opts.Addrs, ",")),
		// The braces keep both keys on one node of a cluster.
		keys: []string{"{" + c.Prefix + "}:records", "{" + c.Prefix + "}:keys"},
	}
	if err := s.inspect(ctx); err != nil {
		s.client.Close()
		return nil, fmt.Errorf("%s: open: %w", s.name, err)
	}
	return s, nil
}

// inspect finds out what the server guarantees.
func (s *Store) inspect(ctx context.Context) error {
	if err := s.client.Ping(ctx).Err(); err != nil {
		return err
	}
	setting := func(name string) (string, error) {
		m, err := s.client.ConfigGet(ctx, name).Result()
		var refused redis.Error
		if errors.As(err, &refused) {
			return "", nil // the server does not tell
		}
		return m[name], err
	}
	policy, err := setting("maxmemory-policy")
	if err != nil {
		return err
	}
	if policy != "" && policy != "noeviction" {
		return fmt.Errorf("%w: set maxmemory-policy from %s to noeviction", ErrEvicts, policy)
	}
	appends, err := setting("appendonly")
	if err != nil {
		return err
	}
	flush, err := setting("appendfsync")
	s.durable = appends == "yes" && flush == "always"
	return err
}
