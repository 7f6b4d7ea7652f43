package artifactload

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/registrytest"
)

// jobEnv has a process of this test binary do a job in place of the tests.
const jobEnv = "GENNAKER_E2E_ARTIFACT_JOB"

// limit is what a process may use, in bytes.
const limit = 64_000_000

// job sends content through a store: in, out again, and into a second one.
type job struct {
	Store, Second place
	Size          int64
}

// usage is what it took at most, in bytes.
type usage struct {
	Heap     uint64 // objects on the heap, looked at every MiB
	Resident uint64 // all of the process, as the kernel counts it
}

func (j job) run(ctx context.Context) (usage, error) {
	var used usage
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	last := int64(0)
	look := func(done, _ int64) {
		if done-last >= 1<<20 || done < last {
			last = done
			metrics.Read(sample)
			used.Heap = max(used.Heap, sample[0].Value.Uint64())
		}
	}
	digest, err := artifact.FromReader(content(j.Size))
	if err != nil {
		return used, err
	}
	store, err := j.Store.open(ctx)
	if err != nil {
		return used, err
	}
	second, err := j.Second.open(ctx)
	if err != nil {
		return used, err
	}
	if err := store.Put(ctx, digest, content(j.Size), &artifact.PutOptions{Progress: look}); err != nil {
		return used, err
	}
	r, err := store.Get(ctx, digest, &artifact.GetOptions{Progress: look})
	if err != nil {
		return used, err
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); err != nil || n != j.Size {
		return used, fmt.Errorf("%d bytes read: %w", n, err)
	}
	if err := second.Copy(ctx, store, digest, &artifact.PutOptions{Progress: look}); err != nil {
		return used, err
	}
	used.Resident, err = resident()
	return used, err
}

// resident is the most memory that this process has had.
func resident() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	var kilobytes uint64
	_, err = fmt.Sscan(rest, &kilobytes)
	return kilobytes << 10, err
}

func TestMemory(t *testing.T) {
	minio, registry := miniotest.Start(t), registrytest.Start(t)
	for name, stores := range map[string][2]place{
		"folder":   {{Dir: t.TempDir()}, {Dir: t.TempDir()}},
		"bucket":   {{Endpoint: minio.Addr(), Bucket: minio.Bucket(t)}, {Endpoint: minio.Addr(), Bucket: minio.Bucket(t)}},
		"registry": {{Repository: registry.Addr() + "/one"}, {Repository: registry.Addr() + "/other"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := json.Marshal(job{stores[0], stores[1], *sizeFlag << 20})
			require.NoError(t, err)
			exe, err := os.Executable()
			require.NoError(t, err)
			cmd := exec.CommandContext(t.Context(), exe)
			cmd.Env = append(os.Environ(), jobEnv+"="+string(text), "SSL_CERT_FILE="+registry.CertificateFile())
			cmd.Stderr = os.Stderr
			out, err := cmd.Output()
			require.NoError(t, err)
			var used usage
			require.NoError(t, json.Unmarshal(out, &used))
			t.Logf("%s: %d MiB in, out and across: at most %.1f MB on the heap, %.1f MB resident", name, *sizeFlag,
				float64(used.Heap)/1e6, float64(used.Resident)/1e6)
			require.Less(t, used.Heap, uint64(limit))
			require.Less(t, used.Resident, uint64(limit))
			require.Greater(t, used.Resident, used.Heap)
		})
	}
}
