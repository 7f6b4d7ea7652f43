package jenkins_test

import (
	"flag"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// lines is a text of any size: sixty-four bytes a line.
type lines struct{}

func (lines) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = 'x'
		if (off+int64(i))%64 == 63 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

// allocated is how much memory f takes from the heap over its life, which bounds what it holds at once.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestAGiBOfLogInConstantMemory(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) {
			b.LogFrom(lines{}, 1<<30)
			b.Fail("disk full")
		}
		s.AddJob(j)
		e := newEngine(t, s, j.Name, shopOptions)
		require.Less(t, allocated(func() { e.run(t.Context()) }), uint64(32<<20))
		require.ErrorContains(t, e.err, "FAILURE")
		require.Contains(t, detailOf(e.err), "ERROR: disk full")
		require.Equal(t, 1, e.lines("of the log skipped"))
		require.Equal(t, 1, e.lines("Finished: FAILURE"))
	})
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

var logMiB = flag.Int64("logmib", 64, "size of the log that TestTheWholeLogIsStreamed reads, in MiB; the full check is 1024")

func TestTheWholeLogIsStreamed(t *testing.T) {
	size := *logMiB << 20
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) { b.LogFrom(lines{}, size) }
		s.AddJob(j)
		s.Trigger(j.Name, nil, jenkinstest.Cause{})
		time.Sleep(time.Minute)
		b := connect(t, s, nil).Build(j.Name, 1)
		var n counter
		var next int64
		var more bool
		var err error
		require.Less(t, allocated(func() { next, more, err = b.Log(t.Context(), &n, 0) }), uint64(8<<20))
		require.NoError(t, err)
		require.False(t, more)
		require.Greater(t, next, size)
		require.InDelta(t, next, int64(n), 2000, "but for the notes")
		var rest strings.Builder
		_, _, err = b.Log(t.Context(), &rest, next-int64(len("Finished: SUCCESS\n")))
		require.NoError(t, err)
		require.Equal(t, "Finished: SUCCESS\n", rest.String())
	})
}

func TestALargeFileInConstantMemory(t *testing.T) {
	size := int64(200 << 20)
	if testing.Short() {
		size = 8 << 20
	}
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) { b.ArchiveFrom("disk.img", lines{}, size) }
		s.AddJob(j)
		e := newEngine(t, s, j.Name, jenkins.JobOptions{Files: []string{"*.img"}})
		require.Less(t, allocated(func() { e.run(t.Context()) }), uint64(8<<20))
		require.NoError(t, e.err)
		want, err := artifact.FromReader(io.NewSectionReader(lines{}, 0, size))
		require.NoError(t, err)
		f, ok := e.set.Find(artifact.KindFile, "disk.img")
		require.True(t, ok)
		require.Equal(t, want, f.Digest)
	})
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) { b.ArchiveFrom("disk.img", lines{}, size) }
		s.AddJob(j)
		e := newEngine(t, s, j.Name, jenkins.JobOptions{Files: []string{"*.img"}, MaxFile: size - 1})
		e.run(t.Context())
		require.ErrorIs(t, e.err, jenkins.ErrTooLarge)
	})
}
