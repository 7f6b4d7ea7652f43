package artifacttest

import (
	"context"
	"io"

	"github.com/gennaker/gennaker/artifact/driver"
)

// Faulty is a driver that passes calls on to another one, with faults. Its hooks may be nil; they are called from as many
// goroutines as the driver is.
type Faulty struct {
	Driver driver.Driver

	// Before is called at the start of each operation, "put", "get", "stat", "delete" or "list" (whose key has a folder
	// only). An error ends the operation without effect.
	Before func(ctx context.Context, op string, key driver.Key) error
	// After is called when the operation has succeeded. An error takes the place of the success: the effect is there, and
	// the caller does not know it, as when a connection breaks before the reply.
	After func(ctx context.Context, op string, key driver.Key) error
	// Stream replaces the stream that Get returns, to cut it or to change what it holds.
	Stream func(key driver.Key, r io.Reader) io.Reader
}

var _ driver.Driver = (*Faulty)(nil)

// Put implements [driver.Driver].
func (f *Faulty) Put(ctx context.Context, key driver.Key, r io.Reader, size int64) error {
	return f.around(ctx, "put", key, func() error { return f.Driver.Put(ctx, key, r, size) })
}

// Get implements [driver.Driver].
func (f *Faulty) Get(ctx context.Context, key driver.Key) (io.ReadCloser, driver.Info, error) {
	var stream io.ReadCloser
	var info driver.Info
	err := f.around(ctx, "get", key, func() (err error) {
		stream, info, err = f.Driver.Get(ctx, key)
		return err
	})
	if err != nil {
		if stream != nil {
			_ = stream.Close() // The fault takes the place of whatever Close would say.
		}
		return nil, driver.Info{}, err
	}
	if f.Stream != nil {
		stream = struct {
			io.Reader
			io.Closer
		}{f.Stream(key, stream), stream}
	}
	return stream, info, nil
}

// Stat implements [driver.Driver].
func (f *Faulty) Stat(ctx context.Context, key driver.Key) (info driver.Info, err error) {
	err = f.around(ctx, "stat", key, func() (err error) {
		info, err = f.Driver.Stat(ctx, key)
		return err
	})
	return info, err
}

// Delete implements [driver.Driver].
func (f *Faulty) Delete(ctx context.Context, key driver.Key) error {
	return f.around(ctx, "delete", key, func() error { return f.Driver.Delete(ctx, key) })
}

// List implements [driver.Driver].
func (f *Faulty) List(ctx context.Context, folder, after string, limit int) (infos []driver.Info, err error) {
	err = f.around(ctx, "list", driver.Key{Folder: folder}, func() (err error) {
		infos, err = f.Driver.List(ctx, folder, after, limit)
		return err
	})
	return infos, err
}

func (f *Faulty) around(ctx context.Context, op string, key driver.Key, call func() error) error {
	if f.Before != nil {
		if err := f.Before(ctx, op, key); err != nil {
			return err
		}
	}
	if err := call(); err != nil {
		return err
	}
	if f.After != nil {
		return f.After(ctx, op, key)
	}
	return nil
}
