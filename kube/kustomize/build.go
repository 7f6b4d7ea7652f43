package kustomize

import (
	"fmt"
	"io/fs"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/gennaker/gennaker/kube"
)

// Limits of the file system that is copied. Names that begin with a dot are not.
const (
	MaxFiles = 10_000
	MaxBytes = 64 << 20
)

// Build builds the directory dir of fsys, such as "overlays/prod"; "." is its
// root.
func Build(fsys fs.FS, dir string) kube.Manifests {
	source := path.Join(dir, "kustomization.yaml")
	text, err := build(fsys, dir)
	if err != nil {
		return kube.Mistake(source, err)
	}
	return kube.YAML(source, text)
}

func build(fsys fs.FS, dir string) ([]byte, error) {
	if fsys == nil || !fs.ValidPath(dir) {
		return nil, fmt.Errorf("%w: %q is no directory of the file system; name it without a leading or trailing slash", kube.ErrInvalid, dir)
	}
	mem, err := inMemory(fsys)
	if err != nil {
		return nil, err
	}
	if err := (&checker{fs: mem, seen: map[string]bool{}}).directory("/" + strings.TrimPrefix(dir, ".")); err != nil {
		return nil, err
	}
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(mem, "/"+strings.TrimPrefix(dir, "."))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kube.ErrInvalid, err)
	}
	return objects.AsYaml()
}

// inMemory copies a file system.
func inMemory(fsys fs.FS) (filesys.FileSystem, error) {
	mem := filesys.MakeFsInMemory()
	files, size := 0, 0
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir():
			return mem.MkdirAll("/" + name)
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		files, size = files+1, size+len(data)
		if files > MaxFiles || size > MaxBytes {
			return fmt.Errorf("%w: the file system has more than %d files or %d bytes; take the part that is needed with fs.Sub",
				kube.ErrTooLarge, MaxFiles, MaxBytes)
		}
		return mem.WriteFile("/"+name, data)
	})
	return mem, err
}
