package artifact

import (
	"errors"
	"fmt"
	"strings"
)

// Limits of the distribution grammar, in bytes.
const (
	maxTagLen  = 128
	maxPathLen = 255
)

// ParseReference parses an image reference by the grammar of the distribution project
// (https://pkg.go.dev/github.com/distribution/reference):
//
//	reference := [registry "/"] path [":" tag] ["@" digest]
//	registry  := host [":" port]          host is a domain name, an IPv4 address or an IPv6 address in brackets
//	path      := component {"/" component}   at most 255 bytes
//	component := alnum {separator alnum}     alnum is [a-z0-9]+, a separator is ".", "_", "__" or hyphens
//	tag       := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
//	digest    := "sha256:" and 64 lower-case hexadecimal digits
//
// Differences from the grammar are refusals only: other digest algorithms, a registry that is not a host ("my_host.test/web"),
// and a whole reference of 64 hexadecimal digits, which Docker reads as an image id. How a registry is told from the first part of a path is described at [Reference].
//
// The error is a [ReferenceError] that wraps [ErrInvalid].
func ParseReference(s string) (Reference, error) {
	if rest, ok := cutCredentials(s); ok {
		return Reference{}, &ReferenceError{Reference: clip("…@" + rest), Err: fmt.Errorf(
			"%w: what stands before the @ looks like credentials, which do not belong here: remove it (a digest is written @sha256:…)", ErrInvalid)}
	}
	r, err := parseReference(s)
	if err != nil {
		return Reference{}, &ReferenceError{Reference: clip(s), Err: err}
	}
	return r, nil
}

// cutCredentials finds what looks like the user and password of a URL, which no reference has and no error may repeat, and
// returns what comes after it.
func cutCredentials(s string) (rest string, found bool) {
	before, after, ok := cutLast(s, "@")
	if ok && isDigestLike(after) {
		digest := after
		before, after, ok = cutLast(before, "@")
		after += "@" + digest
	}
	if !ok || !strings.Contains(before, ":") && !strings.Contains(after, "/") {
		return "", false
	}
	return after, true
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// isDigestLike reports whether s is meant as a digest, if perhaps a wrong one.
func isDigestLike(s string) bool {
	algorithm, hex, _ := strings.Cut(s, ":")
	return !strings.Contains(s, "/") && (strings.HasPrefix(algorithm, "sha") || len(hex) >= 32 && isLowerHex(hex))
}

func parseReference(s string) (Reference, error) {
	var r Reference
	switch {
	case s == "":
		return r, fmt.Errorf("%w: it is empty", ErrInvalid)
	case strings.ContainsAny(s, " \t\r\n"):
		return r, fmt.Errorf("%w: it contains white space", ErrInvalid)
	case strings.Contains(s, "://"):
		return r, fmt.Errorf("%w: write it without a scheme, as registry/repository@sha256:…", ErrInvalid)
	case len(s) == digestHexLen && isLowerHex(s):
		return r, fmt.Errorf("%w: this is an image id; write the repository and @sha256: before it", ErrInvalid)
	}
	name, digest, pinned := strings.Cut(s, "@")
	if pinned {
		r.digest = Digest(digest)
		if err := r.digest.check(); err != nil {
			return r, fmt.Errorf("%w: after @: %v", ErrInvalid, err)
		}
	}
	// A colon after the last slash starts a tag; one before it starts a port.
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, r.tag = name[:i], name[i+1:]
		if err := checkTag(r.tag); err != nil {
			return r, err
		}
	}
	r.registry, r.path = splitRegistry(name)
	return r, errors.Join(checkRegistry(r.registry), checkPath(r.path))
}

// splitRegistry applies Docker's rule for what stands before the first slash.
func splitRegistry(name string) (registry, path string) {
	first, rest, ok := strings.Cut(name, "/")
	if ok && (strings.ContainsAny(first, ".:") || first == "localhost" || strings.ToLower(first) != first) {
		return first, rest
	}
	return "", name
}

func checkTag(tag string) error {
	if tag == "" {
		return fmt.Errorf("%w: the tag after the colon is empty", ErrInvalid)
	}
	if len(tag) > maxTagLen {
		return fmt.Errorf("%w: the tag has %d bytes, at most %d are allowed", ErrInvalid, len(tag), maxTagLen)
	}
	for i := range len(tag) {
		c := tag[i]
		if isAlnum(c) || c == '_' || i > 0 && (c == '.' || c == '-') {
			continue
		}
		return fmt.Errorf("%w: the tag %q must be letters, digits, '_', '.' and '-', and not start with '.' or '-'", ErrInvalid, tag)
	}
	return nil
}

func checkRegistry(registry string) error {
	if registry == "" {
		return nil
	}
	host, port := registry, ""
	if i := strings.LastIndexByte(registry, ':'); i > strings.LastIndexByte(registry, ']') {
		host, port = registry[:i], registry[i+1:]
		if port == "" || strings.Trim(port, "0123456789") != "" {
			return fmt.Errorf("%w: the port of registry %q is not a number", ErrInvalid, clip(registry))
		}
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		if !ok || inner == "" || strings.Trim(inner, "0123456789abcdefABCDEF:") != "" {
			return fmt.Errorf("%w: registry %q is not an IPv6 address in brackets", ErrInvalid, clip(registry))
		}
		return nil
	}
	for label := range strings.SplitSeq(host, ".") {
		if !isHostLabel(label) {
			return fmt.Errorf("%w: registry %q is not a host name", ErrInvalid, clip(registry))
		}
	}
	return nil
}

func isHostLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	for i := range len(s) {
		if !isAlnum(s[i]) && s[i] != '-' {
			return false
		}
	}
	return true
}

func checkPath(path string) error {
	if path == "" {
		return fmt.Errorf("%w: it names no repository", ErrInvalid)
	}
	if len(path) > maxPathLen {
		return fmt.Errorf("%w: the repository path has %d bytes, at most %d are allowed", ErrInvalid, len(path), maxPathLen)
	}
	for component := range strings.SplitSeq(path, "/") {
		if isPathComponent(component) {
			continue
		}
		if isPathComponent(strings.ToLower(component)) {
			return fmt.Errorf("%w: the repository path %q must be lower case", ErrInvalid, path)
		}
		return fmt.Errorf("%w: %q is not a part of a repository path: want lower-case letters and digits, "+
			"joined by '.', '_', '__' or hyphens", ErrInvalid, component)
	}
	return nil
}

// isPathComponent reports whether s is alnum {separator alnum}.
func isPathComponent(s string) bool {
	for i := 0; ; {
		start := i
		for i < len(s) && (isLower(s[i]) || isDigit(s[i])) {
			i++
		}
		if i == start {
			return false
		}
		if i == len(s) {
			return true
		}
		n := separatorLen(s[i:])
		if n == 0 {
			return false
		}
		i += n
	}
}

// separatorLen returns the length of the longest separator at the start of s. The longest is the right one, as what follows
// a separator must be a letter or digit.
func separatorLen(s string) int {
	switch {
	case strings.HasPrefix(s, "__"):
		return 2
	case s[0] == '.' || s[0] == '_':
		return 1
	}
	return len(s) - len(strings.TrimLeft(s, "-"))
}
