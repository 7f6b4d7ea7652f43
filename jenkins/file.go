package jenkins

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/yaml"
)

// maxSmallFile limits files that are read into memory.
const maxSmallFile = 1 << 20

// File reads an archived JSON, YAML or properties file of a build, at most 1 MiB, into a T. What is decoded follows the file's name: .json
// decodes as encoding/json does; .yaml and .yml likewise, by json tags; .properties and .env as a JSON object of strings, so that fields are
// strings, or numbers and booleans whose tags have the option string, as in `json:"tests,string"`. Use [Build.Open] for other formats. The error is an [ArtifactError] if the file is missing, too large or malformed.
func File[T any](ctx context.Context, b Build, name string) (T, error) {
	var v T
	data, err := b.read(ctx, name)
	if err != nil {
		return v, err
	}
	if advice, err := decodeFile(name, data, &v); err != nil {
		return v, b.fileError(name, fmt.Errorf("%w: %v", ErrFormat, err), advice)
	}
	return v, nil
}

func decodeFile(name string, data []byte, into any) (advice string, err error) {
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".json":
	case ".yaml", ".yml":
		if data, err = yaml.YAMLToJSON(data); err != nil {
			return "", err
		}
	case ".properties", ".env":
		props, err := parseProperties(data)
		if err != nil {
			return "", err
		}
		// A map of strings always encodes.
		data, _ = json.Marshal(props)
	default:
		return "use .json, .yaml or .properties, or decode what Build.Open returns", fmt.Errorf("files of type %q are not decoded", ext)
	}
	return "", json.Unmarshal(data, into)
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
