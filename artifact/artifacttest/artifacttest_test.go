package artifacttest_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/artifacttest"
	"github.com/gennaker/gennaker/artifact/driver"
	"github.com/gennaker/gennaker/artifact/memartifact"
)

// bugEnv names the driver that TestBrokenDriver runs the suite on.
const bugEnv = "ARTIFACTTEST_BUG"

// TestSuiteFindsBugs runs the suite on drivers that are broken in one way each, every one in a process of its own, and
// wants the test that is about it to fail.
func TestSuiteFindsBugs(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	require.NoError(t, err)
	for bug, test := range map[string]string{
		"sized put":     "ReadsToEOF",
		"partial put":   "CutStream",
		"early put":     "InvisibleWhileWriting",
		"keep old":      "Replace",
		"delete error":  "Absent",
		"no context":    "CancelledContext",
		"any key":       "InvalidKeys",
		"prefix list":   "ListFolders",
		"long list":     "ListPages",
		"short stream":  "OpenStream",
		"nil not found": "Absent",
	} {
		t.Run(bug, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), exe, "-test.run=^TestBrokenDriver$/^"+test+"$", "-test.timeout=30s")
			cmd.Env = append(os.Environ(), bugEnv+"="+bug)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the suite has passed:\n%s", out)
			require.Contains(t, string(out), "--- FAIL: TestBrokenDriver/"+test)
			require.NotContains(t, string(out), "panic:")
		})
	}
}

func TestBrokenDriver(t *testing.T) {
	bug := os.Getenv(bugEnv)
	if bug == "" {
		t.Skip("TestSuiteFindsBugs runs this")
	}
	artifacttest.Run(t, func(*testing.T) driver.Driver { return &broken{Driver: new(memartifact.Driver), bug: bug} })
}

type broken struct {
	*memartifact.Driver
	bug string
}

func (b *broken) Put(ctx context.Context, key driver.Key, r io.Reader, size int64) error {
	switch b.bug {
	case "sized put":
		if size >= 0 {
			r = io.LimitReader(r, size)
		}
	case "partial put", "early put":
		return b.putAsItComes(ctx, key, r)
	case "keep old":
		if _, err := b.Driver.Stat(ctx, key); err == nil {
			_, err := io.Copy(io.Discard, r)
			return err
		}
	case "any key":
		if key.Validate() != nil {
			return nil
		}
	}
	return b.Driver.Put(ctx, key, r, size)
}

// putAsItComes stores a part before the rest is there.
func (b *broken) putAsItComes(ctx context.Context, key driver.Key, r io.Reader) error {
	if err := key.Validate(); err != nil {
		return err
	}
	part := make([]byte, 100_000)
	n, err := io.ReadFull(r, part)
	whole := part[:n]
	if b.bug == "early put" || err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		if putErr := b.Driver.Put(ctx, key, bytes.NewReader(whole), -1); putErr != nil {
			return putErr
		}
	}
	if err == nil {
		var rest []byte
		rest, err = io.ReadAll(r)
		whole = append(whole, rest...)
	}
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return err
	}
	return b.Driver.Put(ctx, key, bytes.NewReader(whole), -1)
}

func (b *broken) Get(ctx context.Context, key driver.Key) (io.ReadCloser, driver.Info, error) {
	stream, info, err := b.Driver.Get(ctx, key)
	if b.bug == "nil not found" && err != nil {
		return io.NopCloser(strings.NewReader("")), info, nil
	}
	if b.bug == "short stream" && info.Size > 1<<20 {
		stream = io.NopCloser(io.LimitReader(stream, 1<<20))
	}
	return stream, info, err
}

func (b *broken) Delete(ctx context.Context, key driver.Key) error {
	if b.bug == "delete error" {
		if _, err := b.Driver.Stat(ctx, key); err != nil {
			return err
		}
	}
	if b.bug == "no context" {
		ctx = context.WithoutCancel(ctx)
	}
	return b.Driver.Delete(ctx, key)
}

func (b *broken) List(ctx context.Context, folder, after string, limit int) ([]driver.Info, error) {
	infos, err := b.Driver.List(ctx, folder, after, limit)
	switch {
	case b.bug == "long list" && err == nil:
		return b.Driver.List(ctx, folder, after, limit+1)
	case b.bug == "prefix list" && folder == "a" && err == nil:
		inner, err := b.Driver.List(ctx, "a/b", after, limit)
		return append(infos, inner...), err
	}
	return infos, err
}
