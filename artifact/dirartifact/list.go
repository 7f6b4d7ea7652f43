package dirartifact

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/gennaker/gennaker/artifact/driver"
)

// shardLen is how many digits of the hash name the folder that holds the file. 256 folders keep each small enough to be
// read whole for a page of a list.
const shardLen = 2

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context, folder, after string, limit int) ([]driver.Info, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if err := driver.ValidateFolder(folder); err != nil {
		return nil, err
	}
	shards, err := readDir(d.root, folder)
	if err != nil {
		return nil, err
	}
	var infos []driver.Info
	for _, shard := range shards {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		name := shard.Name()
		if !shard.IsDir() || len(name) != shardLen || name < after[:min(shardLen, len(after))] {
			continue
		}
		if infos, err = d.appendShard(infos, folder, name, after, limit); err != nil {
			return nil, err
		}
		if len(infos) == limit {
			break
		}
	}
	return infos, nil
}

// appendShard appends the objects of one shard until there are limit of them.
func (d *Driver) appendShard(infos []driver.Info, folder, shard, after string, limit int) ([]driver.Info, error) {
	entries, err := readDir(d.root, path.Join(folder, shard))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		hash := e.Name()
		if len(infos) == limit {
			break
		}
		if !driver.IsHash(hash) || !strings.HasPrefix(hash, shard) || hash <= after {
			continue
		}
		fi, err := d.root.Lstat(path.Join(folder, shard, hash))
		if errors.Is(err, fs.ErrNotExist) {
			continue // It was deleted meanwhile.
		}
		if err != nil {
			return nil, err
		}
		if !fi.Mode().IsRegular() {
			continue
		}
		key := driver.Key{Folder: folder, Hash: hash}
		infos = append(infos, driver.Info{Key: key, Size: fi.Size(), ModTime: fi.ModTime()})
	}
	return infos, nil
}

// readDir returns the entries of a folder in order of their names; a folder that does not exist is empty.
func readDir(root *os.Root, dir string) ([]fs.DirEntry, error) {
	f, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries, err := f.ReadDir(-1)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}
