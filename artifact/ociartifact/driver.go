package ociartifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/internal/chunk"
)

// StoreOptions configure a store. Nil and the zero value are the defaults.
type StoreOptions struct {
	// ChunkSize is how many bytes are sent in one request; two of them are held in memory for each Put. Zero means 6 MiB; 1
	// MiB to 1 GiB are accepted. Amazon ECR wants at least 5 MiB.
	ChunkSize int64
	// Store configures the portable store.
	Store artifact.StoreOptions
}

// Open opens the store in a repository, such as "registry.example.com/shop/artifacts". A repository that does not exist is
// empty; most registries create it with the first Put. The error is an [Error] of op "open": it wraps [ErrDenied] when the
// registry refuses access, and says when it cannot be reached.
func Open(ctx context.Context, client *Client, repository string, opts *StoreOptions) (*artifact.Store, error) {
	d, err := OpenDriver(ctx, client, repository, opts)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &StoreOptions{}
	}
	return artifact.NewStore(d, &opts.Store), nil
}

// Driver is the store's backend, for programs that wrap it; [OpenDriver] returns one.
type Driver struct {
	repo   *repository
	chunks *chunk.Pool
	config atomic.Bool // whether the config of all objects is known to be there
}

var _ driver.Driver = (*Driver)(nil)

// OpenDriver is [Open] without the portable store around it.
func OpenDriver(ctx context.Context, client *Client, repository string, opts *StoreOptions) (*Driver, error) {
	size := int64(defaultChunk)
	if opts != nil && opts.ChunkSize != 0 {
		size = opts.ChunkSize
	}
	d := &Driver{chunks: chunk.NewPool(size)}
	ref, err := parse("open", repository)
	if err == nil && (ref.Tag() != "" || ref.Pinned()) {
		err = &Error{"open", repository, fmt.Errorf("%w: want a repository without tag and digest", artifact.ErrInvalid)}
	}
	if err := errors.Join(err, checkChunk(size)); err != nil {
		return nil, err
	}
	d.repo = client.repository(ref)
	resp, err := d.repo.do(d.repo.scoped(ctx, auth.ActionPull), http.MethodGet, d.repo.base+"/tags/list?n=1", nil,
		http.StatusOK, http.StatusNotFound)
	if err != nil {
		return nil, &Error{"open", repository, reason(ctx, err)}
	}
	finish(resp)
	return d, nil
}

// Put implements [driver.Driver].
func (d *Driver) Put(ctx context.Context, key driver.Key, r io.Reader, size int64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	stored, err := d.repo.putBlob(ctx, blobOf(key), r, size, d.chunks)
	if err == nil {
		err = d.putObject(d.repo.pushScope(ctx), key, stored)
	}
	return reason(ctx, err)
}

// Get implements [driver.Driver].
func (d *Driver) Get(ctx context.Context, key driver.Key) (io.ReadCloser, driver.Info, error) {
	info, err := d.Stat(ctx, key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	stream, _, err := d.repo.blob(ctx, blobOf(key))
	if err != nil {
		return nil, driver.Info{}, absent(reason(ctx, err))
	}
	return stream, info, nil
}

// Stat implements [driver.Driver].
func (d *Driver) Stat(ctx context.Context, key driver.Key) (driver.Info, error) {
	if err := check(ctx, key); err != nil {
		return driver.Info{}, err
	}
	_, data, err := d.repo.manifest(ctx, tagOf(key))
	if err != nil {
		return driver.Info{}, absent(reason(ctx, err))
	}
	return readObject(key, data)
}

// Delete implements [driver.Driver]. Registries differ in whether a tag, a manifest or both can be deleted, and in what
// becomes of the other; the blob is left to their garbage collection.
func (d *Driver) Delete(ctx context.Context, key driver.Key) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	ctx = d.repo.scoped(ctx, auth.ActionPull, auth.ActionDelete)
	desc, _, err := d.repo.manifest(ctx, tagOf(key))
	if err = absent(reason(ctx, err)); err != nil {
		if errors.Is(err, driver.ErrNotFound) {
			return nil
		}
		return err
	}
	_, byTag := d.repo.deleteManifest(ctx, tagOf(key))
	_, byDigest := d.repo.deleteManifest(ctx, string(desc.Digest))
	if byTag != nil && byDigest != nil {
		return fmt.Errorf("the registry lets nothing be deleted: %w", reason(ctx, byDigest))
	}
	return nil
}

func check(ctx context.Context, key driver.Key) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return key.Validate()
}

// absent tells a missing object from every other error.
func absent(err error) error {
	if errors.Is(err, artifact.ErrNotFound) {
		return driver.ErrNotFound
	}
	return err
}
