package jenkinstest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

func TestArtifacts(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		job := jenkinstest.Job{Name: "x", Lag: jenkinstest.Lag{Artifacts: time.Second}, Build: func(b *jenkinstest.Build) {
			b.Archive("dir/odd %#?.txt", []byte("0123456789"))
			b.Archive("x.json", []byte("old"))
			b.Archive("x.json", []byte("{}"))
		}}
		started(t, j, job)
		const odd = "/job/x/1/artifact/dir/odd%20%25%23%3F.txt"
		require.Equal(t, 404, u.get(odd).status, "listed, not yet there")
		require.Equal(t, "dir/odd %#?.txt", u.json("/job/x/1/api/json", "artifacts", 0, "relativePath"))
		time.Sleep(time.Second)
		a := u.get(odd)
		require.Equal(t, "0123456789", a.body)
		require.Equal(t, "bytes", a.header.Get("Accept-Ranges"))
		require.Equal(t, "10", a.header.Get("Content-Length"))
		require.Equal(t, "10", u.do("HEAD", odd, nil).header.Get("Content-Length"))
		require.Contains(t, a.header.Get("Content-Security-Policy"), "sandbox")
		require.Empty(t, a.header.Get("ETag"))
		require.Equal(t, "application/json", u.get("/job/x/1/artifact/x.json/").header.Get("Content-Type"))

		u.header.Set("If-Modified-Since", a.header.Get("Last-Modified"))
		require.Equal(t, 304, u.get(odd).status)
		u.header.Del("If-Modified-Since")
		for rng, want := range map[string]struct {
			status             int
			body, contentRange string
		}{
			"bytes=2-4":     {206, "234", "bytes 2-4/10"},
			"bytes=7-":      {206, "789", "bytes 7-9/10"},
			"bytes=-2":      {206, "89", "bytes 8-9/10"},
			"bytes=5-99":    {206, "56789", "bytes 5-9/10"},
			"bytes=10-":     {416, "", "bytes */10"},
			"bytes=x":       {200, "0123456789", ""},
			"bytes=0-1,3-4": {200, "0123456789", ""},
		} {
			u.header.Set("Range", rng)
			a := u.get(odd)
			require.Equal(t, want.status, a.status, rng)
			require.Equal(t, want.body, a.body, rng)
			require.Equal(t, want.contentRange, a.header.Get("Content-Range"), rng)
		}
		u.header.Del("Range")
		require.Equal(t, 404, u.get("/job/x/1/artifact/none").status)
		require.Equal(t, 302, u.get("/job/x/1/artifact/dir").status)
		require.Equal(t, 200, u.get("/job/x/1/artifact/dir/").status)
		require.Equal(t, 400, u.get("/job/x/1/artifact/dir/../x.json").status)
		require.Equal(t, 404, u.get("/fingerprint/00/api/json").status)
	})
}

func TestArtifactsOfASecondOrigin(t *testing.T) {
	bubble(t, jenkinstest.Options{RedirectArtifacts: true}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		started(t, j, jenkinstest.Job{Name: "x", Build: func(b *jenkinstest.Build) { b.Archive("a.txt", []byte("a")) }})
		a := u.get("/job/x/1/artifact/a.txt")
		require.Equal(t, 302, a.status)
		require.True(t, strings.HasPrefix(a.header.Get("Location"), jenkinstest.DefaultArtifactURL+"/"))
		u.base = a.header.Get("Location")
		require.Equal(t, 400, u.get("").status, "credentials are refused")
		u.name = ""
		require.Equal(t, "a", u.get("").body)
		u.base = jenkinstest.DefaultArtifactURL
		require.Equal(t, 403, u.get("/forged/a.txt").status)
	})
}

// zeros is an endless file.
type zeros struct{ line bool }

func (z zeros) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = '0'
		if z.line && (off+int64(i))%100 == 99 {
			p[i] = '\n'
		}
	}
	return len(p), nil
}

func TestHugeFilesNeedNoMemory(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, j *jenkinstest.Server, u *user) {
		const size = 1 << 40
		started(t, j, jenkinstest.Job{Name: "x", Build: func(b *jenkinstest.Build) {
			b.ArchiveFrom("big", zeros{}, size)
			b.LogFrom(zeros{line: true}, size)
		}})
		synctest.Wait()
		u.header.Set("Range", "bytes=1099511627770-")
		require.Equal(t, "000000", u.get("/job/x/1/artifact/big").body)
		a := u.get("/job/x/1/logText/progressiveText?start=1099511627776")
		require.Contains(t, a.body, "Finished: SUCCESS\r\n")

		req, err := http.NewRequestWithContext(t.Context(), "GET", u.base+"/job/x/1/consoleText", nil)
		require.NoError(t, err)
		req.SetBasicAuth(u.name, u.secret)
		res, err := u.client.Do(req)
		require.NoError(t, err)
		n, err := io.CopyN(io.Discard, res.Body, 10<<20)
		require.NoError(t, err)
		require.EqualValues(t, 10<<20, n)
		require.NoError(t, res.Body.Close())
	})
}
