package jenkinstest

import (
	"io"
	"path"
	"strings"
	"time"
)

// file is an archived artifact.
type file struct {
	path    string
	content segment
	at      time.Time
}

// Archive archives a file under its path relative to the workspace, as dist/image.json. Archiving the same path again
// replaces the file. A path that is absolute or leaves the workspace panics.
func (b *Build) Archive(name string, content []byte) {
	b.archive(&file{path: name, content: segment{data: append([]byte(nil), content...), size: int64(len(content))}})
}

// ArchiveFrom archives a file of size bytes that are read from src whenever a client downloads them, so that large files
// need no memory.
func (b *Build) ArchiveFrom(name string, src io.ReaderAt, size int64) {
	b.archive(&file{path: name, content: segment{src: src, size: size}})
}

func (b *Build) archive(f *file) {
	b.check()
	if f.path == "" || strings.HasPrefix(f.path, "/") || path.Clean(f.path) != f.path || strings.HasPrefix(f.path, "..") {
		panic("jenkinstest: artifact " + f.path + ": want a clean relative path")
	}
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	if b.dead() {
		return
	}
	f.at = time.Now()
	b.write("Archiving artifacts\n")
	for i, old := range b.files {
		if old.path == f.path {
			b.files[i] = f
			return
		}
	}
	b.files = append(b.files, f)
}

func (b *Build) file(name string) *file {
	for _, f := range b.files {
		if f.path == name {
			return f
		}
	}
	return nil
}

// isDir says whether some artifact lies below name.
func (b *Build) isDir(name string) bool {
	for _, f := range b.files {
		if name == "" || strings.HasPrefix(f.path, name+"/") {
			return true
		}
	}
	return false
}

// fileReader reads a segment with io.ReadSeeker's interface, as http.ServeContent wants it.
type fileReader struct {
	seg segment
	off int64
}

func (r *fileReader) Read(p []byte) (int, error) {
	if r.off >= r.seg.size {
		return 0, io.EOF
	}
	n, err := r.seg.readAt(p, r.off)
	r.off += int64(n)
	return n, err
}
