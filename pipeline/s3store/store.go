package s3store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/minio/minio-go/v7"

	"github.com/gennaker/gennaker/pipeline"
)

// Store is a bucket, or the part of it below a prefix. All methods may be called
// at the same time. It holds no resources but idle connections.
type Store struct {
	client   *minio.Client
	bucket   string
	prefix   string
	parallel int
	lags     bool
}

var _ pipeline.Store = (*Store)(nil)

// Info says that the store is durable and shared.
func (s *Store) Info() pipeline.Info {
	return pipeline.Info{Name: "s3", Durable: true, Shared: true, ListLags: s.lags, MaxValue: maxValue}
}

// name checks a key and returns the name of its object.
func (s *Store) name(key string) (string, error) {
	if err := pipeline.CheckKey(key); err != nil {
		return "", err
	}
	name := s.prefix + nameOf(key)
	if len(name) > nameMax {
		return "", fmt.Errorf("the key has an object name of %d bytes, at most %d are allowed", len(name), nameMax)
	}
	return name, nil
}

func (s *Store) fail(op, key string, err error) error {
	return fmt.Errorf("s3 store %s/%s: %s %q: %w", s.bucket, s.prefix, op, key, err)
}

// Get implements pipeline.Store.
func (s *Store) Get(ctx context.Context, key string) (pipeline.Item, error) {
	it, _, err := s.get(ctx, key)
	if err != nil {
		return pipeline.Item{}, s.fail("get", key, err)
	}
	return it, nil
}

func (s *Store) get(ctx context.Context, key string) (pipeline.Item, writeID, error) {
	name, err := s.name(key)
	if err != nil {
		return pipeline.Item{}, writeID{}, err
	}
	body, version, err := s.fetch(ctx, name)
	if err != nil {
		return pipeline.Item{}, writeID{}, err
	}
	value, id, err := parseBody(key, body)
	return pipeline.Item{Key: key, Version: version, Value: value}, id, err
}

// fetch reads an object with its version, in one request.
func (s *Store) fetch(ctx context.Context, name string) ([]byte, pipeline.Version, error) {
	if err := ctx.Err(); err != nil {
		return nil, "", err
	}
	r, info, _, err := minio.Core{Client: s.client}.GetObject(ctx, s.bucket, name, minio.GetObjectOptions{})
	if isMissing(err) {
		return nil, "", pipeline.ErrNotFound
	}
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	body, err := io.ReadAll(io.LimitReader(r, maxValue+headerSize+1))
	if err == nil && int64(len(body)) != info.Size {
		err = fmt.Errorf("%d of %d bytes: %w", len(body), info.Size, io.ErrUnexpectedEOF)
	}
	return body, pipeline.Version(info.ETag), err
}

// Put implements pipeline.Store.
func (s *Store) Put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	v, err := s.put(ctx, key, value, want)
	if err != nil {
		return "", s.fail("put", key, err)
	}
	return v, nil
}

func (s *Store) put(ctx context.Context, key string, value []byte, want pipeline.Version) (pipeline.Version, error) {
	name, err := s.name(key)
	switch {
	case err != nil:
		return "", err
	case ctx.Err() != nil:
		return "", ctx.Err()
	case len(value) > maxValue:
		return "", fmt.Errorf("%w: %d bytes, at most %d", pipeline.ErrTooLarge, len(value), maxValue)
	case !isETag(want):
		return "", fmt.Errorf("%w: %q is not a version of this store", pipeline.ErrConflict, want)
	}
	body, id := newBody(key, value)
	v, err := s.send(ctx, name, body, want)
	if !isConflict(err) {
		return v, err
	}
	// A proxy may have repeated the request, so that it met its own result.
	it, there, getErr := s.get(ctx, key)
	if getErr == nil && there == id {
		return it.Version, nil
	}
	return "", fmt.Errorf("%w: want %q: %w", pipeline.ErrConflict, want, err)
}

