package jenkins

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gennaker/gennaker/artifact"
)

// Names of the metadata that a Job leaves in the artifacts it makes.
const (
	MetaJob       = "jenkins.job"       // full name of the job
	MetaBuild     = "jenkins.build"     // number of the build
	MetaURL       = "jenkins.url"       // of the build, for people
	MetaTests     = "jenkins.tests"     // as in "120 tests, 2 failed, 1 skipped"; absent if the build published no test results
	MetaAmbiguous = "jenkins.ambiguous" // "true" if the build carries no key; see JobOptions.WithoutKey
)

// A Build refers to a build of a job, running or ended.
type Build struct {
	Job    string // full name
	Number int64

	c      *Client
	urgent bool // the end of a stage waits for what is read
}

// Build refers to a build by the full name of its job and its number. It does not ask Jenkins.
func (c *Client) Build(job string, number int64) Build { return Build{Job: job, Number: number, c: c} }

// BuildOf refers to the build that made an artifact of a set from [Job]; ok is false if there is none.
func (c *Client) BuildOf(set artifact.Set) (b Build, ok bool) {
	for a := range set.All() {
		n, err := strconv.ParseInt(a.Metadata[MetaBuild], 10, 64)
		if job := a.Metadata[MetaJob]; err == nil && job != "" {
			return c.Build(job, n), true
		}
	}
	return Build{}, false
}

// BuildInfo is what Jenkins says about a build.
type BuildInfo struct {
	Result     Result // empty while it is open; final only if Ended
	Ended      bool   // nothing of the build goes on
	Started    time.Time
	Duration   time.Duration // 0 while it runs
	URL        string
	Files      []string // relative paths of the archived files
	Parameters map[string]string
	Tests      *Tests // nil if it published no test results
}

// Info asks Jenkins about the build. The error is a [StatusError] or a [RequestError].
func (b Build) Info(ctx context.Context) (BuildInfo, error) {
	var info buildInfo
	if _, err := b.c.r.getJSON(ctx, buildPath(b.Job, b.Number), buildTree, nil, &info); err != nil {
		return BuildInfo{}, err
	}
	return BuildInfo{
		Result: Result(info.Result), Ended: info.ended(), Started: info.started(), URL: info.URL, Files: info.files(),
		Duration: time.Duration(info.Duration) * time.Millisecond, Parameters: info.parameters(), Tests: info.tests(),
	}, nil
}

// Reasons of an [ArtifactError].
var (
	ErrFileMissing = errors.New("the build has no such archived file")
	ErrTooLarge    = errors.New("the file is too large")
	ErrFormat      = errors.New("the file cannot be understood")

	errEmpty = fmt.Errorf("%w: it is empty", ErrFormat)
)

// An ArtifactError says which archived file of a build cannot be used, why, and what to do.
type ArtifactError struct {
	Job    string
	Build  int64
	Path   string // relative path, or the pattern that matched nothing
	Err    error  // wraps one of the reasons, or artifact.ErrNoDigest or artifact.ErrInvalid
	Advice string
}

func (e *ArtifactError) Error() string {
	s := fmt.Sprintf("jenkins: job %s: build #%d: file %s: %v", e.Job, e.Build, e.Path, e.Err)
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns the reason.
func (e *ArtifactError) Unwrap() error { return e.Err }

func (b Build) fileError(path string, err error, advice string) error {
	return &ArtifactError{Job: b.Job, Build: b.Number, Path: path, Err: err, Advice: advice}
}

// Open streams an archived file, given by its path relative to the workspace. size is -1 if Jenkins does not tell. The error is an
// [ArtifactError] for [ErrFileMissing], otherwise a [StatusError] or a [RequestError]. The caller closes the reader.
func (b Build) Open(ctx context.Context, path string) (content io.ReadCloser, size int64, err error) {
	req := get(filePath(b.Job, b.Number, path))
	req.foreign, req.urgent = true, b.urgent
	resp, err := b.c.r.stream(ctx, req)
	var s *StatusError
	if IsNotFound(err) || errors.As(err, &s) && s.Code == http.StatusBadRequest && s.genuine {
		return nil, 0, b.fileError(path, ErrFileMissing, "let the build archive it under that path")
	}
	if err != nil {
		return nil, 0, err
	}
	if isPage(resp) && !sameOrigin(resp.Request.URL, b.c.r.base) {
		resp.Body.Close()
		e := b.c.r.statusError(req, answer{status: resp.StatusCode, header: resp.Header})
		e.Err = fmt.Errorf("redirected to a page on %s, probably to log in", resp.Request.URL.Host)
		return nil, 0, e
	}
	return resp.Body, resp.ContentLength, nil
}

func isPage(resp *http.Response) bool {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return kind == "text/html"
}

// Download writes an archived file to w, in constant memory, and returns its digest and its size in bytes. A file of more than limit
// bytes is [ErrTooLarge]; w may have got a part of it by then, as with every other error.
func (b Build) Download(ctx context.Context, path string, w io.Writer, limit int64) (artifact.Digest, int64, error) {
	content, size, err := b.Open(ctx, path)
	if err != nil {
		return "", 0, err
	}
	defer content.Close()
	tooLarge := func() error {
		return b.fileError(path, fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, limit), "raise the limit")
	}
	if size > limit {
		return "", 0, tooLarge()
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, h), io.LimitReader(content, limit+1))
	switch {
	case err != nil:
		return "", n, err
	case n > limit:
		return "", n, tooLarge()
	case size >= 0 && n != size:
		return "", n, &RequestError{Method: http.MethodGet, Path: filePath(b.Job, b.Number, path), Err: io.ErrUnexpectedEOF}
	}
	return artifact.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), n, nil
}

// match returns the archived files that a pattern of package path matches.
func matchFiles(files []string, pattern string) []string {
	if slices.Contains(files, pattern) {
		return []string{pattern}
	}
	var found []string
	for _, f := range files {
		if globMatch(pattern, f) {
			found = append(found, f)
		}
	}
	return found
}
