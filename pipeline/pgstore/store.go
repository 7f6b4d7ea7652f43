package pgstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/gennaker/gennaker/pipeline"
)

// batchBytes bounds one round trip of PutMany.
const batchBytes = 16 << 20

// Store is a table. All methods may be called at the same time.
type Store struct {
	pool    *pgxpool.Pool
	table   string
	sql     statements
	durable bool
}

var (
	_ pipeline.Store   = (*Store)(nil)
	_ pipeline.Batcher = (*Store)(nil)
)

// Info says that the store is shared, and whether it is durable.
func (s *Store) Info() pipeline.Info {
	return pipeline.Info{Name: "postgres", Durable: s.durable, Shared: true, MaxValue: maxValue}
}

func (s *Store) fail(op, key string, err error) error {
	return fmt.Errorf("postgres store %s: %s %q: %w", s.table, op, key, err)
}

// Get implements pipeline.Store.
func (s *Store) Get(ctx context.Context, key string) (pipeline.Item, error) {
	it, err := s.get(ctx, key)
	if err != nil {
		return pipeline.Item{}, s.fail("get", key, err)
	}
	return it, nil
}

func (s *Store) get(ctx context.Context, key string) (pipeline.Item, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return pipeline.Item{}, err
	}
	rows, err := s.pool.Query(ctx, s.sql.get, key)
	if err != nil {
		return pipeline.Item{}, err
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[row])
	if errors.Is(err, pgx.ErrNoRows) {
		return pipeline.Item{}, pipeline.ErrNotFound
	}
	if err != nil {
		return pipeline.Item{}, err
	}
	return r.item()
}

// Put implements pipeline.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	r := s.PutMany(ctx, []pipeline.Op{{Key: key, Value: value, Want: want}})[0]
	return r.Version, r.Err
}

// PutMany implements pipeline.Batcher.
func (s *Store) PutMany(ctx context.Context, ops []pipeline.Op) []pipeline.Result {
	results := make([]pipeline.Result, len(ops))
	var send []int // indices of the ops that are fit
	for i, op := range ops {
		if results[i].Err = check(ctx, op); results[i].Err == nil {
			send = append(send, i)
		}
	}
	// Batches that lock the same rows in different orders would deadlock.
	slices.SortStableFunc(send, func(a, b int) int { return strings.Compare(ops[a].Key, ops[b].Key) })
	for len(send) > 0 {
		n, size := 0, 0
		for n < len(send) && (n == 0 || size+len(ops[send[n]].Value) <= batchBytes) {
			size += len(ops[send[n]].Value)
			n++
		}
		s.putBatch(ctx, ops, send[:n], results)
		send = send[n:]
	}
	for i := range results {
		if r := &results[i]; r.Err != nil {
			*r = pipeline.Result{Err: s.fail("put", ops[i].Key, r.Err)}
		}
	}
	return results
}

func check(ctx context.Context, op pipeline.Op) error {
	if err := pipeline.CheckKey(op.Key); err != nil {
		return err
	}
	if len(op.Value) > maxValue {
		return fmt.Errorf("%w: %d bytes, at most %d", pipeline.ErrTooLarge, len(op.Value), maxValue)
	}
	if strings.ContainsFunc(string(op.Want), func(r rune) bool { return r < ' ' || r > '~' }) {
		// Not a version of ours, and perhaps not text for the server.
		return fmt.Errorf("%w: want %q", pipeline.ErrConflict, op.Want)
	}
	return ctx.Err()
}

// putBatch sends the ops with the given indices as one transaction.
func (s *Store) putBatch(ctx context.Context, ops []pipeline.Op, send []int, results []pipeline.Result) {
	fail := func(err error) {
		for _, i := range send {
			results[i].Err = err
		}
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		fail(err) // nothing was sent
		return
	}
	defer conn.Release()
	var batch pgx.Batch
	for _, i := range send {
		op, version := ops[i], newVersion()
		results[i].Version = pipeline.Version(version)
		value := op.Value
		if value == nil {
			value = []byte{} // nil is NULL
		}
		sql, args := s.sql.insert, []any{op.Key, version, value, checksum(op.Key, version, value)}
		if op.Want != "" {
			sql, args = s.sql.update, append(args, string(op.Want))
		}
		batch.Queue(sql, args...).Exec(func(tag pgconn.CommandTag) error {
			if tag.RowsAffected() == 0 {
				results[i].Err = fmt.Errorf("%w: want %q", pipeline.ErrConflict, op.Want)
			}
			return nil
		})
	}
	// Without a transaction of its own, a batch is one implicit transaction; its
	// end is what Close waits for, so that nothing counts before it.
	if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
		fail(outcome(ctx, err))
	}
}

// outcome decides what an error of a write means. What the server answers with
// an error is rolled back, unless it says that it does not know, or that it is
// being stopped.
func outcome(ctx context.Context, err error) error {
	var answer *pgconn.PgError
	switch {
	case errors.As(err, &answer):
		if c := answer.Code; c != "40003" && !strings.HasPrefix(c, "08") && (!strings.HasPrefix(c, "57") || c == "57014") {
			return err
		}
	case pgconn.SafeToRetry(err):
		return err
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return fmt.Errorf("%w: %w", pipeline.ErrUnknown, err)
}

// Delete implements pipeline.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	if _, err := s.pool.Exec(ctx, s.sql.remove, key); err != nil {
		return s.fail("delete", key, err)
	}
	return nil
}

// List implements pipeline.Store.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if limit <= 0 {
		limit = 1000
	}
	// Keys are printable, so that \x7f is beyond them all.
	rows, err := s.pool.Query(ctx, s.sql.list, prefix, prefix+"\x7f", after, limit)
	if err != nil {
		return nil, s.fail("list", prefix, err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return nil, s.fail("list", prefix, err)
	}
	items := make([]pipeline.Item, len(found))
	for i, r := range found {
		if items[i], err = r.item(); err != nil {
			return nil, s.fail("list", prefix, fmt.Errorf("%q: %w", r.Key, err))
		}
	}
	return items, nil
}
