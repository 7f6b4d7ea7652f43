package jenkins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// DetectImage recognises what builds usually archive:
//
//   - the file of docker buildx --metadata-file: image.name and containerimage.digest;
//   - jib-image.json: image, imageDigest and tags;
//   - a JSON object with image, reference, ref, name, repository or uri, beside digest, imageDigest, or tag;
//   - the lines of kaniko's --image-name-with-digest-file, its --digest-file (with Image.Repository), and ko's --image-refs;
//   - properties with IMAGE, IMAGE_REF, IMAGE_REFERENCE, IMAGE_NAME or IMAGE_URI, beside DIGEST or IMAGE_DIGEST, in any case.
//
// What it does not recognise, or finds ambiguous, is [ErrFormat].
func DetectImage(data []byte) (reference, digest string, err error) {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	switch {
	case len(data) == 0:
		return "", "", fmt.Errorf("%w: it is empty", ErrFormat)
	case data[0] == '{':
		return detectJSON(data)
	case data[0] == '"':
		if err := json.Unmarshal(data, &reference); err != nil {
			return "", "", fmt.Errorf("%w: %v", ErrFormat, err)
		}
		return reference, "", nil
	case !bytes.ContainsAny(data, "= \t"):
		return detectLines(string(data))
	}
	props, err := parseProperties(data)
	if err != nil {
		return "", "", fmt.Errorf("%w: %v", ErrFormat, err)
	}
	return fromFields(props)
}

// PropertiesImage returns a decoder for a properties or NAME=value file that names the image and its digest as given. An empty digest
// name means that the reference is pinned itself.
func PropertiesImage(reference, digest string) ImageDecoder {
	return func(data []byte) (string, string, error) {
		props, err := parseProperties(data)
		if err != nil {
			return "", "", fmt.Errorf("%w: %v", ErrFormat, err)
		}
		return named(props, reference, digest)
	}
}

// JSONImage returns a decoder for a JSON object that holds the image and its digest as given; dots lead into inner objects, unless a field
// has the dotted name itself. An empty digest name means that the reference is pinned itself.
func JSONImage(reference, digest string) ImageDecoder {
	return func(data []byte) (string, string, error) {
		var object map[string]any
		if err := json.Unmarshal(data, &object); err != nil {
			return "", "", fmt.Errorf("%w: %v", ErrFormat, err)
		}
		fields := map[string]string{}
		for _, name := range []string{reference, digest} {
			if s, ok := lookup(object, name); ok && name != "" {
				fields[name] = s
			}
		}
		return named(fields, reference, digest)
	}
}

func named(fields map[string]string, reference, digest string) (string, string, error) {
	ref, ok := fields[reference]
	if !ok {
		return "", "", fmt.Errorf("%w: there is no %s", ErrFormat, reference)
	}
	return ref, fields[digest], nil
}

func lookup(object map[string]any, name string) (string, bool) {
	if v, ok := object[name]; ok {
		s, ok := v.(string)
		return s, ok
	}
	first, rest, ok := strings.Cut(name, ".")
	if inner, is := object[first].(map[string]any); ok && is {
		return lookup(inner, rest)
	}
	return "", false
}

func detectJSON(data []byte) (string, string, error) {
	var object map[string]any
	if err := json.Unmarshal(data, &object); err != nil {
		return "", "", fmt.Errorf("%w: %v", ErrFormat, err)
	}
	fields := map[string]string{}
	var inner []map[string]any
	for name, v := range object {
		switch v := v.(type) {
		case string:
			fields[name] = v
		case map[string]any:
			if _, ok := v["containerimage.digest"]; ok {
				inner = append(inner, v)
			}
		}
	}
	if d, ok := fields["containerimage.digest"]; ok {
		// buildx lists every name that was pushed.
		name, _, _ := strings.Cut(fields["image.name"], ",")
		return name, d, nil
	}
	if len(inner) == 1 {
		// buildx bake with one target.
		d, _ := inner[0]["containerimage.digest"].(string)
		name, _ := inner[0]["image.name"].(string)
		name, _, _ = strings.Cut(name, ",")
		return name, d, nil
	}
	if len(inner) > 1 {
		return "", "", fmt.Errorf("%w: it names %d images; give one with JSONImage(\"target.image.name\", \"target.containerimage.digest\")", ErrFormat, len(inner))
	}
	return fromFields(fields)
}

// detectLines reads references or digests, one a line. Several are one image under several names if their digests agree.
func detectLines(text string) (string, string, error) {
	lines := strings.Fields(text)
	if len(lines) == 1 && strings.HasPrefix(lines[0], "sha256:") {
		return "", lines[0], nil
	}
	_, digest, _ := strings.Cut(lines[0], "@")
	for _, l := range lines[1:] {
		if _, d, _ := strings.Cut(l, "@"); d != digest || d == "" {
			return "", "", fmt.Errorf("%w: it names several images; archive one file for each", ErrFormat)
		}
	}
	return lines[0], "", nil
}

var (
	referenceNames = []string{"image", "reference", "ref", "imageref", "imagereference", "imageuri", "uri", "imagename", "name", "repository"}
	digestNames    = []string{"digest", "imagedigest"}
)

// fromFields picks the fields by their usual names.
func fromFields(fields map[string]string) (string, string, error) {
	plain := map[string][]string{}
	for name, value := range fields {
		p := strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(name))
		if value != "" && !slices.Contains(plain[p], value) {
			plain[p] = append(plain[p], value)
		}
	}
	reference, err := pick(plain, referenceNames)
	if err != nil {
		return "", "", err
	}
	digest, err := pick(plain, digestNames)
	if err != nil {
		return "", "", err
	}
	if reference == "" && digest == "" {
		return "", "", errors.Join(ErrFormat, errors.New("no field looks like an image; set Image.Decode"))
	}
	// A tag beside a repository is worth keeping for people.
	if tag := plain["tag"]; len(tag) == 1 && reference != "" && !strings.Contains(reference[strings.LastIndexByte(reference, '/')+1:], ":") && !strings.Contains(reference, "@") {
		reference += ":" + tag[0]
	}
	return reference, digest, nil
}

func pick(fields map[string][]string, names []string) (string, error) {
	for _, n := range names {
		switch v := fields[n]; len(v) {
		case 0:
		case 1:
			return v[0], nil
		default:
			return "", fmt.Errorf("%w: it has several fields like %q; set Image.Decode", ErrFormat, n)
		}
	}
	return "", nil
}
