package stores

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/s3artifact"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/netns"
	"github.com/gennaker/gennaker/internal/e2e/pgtest"
	"github.com/gennaker/gennaker/internal/e2e/redistest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/pgstore"
	"github.com/gennaker/gennaker/pipeline/redisstore"
	"github.com/gennaker/gennaker/pipeline/s3store"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		if err := work(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(netns.Main(m.Run, netns.Options{Prepare: miniotest.Prepare}))
}

// genuine is a server with places for stores.
type genuine struct {
	place func(t *testing.T) storetest.Place // an empty one each time
	crash func(t testing.TB)
}

func minioServer(t *testing.T) genuine {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	var n atomic.Int64
	return genuine{crash: server.Crash, place: func(t *testing.T) storetest.Place {
		config := s3store.Config{
			Endpoint: server.Addr(), Bucket: bucket, Prefix: fmt.Sprintf("place/%d", n.Add(1)),
			Credentials: credentials.NewStaticV4(miniotest.AccessKey, miniotest.SecretKey, ""),
		}
		return func() (pipeline.Store, error) { return s3store.Open(t.Context(), config) }
	}}
}

func redisServer(t *testing.T) genuine {
	server := redistest.Start(t)
	var n atomic.Int64
	return genuine{crash: server.Crash, place: func(t *testing.T) storetest.Place {
		config := redisstore.Config{
			Server: &redis.UniversalOptions{Addrs: []string{server.Addr()}}, Prefix: fmt.Sprintf("place-%d", n.Add(1)),
		}
		return func() (pipeline.Store, error) { return redisstore.Open(t.Context(), config) }
	}}
}

func postgresServer(t *testing.T) genuine {
	server := pgtest.Start(t)
	return genuine{crash: server.Crash, place: func(t *testing.T) storetest.Place {
		pool, err := pgxpool.New(t.Context(), server.Database(t))
		require.NoError(t, err)
		t.Cleanup(pool.Close)
		return func() (pipeline.Store, error) { return pgstore.Open(t.Context(), pool, pgstore.Options{}) }
	}}
}

func servers() map[string]func(*testing.T) genuine {
	return map[string]func(*testing.T) genuine{"s3store": minioServer, "redisstore": redisServer, "pgstore": postgresServer}
}

func TestConformance(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) { storetest.RunDurable(t, start(t).place) })
	}
}

func TestAcknowledgedSurvivesACrashOfTheServer(t *testing.T) {
	for name, start := range servers() {
		t.Run(name, func(t *testing.T) {
			server := start(t)
			place := server.place(t)
			store, err := place()
			require.NoError(t, err)
			require.True(t, store.Info().Durable)
			versions := map[string]pipeline.Version{}
			for round := range 3 {
				for i := range 10 {
					key := fmt.Sprintf("k/%d", i)
					versions[key], err = store.Put(t.Context(), key, fmt.Appendf(nil, "%d.%d", round, i), versions[key])
					require.NoError(t, err)
				}
				server.crash(t)
				// The connections of before are dead; each store may need a moment to notice.
				for i := range 10 {
					key := fmt.Sprintf("k/%d", i)
					item := get(t, store, key)
					require.Equal(t, fmt.Sprintf("%d.%d", round, i), string(item.Value))
					require.Equal(t, versions[key], item.Version)
				}
			}
		})
	}
}

// get reads a key, again when an error says that the connection is gone.
func get(t *testing.T, store pipeline.Store, key string) pipeline.Item {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		item, err := store.Get(t.Context(), key)
		if err == nil {
			return item
		}
		require.NotErrorIs(t, err, pipeline.ErrNotFound)
		require.Less(t, time.Now(), deadline, err)
		time.Sleep(10 * time.Millisecond)
	}
}

func TestArtifactConformance(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	var n atomic.Int64
	artifacttest.Run(t, func(t *testing.T) driver.Driver {
		d, err := s3artifact.OpenDriver(t.Context(), server.Client(t), bucket,
			&s3artifact.Options{Prefix: fmt.Sprintf("place%d", n.Add(1))})
		require.NoError(t, err)
		return d
	})
}
