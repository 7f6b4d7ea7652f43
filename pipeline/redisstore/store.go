package redisstore

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/redis/go-redis/v9"

	"github.com/gennaker/gennaker/pipeline"
)

// The records are the fields of one hash; a sorted set of equal scores keeps
// their keys in order. KEYS are these two.

// putScript takes key, wanted version and record, and returns the version the
// key has if it is another one, and an empty string if it has written.
const putScript = `
local have = redis.call('HGET', KEYS[1], ARGV[1])
have = have and string.sub(have, 1, 32) or ''
if have ~= ARGV[2] then return have == '' and 'none' or have end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
return ''`

const deleteScript = `
redis.call('ZREM', KEYS[2], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])`

// listScript takes two bounds and a limit, and returns keys and records by
// turns. It stops early when they have ARGV[4] bytes.
const listScript = `
local found, size = {}, 0
for _, key in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])) do
  local record = redis.call('HGET', KEYS[1], key)
  found[#found + 1] = key
  found[#found + 1] = record or ''
  size = size + #found[#found]
  if size >= tonumber(ARGV[4]) then break end
end
return found`

const (
	pageKeys  = 500
	pageBytes = 4 << 20
)

// Store is a hash on a server. All methods may be called at the same time.
type Store struct {
	client  redis.UniversalClient
	name    string
	keys    []string
	durable bool
}

var (
	_ pipeline.Store   = (*Store)(nil)
	_ pipeline.Batcher = (*Store)(nil)
)

// Info says that the store is shared, and whether it is durable; see the package
// about failover.
func (s *Store) Info() pipeline.Info {
	return pipeline.Info{Name: "redis", Durable: s.durable, Shared: true, MaxValue: maxValue}
}

// Close closes the connections.
func (s *Store) Close() error { return s.client.Close() }

func (s *Store) fail(op, key string, err error) error {
	return fmt.Errorf("%s: %s %q: %w", s.name, op, key, err)
}

// Get implements pipeline.Store.
func (s *Store) Get(ctx context.Context, key string) (pipeline.Item, error) {
	err := pipeline.CheckKey(key)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return pipeline.Item{}, s.fail("get", key, err)
	}
	b, err := s.client.HGet(ctx, s.keys[0], key).Bytes()
	if errors.Is(err, redis.Nil) {
		err = pipeline.ErrNotFound
	}
	var it pipeline.Item
	if err == nil {
		it, err = parse(key, b)
	}
	if err != nil {
		return pipeline.Item{}, s.fail("get", key, err)
	}
	return it, nil
}

// Put implements pipeline.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	r := s.PutMany(ctx, []pipeline.Op{{Key: key, Value: value, Want: want}})[0]
	return r.Version, r.Err
}

// PutMany implements pipeline.Batcher.
func (s *Store) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	results := make([]pipeline.Result, len(ops))
	for first := 0; first < len(ops); {
		n, size := 0, 0
		for first+n < len(ops) && (n == 0 || size+len(ops[first+n].Value) <= pageBytes) {
			size += len(ops[first+n].Value)
			n++
		}
		s.putPage(ctx, ops[first:first+n], results[first:first+n])
		first += n
	}
	for i := range results {
		if r := &results[i]; r.Err != nil {
			*r = pipeline.Result{Err: s.fail("put", ops[i].Key, r.Err)}
		}
	}
	return results
}

// putPage sends the ops that may be sent in one round trip.
func (s *Store) putPage(ctx context.Context, ops []pipeline.Op, results []pipeline.Result) {
	pipe := s.client.Pipeline()
	replies := make([]*redis.Cmd, len(ops))
	for i, op := range ops {
		if results[i].Err = check(ctx, op); results[i].Err == nil {
			var record []byte
			results[i].Version, record = newRecord(op.Key, op.Value)
			replies[i] = pipe.Eval(ctx, putScript, s.keys, op.Key, string(op.Want), record)
		}
	}
	if pipe.Len() == 0 {
		return
	}
	_, _ = pipe.Exec(ctx) // each reply has its own error
	for i, reply := range replies {
		if reply == nil {
			continue
		}
		have, err := reply.Text()
		switch {
		case err != nil:
			results[i].Err = outcome(ctx, err)
		case have != "" && have != string(results[i].Version): // the latter is a repeated request
			results[i].Err = fmt.Errorf("%w: have %q, want %q", pipeline.ErrConflict, have, ops[i].Want)
		}
	}
}

func check(ctx context.Context, op pipeline.Op) error {
	if err := pipeline.CheckKey(op.Key); err != nil {
		return err
	}
	if len(op.Value) > maxValue {
		return fmt.Errorf("%w: %d bytes, at most %d", pipeline.ErrTooLarge, len(op.Value), maxValue)
	}
	return ctx.Err()
}

// outcome decides what an error of a write means. What the server answered was
// not written, nor what could not be sent.
func outcome(ctx context.Context, err error) error {
	var answer redis.Error
	var dial *net.OpError
	switch {
	case errors.As(err, &answer), errors.Is(err, redis.ErrClosed), errors.Is(err, redis.ErrPoolTimeout):
		return err
	case errors.As(err, &dial) && dial.Op == "dial":
		return err
	case ctx.Err() != nil:
		err = errors.Join(err, ctx.Err())
	}
	return fmt.Errorf("%w: %w", pipeline.ErrUnknown, err)
}

// Delete implements pipeline.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := ctx.Err()
	if err == nil {
		err = s.client.Eval(ctx, deleteScript, s.keys, key).Err()
	}
	if err != nil {
		return s.fail("delete", key, err)
	}
	return nil
}

// List implements pipeline.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if limit <= 0 {
		limit = 1000
	}
	var items []pipeline.Item
	for len(items) < limit {
		page, err := s.page(ctx, prefix, after, min(limit-len(items), pageKeys))
		if err != nil {
			return nil, s.fail("list", prefix, err)
		}
		if len(page) == 0 {
			break
		}
		items = append(items, page...)
		after = page[len(page)-1].Key
	}
	return items, nil
}

// page returns some of the items; none means that there are no more.
func (s *Store) page(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	low := "[" + prefix
	if after >= prefix && after != "" {
		low = "(" + after
	}
	if low == "[" {
		low = "-"
	}
	// Keys are ASCII, so that \xff is beyond them all.
	found, err := s.client.Eval(ctx, listScript, s.keys, low, "("+prefix+"\xff", limit, pageBytes).StringSlice()
	if err != nil {
		return nil, err
	}
	items := make([]pipeline.Item, 0, len(found)/2)
	for i := 0; i+1 < len(found); i += 2 {
		it, err := parse(found[i], []byte(found[i+1]))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", found[i], err)
		}
		items = append(items, it)
	}
	return items, nil
}
