package kube_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/kube"
)

func TestManifestMistakesNameFileAndDocument(t *testing.T) {
	fsys := fstest.MapFS{
		"deploy/a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\n# nothing\n---\nkind: ConfigMap\nmetadata: {name: b}\n")},
		"deploy/b.yaml": {Data: []byte("apiVersion: v1\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\n")},
		"deploy/c.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: d-}\n")},
		"deploy/d.yaml": {Data: []byte("- 1\n")},
		"deploy/e.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: e, annotations: {owner: ann, port: 8080}, labels: }\n")},
		"deploy/f.yaml": {Data: []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: f}\nspec: {template: {metadata: {labels: {app: f, canary: true}}}}\n")},
	}
	m := kube.FS(fsys, "deploy/*.yaml", "other/*.yaml")
	err := m.Err()
	require.ErrorIs(t, err, kube.ErrInvalid)
	require.Equal(t, 1, m.Len())
	for _, text := range []string{
		"manifest deploy/a.yaml document 3 (ConfigMap b): invalid: apiVersion is missing",
		"manifest deploy/b.yaml document 1: invalid:",
		"manifest deploy/c.yaml document 1 (ConfigMap ): invalid: metadata.name is missing",
		"manifest deploy/d.yaml document 1: invalid: it is not an object",
		"manifest deploy/e.yaml document 1 (ConfigMap e): invalid: metadata.annotations.port must be a string",
		"manifest deploy/f.yaml document 1 (Deployment f): invalid: spec.template.metadata.labels.canary must be a string",
		"manifest other/*.yaml: invalid: no file matches",
	} {
		require.ErrorContains(t, err, text)
	}
}

func TestTypedObjectsAndLists(t *testing.T) {
	m := kube.Objects(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Name: "shop"}})
	require.NoError(t, m.Err())
	require.Equal(t, 1, m.Len())
	list := kube.YAML("list.yaml", []byte(`{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}},{"apiVersion":"v1","kind":"Secret","metadata":{"name":"b"}}]}`))
	require.NoError(t, list.Err())
	require.Equal(t, 3, m.With(list).Len())
	require.Equal(t, 1, m.Len(), "With leaves its receiver alone")
	require.ErrorIs(t, kube.Objects(nil).Err(), kube.ErrInvalid)
	require.ErrorIs(t, kube.Objects((*appsv1.Deployment)(nil)).Err(), kube.ErrInvalid)
	require.NoError(t, kube.YAML("x", []byte("apiVersion: acme.example/v1\nkind: Menu\nmetadata: {name: m}\nitems: {a: b}\n")).Err())
	require.ErrorContains(t, kube.YAML("x", []byte("apiVersion: v1\nkind: List\nitems: {a: b}\n")).Err(), "items is no list")
}

func TestFilesOfNothing(t *testing.T) {
	require.ErrorIs(t, kube.FS(nil).Err(), kube.ErrInvalid)
	require.ErrorIs(t, kube.Templates(nil, nil, "a.yaml", "b.yaml").Err(), kube.ErrInvalid)
}

// No document is lost without a word, whatever separates it from the others.
func TestSeparatorsOfDocuments(t *testing.T) {
	const a = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
	const b = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n"
	for name, text := range map[string]string{
		"comment": a + "--- # second\n" + b, "crlf": strings.ReplaceAll(a+"---\n"+b, "\n", "\r\n"), "tag": a + "--- !!map\n" + b,
		"inline":      a + "--- {apiVersion: v1, kind: ConfigMap, metadata: {name: b}}\n",
		"dots":        a + "...\n---\n" + b,
		"dots only":   a + "...\n" + b,
		"dots crlf":   strings.ReplaceAll(a+"... # end\n"+b+"...\n# nothing\n", "\n", "\r\n"),
		"directive":   "%YAML 1.1\n---\n" + a + "...\n# next\n%YAML 1.1\n---\n" + b,
		"dots inside": a + "data: {x: '...'}\n---\n" + b + "data:\n  x: |\n    ...\n    y\n",
	} {
		t.Run(name, func(t *testing.T) {
			if m := kube.YAML("x", []byte(text)); m.Err() == nil {
				require.Equal(t, 2, m.Len())
			} else {
				t.Log(m.Err())
			}
		})
	}
	require.NoError(t, kube.YAML("x", []byte(a+"...\n"+b)).Err())
}

