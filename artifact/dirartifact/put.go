package dirartifact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"runtime"
	"time"

	"github.com/gennaker/gennaker/artifact/driver"
)

const (
	// tmpDir starts with a dot, which no folder of a key does.
	tmpDir = ".tmp"
	// tmpAge is for how long a temporary file must have been left alone before it counts as a crashed writer's.
	tmpAge = time.Hour
	// copyBuffer is what one Put holds in memory.
	copyBuffer = 128 << 10
)

// Put implements [driver.Driver].
func (d *Driver) Put(ctx context.Context, key driver.Key, r io.Reader, _ int64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	tmp := path.Join(tmpDir, key.Hash+"."+rand.Text())
	err := d.write(tmp, r)
	if err == nil {
		err = d.publish(tmp, fileName(key))
	}
	if err != nil {
		if removeErr := d.root.Remove(tmp); removeErr != nil && !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
		return err
	}
	return nil
}

// write fills a new temporary file and syncs it.
func (d *Driver) write(tmp string, r io.Reader) error {
	if err := d.root.MkdirAll(tmpDir, dirMode); err != nil {
		return err
	}
	f, err := d.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	// The file is hidden so that io.CopyBuffer uses the buffer and not a method that chooses its own.
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, copyBuffer))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// publish gives the file its name, and makes that durable: first the folders that lead to it, then the name itself.
func (d *Driver) publish(tmp, name string) error {
	if err := d.makeDirs(path.Dir(name)); err != nil {
		return err
	}
	if err := d.root.Rename(tmp, name); err != nil {
		return err
	}
	return d.syncDir(path.Dir(name))
}

// makeDirs creates the folders that are missing on the way to dir. It syncs the parent of each once, also of those it finds:
// another process may have created them and not have come to the sync yet.
func (d *Driver) makeDirs(dir string) error {
	_, err := d.root.Stat(dir)
	if _, durable := d.durable.Load(dir); durable && err == nil {
		return nil
	}
	parent := path.Dir(dir)
	if parent != "." {
		if err := d.makeDirs(parent); err != nil {
			return err
		}
	}
	if err := d.root.Mkdir(dir, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := d.syncDir(parent); err != nil {
		return err
	}
	d.durable.Store(dir, nil)
	return nil
}

func (d *Driver) syncDir(dir string) error {
	f, err := d.root.Open(dir)
	if err != nil {
		return err
	}
	return syncClose(f)
}

// syncClose syncs an open folder. Windows has no way to do that.
func syncClose(dir *os.File) error {
	if runtime.GOOS == "windows" {
		return dir.Close()
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// sweep removes the temporary files of writers that have crashed.
func (d *Driver) sweep() error {
	entries, err := readDir(d.root, tmpDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(tmpDir, e.Name())
		fi, err := d.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Its writer has just finished.
		}
		if err != nil {
			return err
		}
		if !fi.Mode().IsRegular() || time.Since(fi.ModTime()) < tmpAge {
			continue
		}
		if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("left behind by a crash: %w", err)
		}
	}
	return nil
}