// isETag guards the header: "*" would match anything.
func isETag(v pipeline.Version) bool {
	for i := range len(v) {
		c := v[i]
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// send makes one conditional PUT. Errors for which isConflict is true are the
// server's answer to the condition.
func (s *Store) send(ctx context.Context, name string, body []byte, want pipeline.Version) (pipeline.Version, error) {
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream", DisableMultipart: true}
	if want == "" {
		opts.SetMatchETagExcept("*")
	} else {
		opts.SetMatchETag(string(want))
	}
	info, err := s.client.PutObject(ctx, s.bucket, name, bytes.NewReader(body), int64(len(body)), opts)
	switch {
	case err == nil && info.ETag == "":
		return "", fmt.Errorf("%w: the server answered without an ETag", pipeline.ErrUnknown)
	case err == nil:
		return pipeline.Version(info.ETag), nil
	case want != "" && isMissing(err):
		return "", &conflict{err} // MinIO answers so to If-Match when there is no object
	case isConflict(err):
		return "", &conflict{err}
	case neverSent(err):
		return "", err
	}
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return "", fmt.Errorf("%w: %w", pipeline.ErrUnknown, err)
}

type conflict struct{ error }

func (c *conflict) Unwrap() error { return c.error }

func isConflict(err error) bool {
	var c *conflict
	return errors.As(err, &c) || minio.ToErrorResponse(err).StatusCode == http.StatusPreconditionFailed
}

func isMissing(err error) bool {
	return minio.ToErrorResponse(err).Code == "NoSuchKey"
}

// neverSent says that the server refused the request or never saw it. A server
// error says neither: MinIO answers 503 when too few drives have written, and
// some then have. 409 is Amazon's answer to a concurrent write; nothing is
// written then.
func neverSent(err error) bool {
	if code := minio.ToErrorResponse(err).StatusCode; code >= 400 && code < 500 && code != http.StatusRequestTimeout {
		return true
	}
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

// Delete implements pipeline.Store.
func (s *Store) Delete(ctx context.Context, key string) error {
	name, err := s.name(key)
	if err == nil {
		err = ctx.Err()
	}
	if err == nil {
		err = s.client.RemoveObject(ctx, s.bucket, name, minio.RemoveObjectOptions{})
	}
	if err != nil && !isMissing(err) {
		return s.fail("delete", key, err)
	}
	return nil
}

// List implements pipeline.Store. The server lists names only, so that each item
// costs a request; what is deleted between the two is left out.
func (s *Store) List(ctx context.Context, prefix, after string, limit int) ([]pipeline.Item, error) {
	if limit <= 0 {
		limit = 1000
	}
	var items []pipeline.Item
	for len(items) < limit {
		keys, err := s.names(ctx, prefix, after, limit-len(items))
		if err == nil {
			var found []pipeline.Item
			found, err = s.getAll(ctx, keys)
			items = append(items, found...)
		}
		if err != nil {
			return nil, s.fail("list", prefix, err)
		}
		if len(keys) == 0 {
			break
		}
		after = keys[len(keys)-1]
	}
	return items, nil
}

// names returns up to limit keys.
func (s *Store) names(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	// Cancelling ends minio-go's goroutine behind the channel.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	opts := minio.ListObjectsOptions{Prefix: s.prefix + prefixOf(prefix), Recursive: true, MaxKeys: min(limit, 1000)}
	if after != "" {
		opts.StartAfter = s.prefix + nameOf(after)
	}
	var keys []string
	for info := range s.client.ListObjects(ctx, s.bucket, opts) {
		if info.Err != nil {
			return nil, info.Err
		}
		// Names that are not ours are a probe's, or another program's.
		if key, err := keyOf(info.Key[min(len(s.prefix), len(info.Key)):]); err == nil {
			keys = append(keys, key)
		}
		if len(keys) == limit {
			break
		}
	}
	return keys, ctx.Err()
}

// getAll fetches the keys that still exist, in their order.
func (s *Store) getAll(ctx context.Context, keys []string) ([]pipeline.Item, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]pipeline.Item, len(keys))
	slots := make(chan struct{}, s.parallel)
	var wg sync.WaitGroup
	for i, key := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			it, _, err := s.get(ctx, key)
			if err != nil && !errors.Is(err, pipeline.ErrNotFound) {
				cancel(fmt.Errorf("%q: %w", key, err)) // the first one stays the cause
				return
			}
			found[i] = it
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	items := found[:0]
	for _, it := range found {
		if it.Key != "" {
			items = append(items, it)
		}
	}
	return items, nil
}
