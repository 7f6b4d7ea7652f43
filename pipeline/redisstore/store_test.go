package redisstore_test

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/redisstore"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

// server returns a client of the genuine server that GENNAKER_REDIS names, and a
// place on it for the test.
func server(t *testing.T) (*redis.Client, redisstore.Config) {
	addr := os.Getenv("GENNAKER_REDIS")
	if addr == "" {
		t.Skip("GENNAKER_REDIS does not name the address of a Redis server")
	}
	client := redis.NewClient(&redis.Options{Addr: addr})
	c := redisstore.Config{Server: &redis.UniversalOptions{Addrs: []string{addr}}, Prefix: "test-" + rand.Text()}
	t.Cleanup(func() {
		keys := []string{"{" + c.Prefix + "}:records", "{" + c.Prefix + "}:keys"}
		require.NoError(t, client.Del(context.WithoutCancel(t.Context()), keys...).Err())
		require.NoError(t, client.Close())
	})
	return client, c
}

func TestStore(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T) storetest.Place {
		_, c := server(t)
		return func() (pipeline.Store, error) {
			s, err := redisstore.Open(t.Context(), c)
			if err != nil {
				return nil, err
			}
			return s, nil
		}
	})
}

func open(t *testing.T, c redisstore.Config) *redisstore.Store {
	t.Helper()
	s, err := redisstore.Open(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Durable is what the server does, and a server that evicts is refused.
func TestServerSettings(t *testing.T) {
	client, c := server(t)
	set := func(name, value string) {
		t.Helper()
		old := client.ConfigGet(t.Context(), name).Val()[name]
		require.NoError(t, client.ConfigSet(t.Context(), name, value).Err())
		t.Cleanup(func() {
			require.NoError(t, client.ConfigSet(context.WithoutCancel(t.Context()), name, old).Err())
		})
	}
	set("appendonly", "yes")
	set("appendfsync", "always")
	require.True(t, open(t, c).Info().Durable)
	set("appendfsync", "everysec")
	require.False(t, open(t, c).Info().Durable)
	set("maxmemory-policy", "allkeys-lru")
	_, err := redisstore.Open(t.Context(), c)
	require.ErrorIs(t, err, redisstore.ErrEvicts)
}

// dropper breaks a connection after the request was sent and before the reply.
type dropper struct {
	net.Conn
	armed *bool
}

func (d dropper) Read(b []byte) (int, error) {
	if *d.armed {
		d.Conn.Close()
		return 0, net.ErrClosed
	}
	return d.Conn.Read(b)
}

func TestLostReplyIsUnknown(t *testing.T) {
	_, c := server(t)
	armed := false
	c.Server.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return dropper{conn, &armed}, err
	}
	s := open(t, c)
	armed = true
	_, err := s.Put(t.Context(), "k", nil, "")
	armed = false
	require.ErrorIs(t, err, pipeline.ErrUnknown)
}

func TestCorruptRecord(t *testing.T) {
	client, c := server(t)
	s := open(t, c)
	_, err := s.Put(t.Context(), "k", []byte("value"), "")
	require.NoError(t, err)
	for _, record := range []string{"", "short", "0123456789abcdef0123456789abcdef\x01____value", "0123456789abcdef0123456789abcdef\x02____value"} {
		require.NoError(t, client.HSet(t.Context(), "{"+c.Prefix+"}:records", "k", record).Err())
		_, err = s.Get(t.Context(), "k")
		require.ErrorIs(t, err, pipeline.ErrCorrupt)
		_, err = s.List(t.Context(), "", "", 0)
		require.ErrorIs(t, err, pipeline.ErrCorrupt)
		require.ErrorContains(t, err, `"k"`)
	}
}

func TestOpenErrors(t *testing.T) {
	_, err := redisstore.Open(t.Context(), redisstore.Config{})
	require.ErrorContains(t, err, "Config.Server is nil")
	opts := &redis.UniversalOptions{Addrs: []string{"127.0.0.1:1"}}
	_, err = redisstore.Open(t.Context(), redisstore.Config{Server: opts, Prefix: "{x}"})
	require.ErrorContains(t, err, "brace")
	_, err = redisstore.Open(t.Context(), redisstore.Config{Server: opts})
	require.ErrorContains(t, err, "connection refused")
}
