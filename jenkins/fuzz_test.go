package jenkins

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzLogWriter(f *testing.F) {
	for _, s := range []string{"a\r\nb\n", "x\x1b[8mha:abc\x1b[0my\r\n", "\x1b[8mha:never\nnext", "\r\r\n\x1b[8m\x1b[8mha:", "\r"} {
		f.Add([]byte(s), uint8(3))
	}
	write := func(pieces ...[]byte) string {
		var out bytes.Buffer
		w := &logWriter{w: &out}
		for _, p := range pieces {
			_, _ = w.Write(p)
		}
		_ = w.flush()
		return out.String()
	}
	f.Fuzz(func(t *testing.T, text []byte, step uint8) {
		var pieces [][]byte
		for rest := text; len(rest) > 0; {
			n := min(int(step)+1, len(rest))
			pieces, rest = append(pieces, rest[:n]), rest[n:]
		}
		whole := write(text)
		require.Equal(t, whole, write(pieces...), "it must not matter where the text is cut")
		require.LessOrEqual(t, len(whole), len(text))
		require.NotContains(t, whole, noteStart)
	})
}

func FuzzFile(f *testing.F) {
	f.Add("m.yaml", []byte("a: 1\nb: [x, y]\n"))
	f.Add("m.yml", []byte("a: &a [*a]\n"))
	f.Add("m.json", []byte("{"))
	f.Add("m.env", []byte("a=7"))
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		var v struct {
			A int      `json:"a"`
			B []string `json:"b"`
		}
		_, _ = decodeFile(name, data, &v)
	})
}

// FuzzAnswers reads what Jenkins and its plugins may answer.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"number":3,"actions":[{"parameters":[{"name":"A","value":true}]},{},{"causes":"x"},{"totalCount":3,"failCount":"1","urlName":"testReport"}]}`))
	f.Add([]byte(`{"actions":[null,{"causes":[{"userId":7}]}],"artifacts":[{"relativePath":"a"}]}`))
	f.Add([]byte(`{"suites":[{"cases":[{"status":"FAILED","errorDetails":null}]}],"childReports":[{"result":{}}]}`))
	f.Add([]byte(`{"computer":[{"executors":[{"currentExecutable":{"url":"http://ci/job/a/job/b%2F/7/"}}]}],"items":[{"id":1}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var b buildInfo
		if json.Unmarshal(data, &b) == nil {
			c := b.completed("team/shop")
			require.NotEmpty(t, c.ID())
			_, _ = b.files(), b.ended()
		}
		var r testReport
		if json.Unmarshal(data, &r) == nil {
			require.LessOrEqual(t, len(r.failed()), maxFailedTests)
		}
		var in []inputInfo
		_ = json.Unmarshal(data, &in)
		jobPart(string(data))
	})
}

// FuzzCursor lets a cursor take in any listing: no build is open twice, none is open and missing, and what was open stays so.
func FuzzCursor(f *testing.F) {
	f.Add([]byte(`{"floor":7,"time":5,"gaps":[{"first":3,"last":5,"since":1}]}`), []byte{4, 2, 5, 3, 11, 9}, int64(12))
	f.Add([]byte(`{"floor":70,"time":5,"open":[{"number":9,"time":1}]}`), []byte{1, 7, 2, 8}, int64(3))
	f.Add([]byte(`{}`), []byte("0010"), int64(63)) // the older build first
	f.Fuzz(func(t *testing.T, stored, pairs []byte, next int64) {
		var c cursor
		if json.Unmarshal(stored, &c) != nil || c.Floor < 0 || c.Floor > 1<<20 || next < 0 || next > 1<<20 || len(c.Open) > 0 || len(c.Gaps) > 0 {
			return
		}
		l := listing{next: next, whole: true}
		seen := map[int64]bool{}
		for i := 0; i+1 < len(pairs); i += 2 {
			n := int64(pairs[i]) + 1
			if !seen[n] && n < next {
				l.builds = append(l.builds, listed{Number: n, Timestamp: int64(pairs[i+1])})
			}
			seen[n] = true
		}
		for range 2 { // a second time changes nothing
			c.absorb(l, 1000, func(listed) bool { return false })
			open := map[openBuild]bool{}
			for _, o := range c.Open {
				require.False(t, open[o], "twice: %v", c)
				open[o] = true
				require.False(t, c.inGap(o.Number))
			}
			require.GreaterOrEqual(t, c.Floor, next-1)
		}
		c.expire(time.Hour.Milliseconds())
		require.Empty(t, c.Gaps)
	})
}

func FuzzParseWord(f *testing.F) {
	for _, s := range []string{"approve", "abort Ship", `{"answer":"approve","input":"a b","parameters":{"K":"v"}}`, "{", "approve {"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, say string) {
		w, err := ParseWord(say)
		if err != nil {
			return
		}
		again, err := ParseWord(w.String())
		require.NoError(t, err)
		require.Equal(t, w.String(), again.String())
		require.Equal(t, w.Input, again.Input)
	})
}
