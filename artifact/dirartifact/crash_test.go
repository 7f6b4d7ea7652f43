package dirartifact_test

import (
	"bufio"
	"bytes"
	"context"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/dirartifact"
)

// crashEnv tells TestWriter in which folder to write.
const crashEnv = "DIRARTIFACT_WRITE_TO"

// contents is what every writer writes, over and over.
func contents() [][]byte {
	var all [][]byte
	for i := range 8 {
		all = append(all, bytes.Repeat([]byte{byte('a' + i)}, 200_000+i))
	}
	return all
}

// TestWriter is the process that TestKilledWriters kills.
func TestWriter(t *testing.T) {
	dir := os.Getenv(crashEnv)
	if dir == "" {
		t.Skip("TestKilledWriters runs this")
	}
	store, err := dirartifact.Open(dir, nil)
	require.NoError(t, err)
	for {
		for _, content := range contents() {
			digest := artifact.FromBytes(content)
			require.NoError(t, store.Put(t.Context(), digest, bytes.NewReader(content), nil))
			_, err := os.Stdout.WriteString("stored " + digest.String() + "\n")
			require.NoError(t, err)
		}
	}
}

// TestKilledWriters has two processes write the same content and kills them at random moments. Whatever is visible then is
// complete, what was reported as stored is there, and nothing but temporary files is left beside it.
func TestKilledWriters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 6 {
		stored := make(chan map[artifact.Digest]bool, 2)
		for range 2 {
			go func() { stored <- runWriter(t, dir, time.Duration(5+rand.IntN(60))*time.Millisecond) }()
		}
		store, err := dirartifact.Open(dir, nil)
		first, second := <-stored, <-stored
		require.NoError(t, err)
		maps.Copy(first, second)
		for digest := range first {
			_, err := store.Stat(t.Context(), digest)
			require.NoError(t, err)
		}
		for _, digest := range digests(t, store) {
			_, err := store.ReadAll(t.Context(), digest, 0)
			require.NoError(t, err)
		}
	}
	requireSwept(t, dir)
}

// runWriter kills a writer after a while of writing and returns what it said that it had stored.
func runWriter(t *testing.T, dir string, after time.Duration) map[artifact.Digest]bool {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestWriter$", "-test.timeout=30s")
	cmd.Env = append(os.Environ(), crashEnv+"="+dir)
	pipe, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Errorf("the writer does not start: %v", err)
		return map[artifact.Digest]bool{}
	}
	stored := make(map[artifact.Digest]bool)
	lines := bufio.NewReader(pipe)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // A killed writer ends in the middle of anything, a line included.
		}
		if digest, ok := strings.CutPrefix(strings.TrimSpace(line), "stored "); ok {
			if len(stored) == 0 {
				time.AfterFunc(after, cancel)
			}
			stored[artifact.Digest(digest)] = true
		}
	}
	if err := cmd.Wait(); err == nil || len(stored) == 0 {
		t.Errorf("the writer was not killed while writing: %v", err)
	}
	return stored
}

// requireSwept checks that a later Open removes what the killed writers left.
func requireSwept(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, ".tmp", "*"))
	require.NoError(t, err)
	long := time.Now().Add(-2 * time.Hour)
	for _, name := range left {
		require.NoError(t, os.Chtimes(name, long, long))
	}
	t.Logf("%d temporary files were left", len(left))
	_, err = dirartifact.Open(dir, nil)
	require.NoError(t, err)
	left, err = filepath.Glob(filepath.Join(dir, ".tmp", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}
