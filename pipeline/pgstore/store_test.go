package pgstore_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pgstore"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// server returns a pool on the genuine server at GENNAKER_POSTGRES, and the name
// of a table for the test. edit may change the configuration of the pool.
func server(t *testing.T, edit func(*pgxpool.Config)) (*pgxpool.Pool, string) {
	url := os.Getenv("GENNAKER_POSTGRES")
	if url == "" {
		t.Skip("GENNAKER_POSTGRES is not the URL of a PostgreSQL server")
	}
	c, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	if edit != nil {
		edit(c)
	}
	pool, err := pgxpool.NewWithConfig(t.Context(), c)
	require.NoError(t, err)
	table := "Test of \"it\" " + rand.Text()
	t.Cleanup(func() {
		_, err := pool.Exec(context.WithoutCancel(t.Context()), "DROP TABLE IF EXISTS "+pgx.Identifier{table}.Sanitize())
		require.NoError(t, err)
		pool.Close()
	})
	return pool, table
}

func open(t *testing.T, pool *pgxpool.Pool, table string) *pgstore.Store {
	t.Helper()
	s, err := pgstore.Open(t.Context(), pool, pgstore.Options{Table: table})
	require.NoError(t, err)
	return s
}

func TestStore(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T) storetest.Place {
		pool, table := server(t, nil)
		return func() (pipeline.Store, error) {
			return pgstore.Open(t.Context(), pool, pgstore.Options{Table: table})
		}
	})
}

// The contract holds at every isolation level, up to errors that are none of
// the contract's and leave nothing written.
func TestStoreSerializable(t *testing.T) {
	pool, table := server(t, func(c *pgxpool.Config) {
		c.ConnConfig.RuntimeParams["default_transaction_isolation"] = "serializable"
	})
	s := open(t, pool, table)
	v, err := s.Put(t.Context(), "k", []byte("0"), "")
	require.NoError(t, err)
	for range 20 {
		var wins atomic.Int64
		var next atomic.Value
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if v, err := s.Put(t.Context(), "k", []byte("1"), v); err == nil {
					wins.Add(1)
					next.Store(v)
				} else {
					require.NotErrorIs(t, err, pipeline.ErrUnknown)
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1, wins.Load())
		v = next.Load().(pipeline.Version)
	}
}

func TestDurableIsWhatTheServerDoes(t *testing.T) {
	for commit, durable := range map[string]bool{"on": true, "local": true, "off": false} {
		pool, table := server(t, func(c *pgxpool.Config) { c.ConnConfig.RuntimeParams["synchronous_commit"] = commit })
		require.Equal(t, durable, open(t, pool, table).Info().Durable, commit)
	}
}

func TestOpenAtTheSameTime(t *testing.T) {
	pool, table := server(t, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			_, err := pgstore.Open(t.Context(), pool, pgstore.Options{Table: table})
			require.NoError(t, err)
		})
	}
	wg.Wait()
}

// dropper breaks a connection after the request was sent and before the reply.
type dropper struct {
	net.Conn
	armed *atomic.Bool
}

func (d dropper) Read(b []byte) (int, error) {
	n, err := d.Conn.Read(b)
	if d.armed.Load() {
		d.Conn.Close()
		return 0, net.ErrClosed
	}
	return n, err
}

func TestLostReplyIsUnknown(t *testing.T) {
	var armed atomic.Bool
	pool, table := server(t, func(c *pgxpool.Config) {
		dial := c.ConnConfig.DialFunc
		c.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return dropper{conn, &armed}, nil
		}
	})
	s := open(t, pool, table)
	v, err := s.Put(t.Context(), "k", []byte("1"), "")
	require.NoError(t, err)
	armed.Store(true)
	_, err = s.Put(t.Context(), "k", []byte("2"), v)
	armed.Store(false)
	require.ErrorIs(t, err, pipeline.ErrUnknown)
	_, err = s.Get(t.Context(), "k")
	require.NoError(t, err)
}

func TestCorruptRecord(t *testing.T) {
	pool, table := server(t, nil)
	s := open(t, pool, table)
	_, err := s.Put(t.Context(), "k", []byte("value"), "")
	require.NoError(t, err)
	_, err = pool.Exec(t.Context(), "UPDATE "+pgx.Identifier{table}.Sanitize()+" SET value = 'other'")
	require.NoError(t, err)
	_, err = s.Get(t.Context(), "k")
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	_, err = s.List(t.Context(), "", "", 0)
	require.ErrorIs(t, err, pipeline.ErrCorrupt)
	require.True(t, strings.Contains(err.Error(), `"k"`))
}

func TestOpenErrors(t *testing.T) {
	_, err := pgstore.Open(t.Context(), nil, pgstore.Options{})
	require.ErrorContains(t, err, "the pool is nil")
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none?connect_timeout=5")
	require.NoError(t, err)
	defer pool.Close()
	_, err = pgstore.Open(t.Context(), pool, pgstore.Options{})
	require.ErrorContains(t, err, "connect")
}
