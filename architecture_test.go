package gennaker_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/gennaker/gennaker/"

// mayImport is the import table of the architecture: what the non-test files of a
// package may import beside the standard library. A trailing "/..." allows a
// whole tree. Packages that are not listed must not exist.
var mayImport = map[string][]string{
	"pipeline":              {},
	"pipeline/pipelinetest": {module + "pipeline", module + "pipeline/storetest", module + "stage"},
	"pipeline/storetest":    {module + "pipeline"},
	"pipeline/boltstore":    {module + "pipeline", "go.etcd.io/bbolt/..."},
	"pipeline/s3store":      {module + "pipeline", "github.com/minio/minio-go/v7/..."},
	"pipeline/redisstore":   {module + "pipeline", "github.com/redis/go-redis/v9/..."},
	"pipeline/pgstore":      {module + "pipeline", "github.com/jackc/pgx/v5/..."},
	"stage":                 {module + "pipeline", module + "strategy", module + "artifact", module + "artifact/evidence", module + "artifact/promotion"},
	"strategy":              {},
	"strategy/strategytest": {module + "strategy"},
	"artifact":              {module + "artifact/driver"},
	"artifact/driver":       {},
	// Evidence and the rules of promotion are the larger half of what package artifact is for. They are packages of their own so
	// that a program which only names and stores artifacts does not see them; like their parent they need the standard library alone.
	"artifact/evidence":                {module + "artifact"},
	"artifact/gitartifact":             {module + "artifact", "github.com/go-git/go-git/v5/...", "golang.org/x/crypto/ssh/..."},
	"artifact/promotion":               {module + "artifact", module + "artifact/evidence"},
	"artifact/promotion/promotiontest": {module + "artifact", module + "artifact/promotion"},
	"artifact/artifacttest":            {module + "artifact", module + "artifact/driver"},
	"artifact/memartifact":             {module + "artifact", module + "artifact/driver"},
	"artifact/dirartifact":             {module + "artifact", module + "artifact/driver"},
	"artifact/internal/chunk":          {},
	"artifact/s3artifact":              {module + "artifact", module + "artifact/driver", module + "artifact/internal/chunk", "github.com/minio/minio-go/v7/..."},
	"artifact/ociartifact":             {module + "artifact", module + "artifact/driver", module + "artifact/internal/chunk", "oras.land/oras-go/v2/...", "github.com/opencontainers/..."},
	"kube":                             {module + "pipeline", module + "stage", module + "strategy", module + "artifact", "k8s.io/...", "sigs.k8s.io/yaml"},
	"kube/kustomize":                   {module + "kube", "sigs.k8s.io/kustomize/..."},
	"kube/kubetest":                    {"k8s.io/...", "sigs.k8s.io/structured-merge-diff/v6/...", "sigs.k8s.io/yaml", "gopkg.in/evanphx/json-patch.v4", "sigs.k8s.io/json"},
	"jenkins":                          {module + "pipeline", module + "stage", module + "artifact", module + "artifact/evidence", "github.com/bndr/gojenkins", "sigs.k8s.io/yaml"},
	"jenkins/jenkinstest":              {},
	"internal/bench":                   {module + "...", "go.etcd.io/bbolt"},
	"examples/quickstart":              {module + "..."},
	"examples/canary":                  {module + "..."},
	"examples/promotion":               {module + "..."},
	"examples/release":                 {module + "...", "golang.org/x/term", "k8s.io/..."},
	"examples/world":                   {module + "...", "k8s.io/..."},
	"examples/internal/shop":           {module + "...", "k8s.io/..."},
}

// packages visits the parsed files of every package of this module.
func packages(t *testing.T, visit func(dir string, files map[string]*ast.File)) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		if name := d.Name(); path != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
			return filepath.SkipDir
		}
		if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != "." {
			return filepath.SkipDir // a nested module
		}
		matches, err := filepath.Glob(filepath.Join(path, "*.go"))
		if err != nil || len(matches) == 0 {
			return err
		}
		files := map[string]*ast.File{}
		for _, name := range matches {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly|parser.ParseComments)
			if err != nil {
				return err
			}
			files[filepath.Base(name)] = f
		}
		found++
		visit(filepath.ToSlash(path), files)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, found, 10, "the walk must see the packages")
}

func imports(f *ast.File) []string {
	var all []string
	for _, i := range f.Imports {
		all = append(all, strings.Trim(i.Path.Value, `"`))
	}
	return all
}

func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}

func allowed(path string, table []string) bool {
	return slices.ContainsFunc(table, func(a string) bool {
		tree, isTree := strings.CutSuffix(a, "/...")
		return path == a || isTree && (path == tree || strings.HasPrefix(path, tree+"/"))
	})
}

func TestImportTable(t *testing.T) {
	packages(t, func(dir string, files map[string]*ast.File) {
		if dir == "." {
			return
		}
		table, known := mayImport[dir]
		require.True(t, known, "package %s is not in the architecture's table", dir)
		for name, f := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			for _, path := range imports(f) {
				require.True(t, standard(path) || allowed(path, table), "%s/%s imports %s", dir, name, path)
			}
		}
	})
}

func TestTestingStaysInTestKits(t *testing.T) {
	packages(t, func(dir string, files map[string]*ast.File) {
		for name, f := range files {
			if strings.HasSuffix(name, "_test.go") || strings.HasSuffix(dir, "test") {
				continue
			}
			for _, path := range imports(f) {
				require.False(t, path == "testing" || strings.HasPrefix(path, "testing/") || strings.Contains(path, "testify"),
					"%s/%s imports %s", dir, name, path)
			}
		}
	})
}

func TestOnePackageDoc(t *testing.T) {
	packages(t, func(dir string, files map[string]*ast.File) {
		if dir == "." {
			return
		}
		var docs []string
		for name, f := range files {
			if f.Doc != nil && !strings.HasSuffix(name, "_test.go") {
				docs = append(docs, name)
			}
		}
		require.Len(t, docs, 1, "package %s must have exactly one package comment", dir)
		if len(files) > 2 && !strings.HasPrefix(dir, "examples/") && !strings.HasPrefix(dir, "internal/") {
			require.Equal(t, "doc.go", docs[0], "package %s", dir)
		}
	})
}

func TestNoInitFunctions(t *testing.T) {
	packages(t, func(dir string, files map[string]*ast.File) {
		for name := range files {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, 0)
			require.NoError(t, err)
			for _, d := range f.Decls {
				fn, ok := d.(*ast.FuncDecl)
				require.False(t, ok && fn.Recv == nil && fn.Name.Name == "init", "%s/%s has an init function", dir, name)
			}
		}
	})
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			require.Contains(t, []string{"pipeline", "stage", "strategy", "artifact", "kube", "jenkins", "examples", "internal"}, e.Name())
		}
	}
	mod, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	require.NotContains(t, string(mod), "replace", "a replace in the root go.mod does not reach users")
}
