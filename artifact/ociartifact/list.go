package ociartifact

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

// listWorkers is how many manifests are read at once for a list.
const listWorkers = 8

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context, folder, after string, limit int) ([]driver.Info, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := driver.ValidateFolder(folder); err != nil {
		return nil, err
	}
	hashes, err := d.hashes(ctx, folder, after)
	if err != nil {
		return nil, reason(ctx, err)
	}
	var infos []driver.Info
	for len(hashes) > 0 && len(infos) < limit {
		batch := hashes[:min(len(hashes), limit-len(infos))]
		hashes = hashes[len(batch):]
		found, err := d.stats(ctx, folder, batch)
		if err != nil {
			return nil, err
		}
		infos = append(infos, found...)
	}
	return infos, nil
}

// hashes returns the hashes of a folder's objects after a given one, in order. Not every registry orders or pages its tags,
// so all that it sends are looked at.
func (d *Driver) hashes(ctx context.Context, folder, after string) ([]string, error) {
	prefix, last := tagPrefix(folder), ""
	if after != "" {
		last = prefix + after
	}
	var hashes []string
	err := d.repo.remote.Tags(ctx, last, func(tags []string) error {
		for _, tag := range tags {
			if hash, ok := strings.CutPrefix(tag, prefix); ok && driver.IsHash(hash) && hash > after {
				hashes = append(hashes, hash)
			}
		}
		return nil
	})
	if errors.Is(reason(ctx, err), artifact.ErrNotFound) {
		return nil, nil // A repository that nothing was put into.
	}
	slices.Sort(hashes)
	return slices.Compact(hashes), err
}

// stats reads what is known of objects. Those that were deleted meanwhile, and tags of somebody else, are left out.
func (d *Driver) stats(ctx context.Context, folder string, hashes []string) ([]driver.Info, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	found := make([]driver.Info, len(hashes))
	var group sync.WaitGroup
	for worker := range listWorkers {
		group.Go(func() {
			for i := worker; i < len(hashes); i += listWorkers {
				info, err := d.Stat(ctx, driver.Key{Folder: folder, Hash: hashes[i]})
				switch {
				case err == nil:
					found[i] = info
				case !errors.Is(err, driver.ErrNotFound) && !errors.Is(err, errForeign):
					cancel(err)
					return
				}
			}
		})
	}
	group.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(i driver.Info) bool { return i.Key.Hash == "" }), nil
}
