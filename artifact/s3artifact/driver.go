package s3artifact

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/internal/chunk"
)

// Options configure a store. Nil and the zero value are the defaults.
type Options struct {
	// Prefix comes before every object's name, with a "/" between, so that a bucket can be shared: "artifacts" or
	// "team/shop". The default is none.
	Prefix string
	// PartSize is how many bytes are sent in one request; two of them are held in memory for each Put. Zero means 6 MiB; S3
	// accepts 5 MiB to 5 GiB.
	PartSize int64
	// Store configures the portable store.
	Store artifact.StoreOptions
}

const (
	defaultPartSize = 6 << 20
	minPartSize     = 5 << 20
	maxPartSize     = 5 << 30
)

// Open opens the store in an existing bucket. The error says so when the bucket does not exist, or when the service cannot
// be reached or refuses access.
func Open(ctx context.Context, client *minio.Client, bucket string, opts *Options) (*artifact.Store, error) {
	d, err := OpenDriver(ctx, client, bucket, opts)
	if err != nil {
		return nil, err
	}
	if opts == nil {
		opts = &Options{}
	}
	return artifact.NewStore(d, &opts.Store), nil
}

// Driver is the store's backend, for programs that wrap it; [OpenDriver] returns one.
type Driver struct {
	core   minio.Core
	bucket string
	prefix string // "" or ends with "/"
	parts  *chunk.Pool
	left   left
}

var _ driver.Driver = (*Driver)(nil)

// OpenDriver is [Open] without the portable store around it.
func OpenDriver(ctx context.Context, client *minio.Client, bucket string, opts *Options) (*Driver, error) {
	d, err := newDriver(client, bucket, opts)
	if err != nil {
		return nil, fmt.Errorf("artifact bucket %q: %w", bucket, err)
	}
	exists, err := client.BucketExists(ctx, bucket)
	if err == nil && !exists {
		err = errors.New("it does not exist; create it first")
	}
	if err != nil {
		return nil, fmt.Errorf("artifact bucket %q: %w", bucket, err)
	}
	return d, nil
}

func newDriver(client *minio.Client, bucket string, opts *Options) (*Driver, error) {
	d := &Driver{core: minio.Core{Client: client}, bucket: bucket}
	if opts == nil {
		opts = &Options{}
	}
	var errs []error
	partSize := cmp.Or(opts.PartSize, defaultPartSize)
	if partSize < minPartSize || partSize > maxPartSize {
		errs = append(errs, fmt.Errorf("part size of %d bytes: want %d to %d", partSize, minPartSize, maxPartSize))
	}
	d.parts = chunk.NewPool(partSize)
	if opts.Prefix != "" {
		d.prefix = strings.TrimSuffix(opts.Prefix, "/") + "/"
		if strings.HasPrefix(d.prefix, "/") || strings.Contains(d.prefix, "//") {
			errs = append(errs, fmt.Errorf("prefix %q: want parts joined by single slashes", opts.Prefix))
		}
	}
	return d, errors.Join(errs...)
}

// Get implements [driver.Driver].
func (d *Driver) Get(ctx context.Context, key driver.Key) (io.ReadCloser, driver.Info, error) {
	if err := check(ctx, key); err != nil {
		return nil, driver.Info{}, err
	}
	stream, info, _, err := d.core.GetObject(ctx, d.bucket, d.name(key), minio.GetObjectOptions{})
	if err != nil {
		return nil, driver.Info{}, absent(err)
	}
	return stream, infoOf(key, info), nil
}

// Stat implements [driver.Driver].
func (d *Driver) Stat(ctx context.Context, key driver.Key) (driver.Info, error) {
	if err := check(ctx, key); err != nil {
		return driver.Info{}, err
	}
	info, err := d.core.StatObject(ctx, d.bucket, d.name(key), minio.StatObjectOptions{})
	if err != nil {
		return driver.Info{}, absent(err)
	}
	return infoOf(key, info), nil
}

// Delete implements [driver.Driver].
func (d *Driver) Delete(ctx context.Context, key driver.Key) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	err := absent(d.core.RemoveObject(ctx, d.bucket, d.name(key), minio.RemoveObjectOptions{}))
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	}
	return err
}

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context, folder, after string, limit int) ([]driver.Info, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := driver.ValidateFolder(folder); err != nil {
		return nil, err
	}
	prefix := d.prefix + folder + "/"
	opts := minio.ListObjectsOptions{Prefix: prefix, MaxKeys: limit}
	if after != "" {
		opts.StartAfter = prefix + after
	}
	var infos []driver.Info
	for object := range d.core.ListObjectsIter(ctx, d.bucket, opts) {
		if object.Err != nil {
			return nil, object.Err
		}
		hash := strings.TrimPrefix(object.Key, prefix)
		if !driver.IsHash(hash) {
			continue // A folder inside this one, or somebody else's object.
		}
		infos = append(infos, infoOf(driver.Key{Folder: folder, Hash: hash}, object))
		if len(infos) == limit {
			return infos, nil
		}
	}
	// The iterator ends without an error when the context does.
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return infos, nil
}

func (d *Driver) name(key driver.Key) string { return d.prefix + key.String() }

func infoOf(key driver.Key, info minio.ObjectInfo) driver.Info {
	return driver.Info{Key: key, Size: info.Size, ModTime: info.LastModified}
}

func check(ctx context.Context, key driver.Key) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return key.Validate()
}

// absent tells a missing object from every other error. A bucket that is gone is not a missing object.
func absent(err error) error {
	if err != nil && minio.ToErrorResponse(err).Code == minio.NoSuchKey {
		return driver.ErrNotFound
	}
	return err
}
