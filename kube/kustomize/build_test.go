package kustomize_test

import (
	"fmt"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/kube"
	"github.com/gennaker/gennaker/kube/kustomize"
)

const deployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: shop/web}]}
`

func files(overlay string) fstest.MapFS {
	return fstest.MapFS{
		"base/kustomization.yaml":         {Data: []byte("resources: [web.yaml]\nconfigMapGenerator:\n- name: settings\n  literals: [URL=https://example.com/x]\n")},
		"base/web.yaml":                   {Data: []byte(deployment)},
		"overlay/kustomization.yaml":      {Data: []byte(overlay)},
		"overlay/patch.yaml":              {Data: []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 3}\n")},
		"overlay/.git/kustomization.yaml": {Data: []byte("not: [yaml")},
	}
}

func TestOverlay(t *testing.T) {
	m := kustomize.Build(files("resources: [../base]\nnamePrefix: prod-\npatches: [{path: patch.yaml}]\n"), "overlay")
	require.NoError(t, m.Err())
	require.Equal(t, 2, m.Len())
}

// Nothing outside the file system is looked at, and each refusal says what is wrong.
func TestRefusals(t *testing.T) {
	for ref, want := range map[string]string{
		"resources: ['https://github.com/kubernetes-sigs/kustomize//examples/multibases?ref=v1.0.6']": "multibases",
		"resources: [github.com/kubernetes-sigs/kustomize]":                                           "nothing is fetched",
		"resources: ['git@github.com:kubernetes-sigs/kustomize.git']":                                 "nothing is fetched",
		"resources: [/base]":                                                  "nothing is fetched",
		"bases: [https://example.com/base]":                                   "nothing is fetched",
		"components: [https://example.com/base]":                              "nothing is fetched",
		"crds: [https://example.com/crd.yaml]":                                "nothing is fetched",
		"configurations: [https://example.com/c.yaml]":                        "nothing is fetched",
		"openapi: {path: 'https://example.com/o.json'}":                       "nothing is fetched",
		"patches: [{path: 'https://example.com/p.yaml'}]":                     "nothing is fetched",
		"replacements: [{path: 'https://example.com/r.yaml'}]":                "nothing is fetched",
		"patchesStrategicMerge: ['https://example.com/p.yaml']":               "nothing is fetched",
		"configMapGenerator: [{name: a, files: ['k=https://example.com/f']}]": "nothing is fetched",
		"secretGenerator: [{name: a, envs: ['https://example.com/f']}]":       "nothing is fetched",
		"helmCharts: [{name: redis}]":                                         "charts are not run",
		"generators: [gen.yaml]":                                              "are not run",
		"transformers: [\"apiVersion: builtin\\nkind: X\\n\"]":                "are not run",
		"resources: [missing.yaml]":                                           `"missing.yaml"`,
		"resource: [../base]":                                                 "resource",
		"resources: [..":                                                      "kustomization.yaml",
	} {
		t.Run(ref, func(t *testing.T) {
			err := kustomize.Build(files(ref), "overlay").Err()
			var m *kube.ManifestError
			require.ErrorAs(t, err, &m)
			require.ErrorIs(t, err, kube.ErrInvalid)
			require.ErrorContains(t, err, want)
		})
	}
	require.ErrorContains(t, kustomize.Build(files(""), "elsewhere").Err(), "no kustomization.yaml")
	require.ErrorIs(t, kustomize.Build(files(""), "/overlay").Err(), kube.ErrInvalid)
	require.ErrorIs(t, kustomize.Build(nil, ".").Err(), kube.ErrInvalid)
}

func TestCycleEnds(t *testing.T) {
	f := files("resources: [../overlay]")
	require.Error(t, kustomize.Build(f, "overlay").Err())
}

func ExampleBuild() {
	m := kustomize.Build(files("resources: [../base]\nnameSuffix: -prod\n"), "overlay")
	fmt.Println(m.Len(), m.Err())
	// Output: 2 <nil>
}

func FuzzBuild(f *testing.F) {
	f.Add("resources: [../base]\nnamePrefix: a-\n")
	f.Add("patches: [{patch: '[]', target: {kind: Deployment}}]")
	f.Fuzz(func(t *testing.T, overlay string) {
		m := kustomize.Build(files(overlay), "overlay")
		require.True(t, m.Err() == nil || m.Len() == 0, "what is wrong has no objects")
	})
}
