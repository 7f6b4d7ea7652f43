package jenkinstest

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLineEnds(t *testing.T) {
	for in, want := range map[string]string{
		"":           "",
		"a\nb":       "a\r\nb",
		"a\r\nb\n":   "a\r\nb\r\n",
		"\n\n":       "\r\n\r\n",
		"a\rb\n\r\n": "a\rb\r\n\r\n",
	} {
		got, err := io.ReadAll(&crlfReader{src: iotest.OneByteReader(strings.NewReader(in))})
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%q", in)
	}
}

func TestNotesAreStrippedAcrossReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var raw, want strings.Builder
		for range rapid.IntRange(0, 8).Draw(t, "parts") {
			text := rapid.StringMatching("[a-z\\x1b\\[8m\n]{0,12}").Draw(t, "text")
			raw.WriteString(text + "|" + ConsoleNote(rapid.String().Draw(t, "note")))
			want.WriteString(text + "|")
		}
		var src io.Reader = strings.NewReader(raw.String())
		if rapid.Bool().Draw(t, "bytewise") {
			src = iotest.OneByteReader(src)
		}
		got, err := io.ReadAll(&noteStripper{src: src})
		require.NoError(t, err)
		require.Equal(t, want.String(), string(got))
	})
}

func TestConsoleViews(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c console
		var all string
		type held struct {
			r    io.Reader
			want string
		}
		var views []held
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			text := strings.Repeat(rapid.StringMatching("[a-z\n]{0,20}").Draw(t, "text"), rapid.IntRange(1, 3000).Draw(t, "times"))
			if rapid.Bool().Draw(t, "attach") {
				c.attach(strings.NewReader(text), int64(len(text)))
			} else {
				c.write(text)
			}
			all += text
			from := rapid.Int64Range(0, c.size).Draw(t, "from")
			views = append(views, held{c.view(from, c.size), all[from:]})
		}
		require.Equal(t, int64(len(all)), c.size)
		for _, v := range views {
			got, err := io.ReadAll(v.r)
			require.NoError(t, err)
			require.Equal(t, v.want, string(got))
		}
	})
}
