package pipeline

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The scanner and encoding/json agree on what JSON is, and on the parts of it.
func FuzzScan(f *testing.F) {
	for _, s := range []string{
		`null`, ` {"a" : [1, -2.5e+3, "x\u00e9\n"], "b":{}, "":[] } `, `[[],[{}],"\\\""]`, `01`, `1.`, `-`, `1e`, `"\x"`, `"\u12"`,
		`"a long string without anything in it that would need a second look"`, "\"a tab\t\"", "\"seven b\x1f\"", "\"\xff\"", `[1,]`, `{"a":1,}`, `{`, `[`,
		`truе`, `nul`, `{"a" 1}`, `{1:2}`, `[1 2]`, `1 2`, "[\"\x7f\x80\x9f\xa0\"]", strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		require.Equal(t, json.Valid(raw), validJSON(raw))
		fields := map[string]string{}
		err := scanObject(raw, func(name, value []byte) error {
			text, err := textOf(name)
			fields[text] = string(value)
			return err
		})
		var want map[string]json.RawMessage
		isObject := json.Unmarshal(raw, &want) == nil && want != nil
		require.Equal(t, isObject, err == nil)
		for name, value := range want {
			require.Equal(t, string(value), fields[name])
		}
		var elements []json.RawMessage
		err = scanArray(raw, func(v []byte) error { elements = append(elements, v); return nil })
		var wantElements []json.RawMessage
		isArray := json.Unmarshal(raw, &wantElements) == nil && wantElements != nil
		require.Equal(t, isArray, err == nil)
		if isArray {
			require.Equal(t, len(wantElements), len(elements))
		}
	})
}
