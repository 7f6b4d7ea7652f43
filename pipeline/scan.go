package pipeline

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// maxDepth is how deep JSON may be nested, as in encoding/json.
const maxDepth = 10000

// validJSON reports whether raw is one JSON value. It agrees with json.Valid,
// which FuzzScan holds it to, and looks at eight bytes of a string at a time:
// every result of every stage comes this way.
func validJSON(raw []byte) bool {
	end, ok := scanValue(raw, skipSpace(raw, 0), 0)
	return ok && skipSpace(raw, end) == len(raw)
}

// errSyntax says that stored bytes are not the JSON that they have to be.
var errSyntax = errors.New("it is not valid JSON")

// scanObject calls f for the fields of the object that b is. Names and values
// are parts of b; names are still quoted. f's error ends it.
func scanObject(b []byte, f func(name, value []byte) error) error {
	return scanList(b, '{', func(i int) (int, error) {
		nameEnd, ok := scanString(b, i)
		if !ok {
			return 0, errSyntax
		}
		colon := skipSpace(b, nameEnd)
		if colon >= len(b) || b[colon] != ':' {
			return 0, errSyntax
		}
		at := skipSpace(b, colon+1)
		end, ok := scanValue(b, at, 1)
		if !ok {
			return 0, errSyntax
		}
		return end, f(b[i:nameEnd:nameEnd], b[at:end:end])
	})
}

// scanArray calls f for the elements of the array that b is.
func scanArray(b []byte, f func(value []byte) error) error {
	return scanList(b, '[', func(i int) (int, error) {
		end, ok := scanValue(b, i, 1)
		if !ok {
			return 0, errSyntax
		}
		return end, f(b[i:end:end])
	})
}

// scanList goes through what stands between brackets. element is given the place
// of each element and returns where it ends.
func scanList(b []byte, open byte, element func(i int) (int, error)) error {
	i, closing := skipSpace(b, 0), open+2 // as in '[' and ']', '{' and '}'
	if i >= len(b) || b[i] != open {
		return errSyntax
	}
	i = skipSpace(b, i+1)
	for empty := i < len(b) && b[i] == closing; !empty; i = skipSpace(b, i+1) {
		end, err := element(i)
		if err != nil {
			return err
		}
		if i = skipSpace(b, end); i >= len(b) || b[i] != ',' {
			break
		}
	}
	if i >= len(b) || b[i] != closing || skipSpace(b, i+1) != len(b) {
		return errSyntax
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func skipSpace(b []byte, i int) int {
	for i < len(b) && isSpace(b[i]) {
		i++
	}
	return i
}

// scanValue returns where the value that begins at i ends.
func scanValue(b []byte, i, depth int) (end int, ok bool) {
	if i >= len(b) {
		return 0, false
	}
	switch c := b[i]; {
	case c == '"':
		return scanString(b, i)
	case c == '{' || c == '[':
		return scanNested(b, i, depth+1)
	case c == 't':
		return scanWord(b, i, "true")
	case c == 'f':
		return scanWord(b, i, "false")
	case c == 'n':
		return scanWord(b, i, "null")
	}
	return scanNumber(b, i)
}

// scanNested scans an object or an array.
func scanNested(b []byte, i, depth int) (end int, ok bool) {
	object, closing := b[i] == '{', b[i]+2
	if depth > maxDepth {
		return 0, false
	}
	if i = skipSpace(b, i+1); i < len(b) && b[i] == closing {
		return i + 1, true
	}
	for {
		if object {
			if i, ok = scanString(b, i); !ok {
				return 0, false
			}
			if i = skipSpace(b, i); i >= len(b) || b[i] != ':' {
				return 0, false
			}
			i = skipSpace(b, i+1)
		}
		if i, ok = scanValue(b, i, depth); !ok {
			return 0, false
		}
		if i = skipSpace(b, i); i >= len(b) {
			return 0, false
		}
		switch b[i] {
		case closing:
			return i + 1, true
		case ',':
			i = skipSpace(b, i+1)
		default:
			return 0, false
		}
	}
}

func scanWord(b []byte, i int, word string) (end int, ok bool) {
	end = i + len(word)
	return end, end <= len(b) && string(b[i:end]) == word
}

// scanString scans a string. Like encoding/json, it does not mind bytes that are
// no UTF-8.
func scanString(b []byte, i int) (end int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return 0, false
	}
	for i++; ; i++ {
		if i = skipPlain(b, i); i >= len(b) {
			return 0, false
		}
		switch c := b[i]; {
		case c == '"':
			return i + 1, true
		case c < ' ':
			return 0, false
		case c != '\\':
			continue
		}
		if i++; i >= len(b) {
			return 0, false
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if i+4 >= len(b) || !isHex(b[i+1]) || !isHex(b[i+2]) || !isHex(b[i+3]) || !isHex(b[i+4]) {
				return 0, false
			}
			i += 4
		default:
			return 0, false
		}
	}
}

// skipPlain skips bytes of a string that mean themselves, eight at a time. It
// may stop at one that does.
func skipPlain(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		quote, slash := w^(ones*'"'), w^(ones*'\\')
		// A byte is below n if it borrows when n is taken off, unless its high bit was set.
		stop := ((w - ones*' ') | (quote - ones) | (slash - ones)) &^ w & highs
		if stop != 0 {
			return i + bits.TrailingZeros64(stop)/8
		}
	}
	return i
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func scanNumber(b []byte, i int) (end int, ok bool) {
	if i < len(b) && b[i] == '-' {
		i++
	}
	whole := i
	if i = skipDigits(b, i); i == whole || b[whole] == '0' && i > whole+1 {
		return 0, false
	}
	if i < len(b) && b[i] == '.' {
		from := i + 1
		if i = skipDigits(b, from); i == from {
			return 0, false
		}
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		from := i
		if i = skipDigits(b, from); i == from {
			return 0, false
		}
	}
	return i, true
}

func skipDigits(b []byte, i int) int {
	for i < len(b) && '0' <= b[i] && b[i] <= '9' {
		i++
	}
	return i
}

// textOf returns what a JSON string says.
func textOf(value []byte) (string, error) {
	if n := len(value); n >= 2 && value[0] == '"' {
		if inner := value[1 : n-1]; isPlain(inner) {
			return string(inner), nil
		}
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err
}

// plainText returns what a JSON string of ASCII without escapes says. References
// and names are such strings, and a parser would look at each byte three times.
func plainText(raw []byte) (string, bool) {
	n := len(raw)
	if n < 2 || raw[0] != '"' || raw[n-1] != '"' || !isPlain(raw[1:n-1]) {
		return "", false
	}
	return string(raw[1 : n-1]), true
}

// isPlain reports whether the inside of a JSON string means itself.
func isPlain(inner []byte) bool {
	return !slices.ContainsFunc(inner, func(c byte) bool {
		return c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf
	})
}
