package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Canonical returns the set as canonical JSON in the sense of RFC 8785: members sorted by name, no white space, the
// shortest escapes. Its SHA-256 is the set's digest, so any program with a JCS library can recompute it:
//
//	{"artifacts":[{"digest":"sha256:…","kind":"image","location":"…","name":"shop/web","version":"1.4.2"}]}
//
// Artifacts are ordered by kind and name; empty fields are left out.
func (s Set) Canonical() []byte { return appendSet(nil, s.items) }

// MarshalJSON returns the canonical JSON. A [json.Marshal] around it may escape "<", ">" and "&" further, which changes
// neither the value nor the digest after decoding.
func (s Set) MarshalJSON() ([]byte, error) { return s.Canonical(), nil }

// UnmarshalJSON accepts what MarshalJSON returns, with its artifacts in any order and formatted in any way. The error is a
// [SetError]: for the reasons of [NewSet], and for members it does not know, because a member that were dropped here would
// silently turn the set into another one. On an error s is unchanged. JSON null leaves s unchanged, as is the custom.
func (s *Set) UnmarshalJSON(data []byte) error {
	if string(bytes.TrimSpace(data)) == "null" {
		return nil
	}
	var doc struct {
		Artifacts *[]Artifact `json:"artifacts"`
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return &SetError{Err: fmt.Errorf("%w: JSON: %w", ErrInvalid, err)}
	}
	if _, err := dec.Token(); err != io.EOF {
		return &SetError{Err: fmt.Errorf("%w: JSON: something follows the set", ErrInvalid)}
	}
	if doc.Artifacts == nil {
		return &SetError{Err: fmt.Errorf("%w: JSON: the member \"artifacts\" is missing", ErrInvalid)}
	}
	set, err := NewSet(*doc.Artifacts...)
	if err != nil {
		return err
	}
	*s = set
	return nil
}

// appendSet appends the canonical JSON of ordered items.
func appendSet(b []byte, items []Artifact) []byte {
	b = append(b, `{"artifacts":[`...)
	for i, a := range items {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendArtifact(b, a)
	}
	return append(b, "]}"...)
}

// appendArtifact appends the members of a in alphabetical order, without the empty ones. Kind and name are never empty in a
// set, so the commas are where they belong.
func appendArtifact(b []byte, a Artifact) []byte {
	b = append(b, '{')
	if a.Digest != "" {
		b = append(appendMember(b, "digest", string(a.Digest)), ',')
	}
	b = appendMember(b, "kind", string(a.Kind))
	if a.Location != "" {
		b = appendMember(append(b, ','), "location", a.Location)
	}
	if len(a.Metadata) > 0 {
		b = append(b, `,"metadata":{`...)
		for i, key := range slices.Sorted(maps.Keys(a.Metadata)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendMember(b, key, a.Metadata[key])
		}
		b = append(b, '}')
	}
	b = appendMember(append(b, ','), "name", a.Name)
	if a.Version != "" {
		b = appendMember(append(b, ','), "version", a.Version)
	}
	return append(b, '}')
}

func appendMember(b []byte, key, value string) []byte {
	b = append(appendString(b, key), ':')
	return appendString(b, value)
}

// appendString appends valid UTF-8 as a string by RFC 8785, section 3.2.2.2. encoding/json is not used because it escapes
// U+2028 and U+2029, which the RFC forbids.
func appendString(b []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	b = append(b, '"')
	for i := range len(s) {
		c := s[i]
		switch {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c >= 0x20:
			b = append(b, c)
		case c == '\b':
			b = append(b, '\\', 'b')
		case c == '\t':
			b = append(b, '\\', 't')
		case c == '\n':
			b = append(b, '\\', 'n')
		case c == '\f':
			b = append(b, '\\', 'f')
		case c == '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return append(b, '"')
}
