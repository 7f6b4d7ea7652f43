package jenkins

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// maxSmallFile limits files that are read into memory.
const maxSmallFile = 1 << 20

// File reads an archived JSON or properties file of a build, at most 1 MiB, into a T. What is decoded follows the file's name: .json
// decodes as encoding/json does, .properties and .env as a T with fields of type string that have json tags. Use [Build.Open] for other
// formats. The error is an [ArtifactError] if the file is missing, too large or malformed.
func File[T any](ctx context.Context, b Build, name string) (T, error) {
	var v T
	data, err := b.read(ctx, name)
	if err != nil {
		return v, err
	}
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".json":
	case ".properties", ".env":
		props, err := parseProperties(data)
		if err != nil {
			return v, b.fileError(name, fmt.Errorf("%w: %v", ErrFormat, err), "")
		}
		// A map of strings always encodes.
		data, _ = json.Marshal(props)
	default:
		return v, b.fileError(name, fmt.Errorf("%w: files of type %q are not decoded", ErrFormat, ext), "use .json or .properties, or decode what Build.Open returns")
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return v, b.fileError(name, fmt.Errorf("%w: %v", ErrFormat, err), "")
	}
	return v, nil
}

func (b Build) read(ctx context.Context, name string) ([]byte, error) {
	var buf bytes.Buffer
	if _, _, err := b.Download(ctx, name, &buf, maxSmallFile); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func globMatch(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}
