package kustomize

import (
	"fmt"
	"path"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/gennaker/gennaker/kube"
)

// checker goes through kustomization files before they are built, so that
// nothing in them makes the library look outside the file system: it takes
// what it does not find there for the address of a repository.
type checker struct {
	fs   filesys.FileSystem
	seen map[string]bool
}

// directory checks the kustomization of a directory and those it refers to.
func (c *checker) directory(dir string) error {
	if c.seen[dir] {
		return nil
	}
	c.seen[dir] = true
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		file := path.Join(dir, name)
		if !c.fs.Exists(file) {
			continue
		}
		text, err := c.fs.ReadFile(file)
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		var k types.Kustomization
		if err := k.Unmarshal(text); err != nil {
			return fmt.Errorf("%s: %w: %w", file, kube.ErrInvalid, err)
		}
		k.FixKustomization()
		if err := c.kustomization(dir, &k); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		return nil
	}
	return fmt.Errorf("%s: %w: there is no kustomization.yaml", dir, kube.ErrInvalid)
}

func (c *checker) kustomization(dir string, k *types.Kustomization) error {
	if len(k.HelmCharts)+len(k.HelmChartInflationGenerator) > 0 || k.HelmGlobals != nil {
		return fmt.Errorf("%w: helmCharts: charts are not run; render them and add the files to resources", kube.ErrInvalid)
	}
	if len(k.Generators)+len(k.Transformers)+len(k.Validators) > 0 {
		return fmt.Errorf("%w: generators, transformers and validators are not run; use the fields of the kustomization", kube.ErrInvalid)
	}
	for _, ref := range append(append([]string{}, k.Resources...), k.Components...) {
		at, err := c.find(dir, ref)
		if err != nil {
			return err
		}
		if c.fs.IsDir(at) {
			if err := c.directory(at); err != nil {
				return err
			}
		}
	}
	for _, ref := range files(k) {
		if _, err := c.find(dir, ref); err != nil {
			return err
		}
	}
	return nil
}

// find returns where a reference leads in the file system.
func (c *checker) find(dir, ref string) (string, error) {
	at := path.Join(dir, ref)
	if path.IsAbs(ref) || strings.Contains(ref, "://") || !c.fs.Exists(at) {
		return "", fmt.Errorf("%w: %q is not in the file system; nothing is fetched, so copy it there", kube.ErrInvalid, ref)
	}
	return at, nil
}

// files lists every reference to a file but resources and components.
func files(k *types.Kustomization) []string {
	refs := append(append([]string{}, k.Crds...), k.Configurations...)
	if p := k.OpenAPI["path"]; p != "" {
		refs = append(refs, p)
	}
	//lint:ignore SA1019 files that still use the old field are checked, too
	for _, p := range k.PatchesStrategicMerge {
		if !strings.Contains(string(p), "\n") {
			refs = append(refs, string(p))
		}
	}
	//lint:ignore SA1019 files that still use the old field are checked, too
	for _, list := range [][]types.Patch{k.Patches, k.PatchesJson6902} {
		for _, p := range list {
			refs = append(refs, p.Path)
		}
	}
	for _, r := range k.Replacements {
		refs = append(refs, r.Path)
	}
	for _, g := range k.ConfigMapGenerator {
		refs = append(refs, sources(g.KvPairSources)...)
	}
	for _, g := range k.SecretGenerator {
		refs = append(refs, sources(g.KvPairSources)...)
	}
	var out []string
	for _, r := range refs {
		if r != "" {
			out = append(out, r)
		}
	}
	return out
}

// sources lists the files of a generator; a file may be given a key before "=".
func sources(s types.KvPairSources) []string {
	out := append([]string{s.EnvSource}, s.EnvSources...)
	for _, f := range s.FileSources {
		if _, file, ok := strings.Cut(f, "="); ok {
			f = file
		}
		out = append(out, f)
	}
	return out
}
