package kube

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"text/template"
)

// maxTemplate bounds what one template may write.
const maxTemplate = 16 << 20

// Templates reads files as FS does and executes each as a Go template
// (text/template) with data before it is parsed as YAML. A key or field that
// data does not have is an error, and so is a value that is nil where it would be
// written, never "<no value>". A condition (if, with, range), and or before its last
// value, may look with index for a key that is not there. The function json writes
// a value, nil included, as JSON, which is YAML too and needs no quoting:
//
//	host: {{json .Host}}
//
// Files do not see each other's definitions; a template writes at most 16 MiB.
func Templates(fsys fs.FS, data any, patterns ...string) Manifests {
	var m Manifests
	for name, text := range readFiles(fsys, patterns, &m) {
		out, err := execute(name, text, data)
		if err != nil {
			m.errs = append(m.errs, &ManifestError{Source: name, Err: fmt.Errorf("%w: %w", ErrInvalid, err)})
			continue
		}
		m = m.With(YAML(name, out))
	}
	return m
}

func execute(name string, text []byte, data any) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"json": toJSON, demandValue: present, demandKey: index}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	for _, t := range t.Templates() {
		if t.Tree != nil {
			demand(t.Tree, t.Root)
		}
	}
	var out limitedBuffer
	if err := t.Execute(&out, data); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func toJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxTemplate {
		return 0, fmt.Errorf("it writes more than %d bytes", maxTemplate)
	}
	return b.Buffer.Write(p)
}

// readFiles yields the files that match the patterns, in lexical order for each
// pattern, and notes in m what cannot be read.
func readFiles(fsys fs.FS, patterns []string, m *Manifests) func(func(string, []byte) bool) {
	if len(patterns) == 0 {
		patterns = []string{"*.yaml"}
	}
	if fsys == nil {
		m.errs = append(m.errs, &ManifestError{Source: "files", Err: fmt.Errorf("%w: the file system is nil", ErrInvalid)})
		patterns = nil
	}
	return func(yield func(string, []byte) bool) {
		for _, p := range patterns {
			names, err := fs.Glob(fsys, p)
			if err == nil && len(names) == 0 {
				err = fmt.Errorf("%w: no file matches", ErrInvalid)
			}
			if err != nil {
				m.errs = append(m.errs, &ManifestError{Source: p, Err: err})
			}
			slices.Sort(names)
			for _, name := range names {
				data, err := fs.ReadFile(fsys, name)
				if err != nil {
					m.errs = append(m.errs, &ManifestError{Source: name, Err: err})
					continue
				}
				if !yield(name, data) {
					return
				}
			}
		}
	}
}
