// Package memartifact keeps an artifact store in memory: for tests, for examples, and for a program whose artifacts need not
// outlive it.
//
//	store := memartifact.New(nil)
//
// It behaves as the durable stores do, and passes the same suite, artifacttest.Run. What it holds is gone when the process
// ends, and its memory use is what it holds; [artifact.StoreOptions.MaxSize] bounds one object, nothing bounds their number.
package memartifact

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

// New returns an empty store.
func New(opts *artifact.StoreOptions) *artifact.Store {
	return artifact.NewStore(new(Driver), opts)
}

// Driver is the store's backend, for programs that wrap or share it. The zero Driver is empty and ready to use. It must not
// be copied after first use.
type Driver struct {
	mu      sync.RWMutex
	objects map[driver.Key]object
}

// object is never changed once it is in the map.
type object struct {
	data    []byte
	modTime time.Time
}

var _ driver.Driver = (*Driver)(nil)

// Put implements [driver.Driver].
func (d *Driver) Put(ctx context.Context, key driver.Key, r io.Reader, _ int64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.objects == nil {
		d.objects = make(map[driver.Key]object)
	}
	d.objects[key] = object{data: data, modTime: time.Now()}
	return nil
}

// Get implements [driver.Driver].
func (d *Driver) Get(ctx context.Context, key driver.Key) (io.ReadCloser, driver.Info, error) {
	o, err := d.find(ctx, key)
	if err != nil {
		return nil, driver.Info{}, err
	}
	return io.NopCloser(bytes.NewReader(o.data)), o.info(key), nil
}

// Stat implements [driver.Driver].
func (d *Driver) Stat(ctx context.Context, key driver.Key) (driver.Info, error) {
	o, err := d.find(ctx, key)
	if err != nil {
		return driver.Info{}, err
	}
	return o.info(key), nil
}

// Delete implements [driver.Driver].
func (d *Driver) Delete(ctx context.Context, key driver.Key) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.objects, key)
	return nil
}

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context, folder, after string, limit int) ([]driver.Info, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := driver.ValidateFolder(folder); err != nil {
		return nil, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	keys := slices.Collect(maps.Keys(d.objects))
	keys = slices.DeleteFunc(keys, func(k driver.Key) bool { return k.Folder != folder || k.Hash <= after })
	slices.SortFunc(keys, func(a, b driver.Key) int { return strings.Compare(a.Hash, b.Hash) })
	keys = keys[:min(limit, len(keys))]
	infos := make([]driver.Info, len(keys))
	for i, k := range keys {
		infos[i] = d.objects[k].info(k)
	}
	return infos, nil
}

func (d *Driver) find(ctx context.Context, key driver.Key) (object, error) {
	if err := check(ctx, key); err != nil {
		return object{}, err
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	o, ok := d.objects[key]
	if !ok {
		return object{}, driver.ErrNotFound
	}
	return o, nil
}

func (o object) info(key driver.Key) driver.Info {
	return driver.Info{Key: key, Size: int64(len(o.data)), ModTime: o.modTime}
}

func check(ctx context.Context, key driver.Key) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	return key.Validate()
}