func FuzzYAML(f *testing.F) {
	f.Add([]byte(shopYAML))
	f.Add([]byte("kind: List\nitems: [1, {}]"))
	f.Add([]byte("---\n---\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := kube.YAML("fuzz", data)
		again := kube.YAML("fuzz", data)
		require.Equal(t, m.Len(), again.Len())
		require.Equal(t, m.Err() == nil, again.Err() == nil)
	})
}

func TestTemplates(t *testing.T) {
	fsys := fstest.MapFS{
		"a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{.name}}}\ndata: {motto: {{json .motto}}}\n")},
		"b.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{.nmae}}}\n")},
		"c.yaml": {Data: []byte("kind: {{")},
	}
	data := map[string]any{"name": "shop", "motto": "a: \"b\" # c\n"}
	good := kube.Templates(fsys, data, "a.yaml")
	require.NoError(t, good.Err())
	require.Equal(t, 1, good.Len())
	err := kube.Templates(fsys, data).Err()
	require.ErrorIs(t, err, kube.ErrInvalid)
	require.ErrorContains(t, err, `manifest b.yaml: invalid: template: b.yaml:3`)
	require.ErrorContains(t, err, `no entry for key "nmae"`)
	require.ErrorContains(t, err, "manifest c.yaml: invalid: template: c.yaml:1")
	type shop struct{ Name string }
	require.ErrorContains(t, kube.Templates(fsys, shop{"x"}, "a.yaml").Err(), "can't evaluate field name")
	require.ErrorContains(t, kube.Templates(fstest.MapFS{"d.yaml": {Data: []byte(`{{range .}}{{printf "%1000000d" .}}{{end}}`)}}, make([]int, 17), "d.yaml").Err(), "more than")
}

// What has no value is never written; a condition may ask whether it is there.
func TestTemplatesWriteNoNil(t *testing.T) {
	render := func(text string, data any) kube.Manifests {
		return kube.Templates(fstest.MapFS{"a.yaml": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {host: \"" + text + "\"}\n")}}, data)
	}
	for text, data := range map[string]any{
		"{{.Host}}":                                          map[string]any{"Host": nil},
		`{{index .M "missing"}}`:                             map[string]any{"M": map[string]any{}},
		`{{index .M "missing" | printf "%s"}}`:               map[string]any{"M": map[string]string{}},
		`{{or (index .M "missing") (index .M "other")}}`:     map[string]any{"M": map[string]string{}},
		`{{printf "%s" (index .M "missing")}}`:               map[string]any{"M": map[string]string{}},
		`{{$x := index .M "missing"}}{{$x}}`:                 map[string]any{"M": map[string]string{}},
		`{{range .L}}{{.}}{{end}}`:                           map[string]any{"L": []any{nil}},
		`{{if true}}{{else}}{{end}}{{with 1}}{{$.P}}{{end}}`: map[string]any{"P": (*string)(nil)},
		`{{define "x"}}{{.}}{{end}}{{template "x" .P}}`:      map[string]any{"P": (*string)(nil)},
	} {
		require.ErrorIs(t, render(text, data).Err(), kube.ErrInvalid, text)
	}
	host, data := "h", map[string]any{"M": map[string]any{"a": 1, "nil": nil}, "N": map[int64]string{7: "x"}, "L": []string{"l"}}
	data["P"] = &host
	for _, text := range []string{
		`{{if index .M "missing"}}x{{end}}`, `{{with index .M "missing"}}{{.}}{{else}}none{{end}}`, `{{index .M "a"}}{{index .N 7}}{{index .L 0}}`,
		`{{.P}}`, `{{json (index .M "nil")}}`, `{{or (index .M "missing") "x"}}`, `{{(index .M "a")}}`, `{{len .L}}{{$x := index .M "a"}}{{$x = 2}}{{$x}}`,
	} {
		require.NoError(t, render(text, data).Err(), text)
	}
}
