package jenkins

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestCleanLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain\r":                               "plain",
		"\x1b[8mha:AAAA==\x1b[0mnote":           "note",
		"a\x1b[8mha:AAAA":                       "a",
		"\x1b[31mred\x1b[0m\tb":                 "red b",
		"\x1b]0;title\x07text":                  "text",
		"10%\r20%\r30%":                         "30%",
		"bell\x07 \xff\u202eend":                "bell end",
		"\x1b[8mha:x\x1b[0m\x1b[8mha:y\x1b[0mz": "z",
		"tail\x1b":                              "tail",
	} {
		require.Equal(t, want, cleanLine([]byte(in)), "%q", in)
	}
}

// However the log grows and is cut into pieces, its lines are reported once each and in order.
func TestLogIsIndependentOfItsPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw strings.Builder
		var want []string
		for i := range rapid.IntRange(1, 20).Draw(t, "lines") {
			text := rapid.SampledFrom([]string{"", "ü", "Grüße 世界", "\x1b[8mha:QUJD\x1b[0m"}).Draw(t, "text")
			fmt.Fprintf(&raw, "%sline %d\n", text, i)
			want = append(want, cleanLine(fmt.Appendf(nil, "%sline %d", text, i)))
		}
		log := raw.String()
		var got []string
		offset, size := 0, 0
		for size < len(log) {
			size += rapid.IntRange(0, 12).Draw(t, "grow")
			size = min(size, len(log))
			// Jenkins serves LF as CRLF.
			text := strings.ReplaceAll(log[offset:size], "\n", "\r\n")
			lines, rest := splitLog([]byte(text), size == len(log))
			got = append(got, lines...)
			offset = size - rest
		}
		require.Equal(t, want, got)
	})
}

func FuzzSplitLog(f *testing.F) {
	f.Add([]byte("a\r\nb\x1b[8mha:AAA\x1b[0m\r\nc"), 3)
	f.Add([]byte("\x1b]0;x\x1b\\y\n\xc3"), 1)
	f.Fuzz(func(t *testing.T, data []byte, cut int) {
		whole, rest := splitLog(data, true)
		require.Zero(t, rest)
		for _, l := range whole {
			require.True(t, utf8.ValidString(l))
			require.NotContains(t, l, "\x1b")
			require.NotContains(t, l, "\n")
		}
		if cut < 0 || cut > len(data) || len(data) > logLong {
			return
		}
		first, rest := splitLog(data[:cut], false)
		require.LessOrEqual(t, rest, cut)
		second, _ := splitLog(data[cut-rest:], true)
		require.Equal(t, whole, append(first, second...))
	})
}
