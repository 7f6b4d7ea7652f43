package s3store

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Object names must sort like keys, because List pages by the server's order,
// and servers that keep objects as files must accept them: MinIO refuses "..",
// "//" and names beside a name that is their directory, and a segment has at
// most 255 bytes. The escapes are chosen so that each sorts where its character
// does; all are characters that S3 calls safe, or "~" and "=".
//
//	' ' to ','            (hh    hh is the hexadecimal code
//	'-'                   itself
//	'.'                   .d
//	'/'                   .s/
//	digits and letters    itself
//	':' to '@'            =hh
//	'[' to '^'            _hh
//	'_'                   __
//	'`'                   _q
//	'{' to '~'            ~hh
//	end of the key        !
//
// A segment that has reached segmentMax bytes ends with a "/" of its own.
//
// No directory has a sibling whose name is longer by a character that sorts
// before "/": ".s" is never followed by anything else. MinIO returns incomplete
// pages otherwise (it counts objects that it skips, in cmd/metacache-walk.go):
// after "a/1" it would miss what follows, if "a-1", "a-2" and so on are more
// than a page.
const (
	segmentMax = 200
	nameMax    = 1024
	endOfKey   = "!"
)

// prefixOf encodes a key or the beginning of one, without its end.
func prefixOf(key string) string {
	var b strings.Builder
	segment := 0
	for i := range len(key) {
		code := codeOf(key[i])
		b.WriteString(code)
		if segment += len(code); key[i] == '/' {
			segment = 0
		}
		if segment >= segmentMax {
			b.WriteByte('/')
			segment = 0
		}
	}
	return b.String()
}

func nameOf(key string) string { return prefixOf(key) + endOfKey }

func codeOf(c byte) string {
	switch {
	case c == '.':
		return ".d"
	case c == '/':
		return ".s/"
	case c == '-' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z':
		return string(rune(c))
	case c == '_':
		return "__"
	case c == '`':
		return "_q"
	case c < '-':
		return fmt.Sprintf("(%02x", c)
	case c < 'A':
		return fmt.Sprintf("=%02x", c)
	case c < 'a':
		return fmt.Sprintf("_%02x", c)
	}
	return fmt.Sprintf("~%02x", c)
}

var errName = errors.New("not the name of a record")

// keyOf is the inverse of nameOf. It accepts only what nameOf returns.
func keyOf(name string) (string, error) {
	rest, ok := strings.CutSuffix(name, endOfKey)
	if !ok {
		return "", errName
	}
	var key []byte
	for segment := 0; rest != ""; {
		c, n, err := decodeOne(rest)
		if err != nil {
			return "", err
		}
		key = append(key, c)
		rest = rest[n:]
		if segment += n; c == '/' {
			segment = 0
		}
		if segment >= segmentMax {
			segment = 0
			if rest, ok = strings.CutPrefix(rest, "/"); !ok {
				return "", errName
			}
		}
	}
	if nameOf(string(key)) != name {
		return "", errName
	}
	return string(key), nil
}

// decodeOne returns the first character of s and the length of its code.
func decodeOne(s string) (c byte, n int, err error) {
	switch {
	case strings.HasPrefix(s, ".d"):
		return '.', 2, nil
	case strings.HasPrefix(s, ".s/"):
		return '/', 3, nil
	case strings.HasPrefix(s, "__"):
		return '_', 2, nil
	case strings.HasPrefix(s, "_q"):
		return '`', 2, nil
	case strings.IndexByte("(=_~", s[0]) >= 0:
		if len(s) < 3 {
			return 0, 0, errName
		}
		v, err := strconv.ParseUint(s[1:3], 16, 7)
		if err != nil {
			return 0, 0, errName
		}
		return byte(v), 3, nil
	}
	return s[0], 1, nil
}
