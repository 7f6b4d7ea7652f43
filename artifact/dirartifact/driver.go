package dirartifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

// Open opens the store in a folder, which is created if it does not exist, and removes what crashed processes left behind.
// The error wraps the file system's, such as [fs.ErrPermission].
func Open(dir string, opts *artifact.StoreOptions) (*artifact.Store, error) {
	d, err := OpenDriver(dir)
	if err != nil {
		return nil, err
	}
	return artifact.NewStore(d, opts), nil
}

// Driver is the store's backend, for programs that wrap it; [OpenDriver] returns one.
type Driver struct {
	root    *os.Root
	durable sync.Map // folders that are known to survive a power failure
}

var _ driver.Driver = (*Driver)(nil)

const (
	dirMode  = 0o750
	fileMode = 0o640
)

// OpenDriver is [Open] without the portable store around it. The driver holds one file descriptor of the folder until it
// is garbage.
func OpenDriver(dir string) (*Driver, error) {
	root, err := openRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("artifact folder %q: %w", dir, err)
	}
	d := &Driver{root: root}
	if err := d.sweep(); err != nil {
		return nil, fmt.Errorf("artifact folder %q: %w", dir, errors.Join(err, root.Close()))
	}
	return d, nil
}

func openRoot(dir string) (*os.Root, error) {
	if dir == "" {
		return nil, errors.New("no folder is named")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := makeRoot(dir); err != nil {
		return nil, err
	}
	return os.OpenRoot(dir)
}

// makeRoot creates the folder, and those above it that are missing, so that they survive a power failure.
func makeRoot(dir string) error {
	if fi, err := os.Stat(dir); err == nil && fi.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeRoot(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	f, err := os.Open(parent)
	if err != nil {
		return err
	}
	return syncClose(f)
}

// Get implements [driver.Driver].
func (d *Driver) Get(ctx context.Context, key driver.Key) (io.ReadCloser, driver.Info, error) {
	info, err := d.Stat(ctx, key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	f, err := d.root.Open(fileName(key))
	if err != nil {
		return nil, driver.Info{}, absent(err)
	}
	return f, info, nil
}

// Stat implements [driver.Driver].
func (d *Driver) Stat(ctx context.Context, key driver.Key) (driver.Info, error) {
	if err := check(ctx, key); err != nil {
		return driver.Info{}, err
	}
	fi, err := d.root.Lstat(fileName(key))
	if err != nil {
		return driver.Info{}, absent(err)
	}
	if !fi.Mode().IsRegular() {
		return driver.Info{}, fmt.Errorf("%s is not a regular file; move it away and store the content again", fileName(key))
	}
	return driver.Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime()}, nil
}

// Delete implements [driver.Driver].
func (d *Driver) Delete(ctx context.Context, key driver.Key) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	err := d.root.Remove(fileName(key))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return d.syncDir(path.Dir(fileName(key)))
}

// fileName returns the object's file, relative to the root and with slashes, as os.Root takes it on every system.
func fileName(key driver.Key) string {
	return path.Join(key.Folder, key.Hash[:shardLen], key.Hash)
}

func check(ctx context.Context, key driver.Key) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return key.Validate()
}

func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return driver.ErrNotFound
	}
	return err
}
