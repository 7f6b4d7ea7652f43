package stores

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/redis/go-redis/v9"

	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/boltstore"
	"github.com/gennaker/gennaker/pipeline/pgstore"
	"github.com/gennaker/gennaker/pipeline/redisstore"
	"github.com/gennaker/gennaker/pipeline/s3store"
	"github.com/gennaker/gennaker/stage"
)

// asWorker makes the test binary a worker: an engine on the store of killPlace.
const asWorker = "GENNAKER_KILL_WORKER"

// killPlace says where a worker finds its store and the world.
type killPlace struct {
	Kind, Addr, Name string
	World            string
	TTL              time.Duration // of the leases
}

func (k killPlace) open(ctx context.Context) (pipeline.Store, error) {
	switch k.Kind {
	case "bolt":
		return boltstore.Open(k.Addr, boltstore.Options{LockWait: 20 * time.Second})
	case "s3":
		return s3store.Open(ctx, s3store.Config{
			Endpoint: k.Addr, Bucket: k.Name,
			Credentials: credentials.NewStaticV4(miniotest.AccessKey, miniotest.SecretKey, ""),
		})
	case "redis":
		return redisstore.Open(ctx, redisstore.Config{Server: &redis.UniversalOptions{Addrs: []string{k.Addr}}, Prefix: k.Name})
	case "postgres":
		pool, err := pgxpool.New(ctx, k.Addr)
		if err != nil {
			return nil, err
		}
		return pgstore.Open(ctx, pool, pgstore.Options{})
	}
	return nil, fmt.Errorf("no store of kind %q", k.Kind)
}

// outside is an effect in the world of the test process.
type outside struct{ world string }

func (o outside) Kind() string { return "outside/v1" }

// ask sends a request and decodes the answer.
func (o outside) ask(ctx context.Context, what string, q url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.world+"/"+what+"?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = errors.New(resp.Status)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// fenced are the values that each request about an effect carries.
func fenced(c *stage.Ctx, key string) url.Values {
	return url.Values{"key": {key}, "fence": {strconv.FormatUint(c.Fence(), 10)}}
}

func (o outside) Start(c *stage.Ctx, in string) (string, error) {
	var ok bool
	return c.Key(), o.ask(c, "start", fenced(c, c.Key()), &ok)
}

func (o outside) Find(c *stage.Ctx, in string) (string, bool, error) {
	var found bool
	err := o.ask(c, "find", fenced(c, c.Key()), &found)
	return c.Key(), found, err
}

func (o outside) Poll(c *stage.Ctx, h *string) (stage.Status[string], error) {
	var left time.Duration
	if err := o.ask(c, "poll", fenced(c, *h), &left); err != nil {
		return stage.Status[string]{}, err
	}
	if left > 0 {
		return stage.Running[string]("at work", left), nil
	}
	return stage.Succeeded(*h), nil
}

func (o outside) Abort(*stage.Ctx, string) error { return nil }

// killed is the pipeline that the workers run: build, two checks, deploy, verify.
func killed(o outside) *pipeline.Pipeline[string, string] {
	return pipeline.Define("killed", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		build := stage.Start(b, "build", o, in)
		unit := stage.Start(b, "unit", o, build)
		lint := stage.Run(b, "lint", stage.Func("lint/v1", func(_ *stage.Ctx, s string) (string, error) { return s, nil }), build)
		deploy := stage.Start(b, "deploy", o, build, stage.After(unit, lint))
		return stage.Start(b, "verify", o, deploy)
	})
}

// killedEffects are the stages whose starts the world counts.
var killedEffects = []string{"build", "unit", "deploy", "verify"}

func (k killPlace) engine(store pipeline.Store) *pipeline.Embedded {
	return pipeline.New(store, pipeline.Options{LeaseTTL: k.TTL, DrainTimeout: time.Second})
}

// tell tells the world when an execution has ended. What goes wrong is said, and
// fails the test.
func tell(ctx context.Context, world outside, run *pipeline.Run[string]) {
	_, err := run.Wait(ctx)
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		_, err = run.Wait(ctx) // the worker was stopped during its first look, whose trouble Wait tells
	}
	for err == nil {
		var ok bool
		if world.ask(ctx, "ended", url.Values{"id": {run.ID()}}, &ok) == nil || ctx.Err() != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	if ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "wait:", err)
	}
}

// work is the main function of a worker. It starts what the world says there is
// to start, as the other workers do, and tells what has ended.
func work() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	var place killPlace
	if err := json.Unmarshal([]byte(os.Getenv(asWorker)), &place); err != nil {
		return err
	}
	store, err := place.open(ctx)
	if err != nil {
		return err
	}
	if c, ok := store.(io.Closer); ok {
		defer func() { err = errors.Join(err, c.Close()) }()
	}
	world := outside{place.World}
	p := killed(world)
	e := place.engine(store)
	if err := e.Register(p); err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { err = errors.Join(err, e.Run(ctx)) })
	for next := 0; ctx.Err() == nil; {
		var ids []string
		if err := world.ask(ctx, "wanted", url.Values{"after": {fmt.Sprint(next)}}, &ids); err != nil {
			continue
		}
		for _, id := range ids {
			run, err := pipeline.Start(ctx, e, p, id, "commit")
			if err != nil {
				break // tried again
			}
			next++
			wg.Go(func() { tell(ctx, world, run) })
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}
