package jenkinstest

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

type leafView struct {
	Class string `json:"_class"`
	Name  string `json:"name" vis:"3"`
	Value int    `json:"value"`
}

type branchView struct {
	Class  string     `json:"_class"`
	Leaf   *leafView  `json:"leaf"`
	Nil    *leafView  `json:"nil"`
	Leaves []leafView `json:"leaves"`
	Secret lazy       `json:"secret" vis:"-2"`
}

func sample() *branchView {
	v := &branchView{Class: "B", Leaf: &leafView{"L", "a", 1}, Secret: func() any { return []lazy{} }}
	for i := range 4 {
		v.Leaves = append(v.Leaves, leafView{Name: fmt.Sprint(i), Value: i})
	}
	return v
}

func TestTree(t *testing.T) {
	for _, tc := range []struct{ tree, want string }{
		{"leaf[value]", `{"_class":"B","leaf":{"_class":"L","value":1}}`},
		{"leaf", `{"_class":"B","leaf":{"_class":"L"}}`},
		{"leaf[*],nil[x]", `{"_class":"B","leaf":{"_class":"L","name":"a","value":1},"nil":null}`},
		{"leaves[value]{1,3}", `{"_class":"B","leaves":[{"value":1},{"value":2}]}`},
		{"leaves[value]{,1}", `{"_class":"B","leaves":[{"value":0}]}`},
		{"leaves[value]{3,}", `{"_class":"B","leaves":[{"value":3}]}`},
		{"leaves[value]{2}", `{"_class":"B","leaves":[{"value":2}]}`},
		{"leaves[value]{9,20}", `{"_class":"B","leaves":[]}`},
		{"unknown,secret", `{"_class":"B","secret":[]}`},
		{"leaf[name],leaf[value]", `{"_class":"B","leaf":{"_class":"L","name":"a","value":1}}`},
	} {
		p, err := parseTree(tc.tree)
		require.NoError(t, err, tc.tree)
		require.Equal(t, tc.want, string(export(sample(), p, false)), tc.tree)
	}
	for _, bad := range []string{"", "a[", "a[b", "a]", "a,,b", "a{1", "a{x}", "a{}", "a[]", "a{-1,2}", "a[b]]"} {
		_, err := parseTree(bad)
		require.Error(t, err, bad)
	}
}

func TestDepthAndPretty(t *testing.T) {
	require.Equal(t, `{"_class":"B","leaf":{"_class":"L","name":"a"},"nil":null,"leaves":[{"name":"0"},{"name":"1"},{"name":"2"},{"name":"3"}]}`,
		string(export(sample(), byDepth(1), false)))
	require.Contains(t, string(export(sample(), byDepth(0), false)), `"leaf":{"_class":"L","name":"a","value":1}`)
	require.Equal(t, "{\n  \"_class\" : \"L\",\n  \"name\" : \"a\",\n  \"value\" : 1\n}", string(export(&leafView{"L", "a", 1}, byDepth(1), true)))
}

func TestExportIsAlwaysJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := &leafView{Class: rapid.String().Draw(t, "class"), Name: rapid.String().Draw(t, "name"), Value: rapid.Int().Draw(t, "value")}
		var back leafView
		require.NoError(t, json.Unmarshal(export(v, byDepth(0), rapid.Bool().Draw(t, "pretty")), &back))
		require.Equal(t, v.Value, back.Value)
	})
}

func FuzzParseTree(f *testing.F) {
	f.Add("a,b[c,d[e]],builds[number]{0,50}")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parseTree(s)
		if err != nil {
			return
		}
		if !json.Valid(export(sample(), p, false)) {
			t.Fatalf("tree %q: not JSON", s)
		}
	})
}
