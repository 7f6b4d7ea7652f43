package jenkinstest

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// build serves what lies below a build.
func (c *call) build(b *Build, rest []string) *reply {
	if len(rest) == 0 {
		return c.page(http.StatusOK, b.job.fullDisplayName()+" #"+itoa(b.number), "Build #"+itoa(b.number))
	}
	switch rest[0] {
	case "api":
		return c.api(rest, func() any { return c.showBuild(b) })
	case "buildNumber":
		return newReply(http.StatusOK, "text/plain;charset=utf-8", []byte(itoa(b.number)))
	case "logText":
		if len(rest) > 1 && (rest[1] == "progressiveText" || rest[1] == "progressiveHtml") {
			return c.progressive(b, rest[1] == "progressiveHtml")
		}
	case "consoleText":
		return c.consoleText(b)
	case "console", "consoleFull":
		return c.page(http.StatusOK, "Console Output", "")
	case "artifact":
		return c.artifact(b, rest[1:])
	case "stop", "term", "kill":
		return c.stop(b, rest[0])
	case "submitDescription":
		return c.describe(b)
	case "wfapi":
		return c.wfapi(b, rest[1:])
	case "testReport":
		return c.testReport(b, rest[1:])
	case "input":
		return c.input(b, rest[1:])
	case "execution":
		return c.flowNode(b, rest[1:])
	}
	return c.notFound()
}

// progressive serves the log from an offset. The text has CRLF line ends, while X-Text-Size counts the raw bytes.
func (c *call) progressive(b *Build, asHTML bool) *reply {
	start := int64(0)
	if v := c.param("start"); v != "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil {
			return c.oops("java.lang.NumberFormatException: For input string: \"" + v + "\"")
		}
		start = n
	}
	complete := b.state == stateCompleted
	size := b.log.size
	modern := c.s.version.since(509)
	if !modern && !complete {
		size = b.log.lastLine
	}
	if start > size || start < 0 {
		start = 0 // the log rolled over, Jenkins believes
	}
	body := b.log.view(start, size)
	if !modern || asHTML {
		body = &noteStripper{src: body}
	}
	kind := "text/plain;charset=utf-8"
	if asHTML {
		kind = htmlType
	}
	r := &reply{status: http.StatusOK, header: http.Header{}, body: &crlfReader{src: body}, size: -1}
	r.with("Content-Type", kind).with("X-Text-Size", strconv.FormatInt(size, 10))
	if !complete {
		r.with("X-More-Data", "true")
	}
	return r
}

func (c *call) consoleText(b *Build) *reply {
	body := &noteStripper{src: b.log.view(0, b.log.size)}
	r := &reply{status: http.StatusOK, header: http.Header{}, body: body, size: -1}
	return r.with("Content-Type", "text/plain;charset=utf-8")
}

// stop interrupts a build. The answer is a redirect whether there was something to interrupt or not.
func (c *call) stop(b *Build, how string) *reply {
	pipeline := b.job.spec.Kind == Pipeline
	switch {
	case how != "stop" && !pipeline:
		return c.notFound()
	case c.r.Method != http.MethodPost:
		return c.needPost()
	}
	if r := c.need(JobCancel, b.job.fullName()); r != nil {
		return r
	}
	level := map[string]stopLevel{"stop": stopAsked, "term": termAsked, "kill": killAsked}[how]
	b.interrupt(level, c.who.String())
	if ref := c.r.Header.Get("Referer"); ref != "" {
		return empty(http.StatusFound).with("Location", ref)
	}
	return c.location(http.StatusFound, b.job.path()+itoa(b.number)+"/")
}

func (c *call) describe(b *Build) *reply {
	if c.r.Method != http.MethodPost {
		return c.needPost()
	}
	if r := c.need(JobBuild, b.job.fullName()); r != nil {
		return r
	}
	b.description = c.param("description")
	return c.location(http.StatusFound, b.job.path()+itoa(b.number)+"/")
}

// artifact serves an archived file.
func (c *call) artifact(b *Build, rest []string) *reply {
	name := strings.Join(rest, "/")
	f := b.file(name)
	if f == nil && b.isDir(name) {
		return c.artifactDir(b, name)
	}
	if f == nil || c.now.Sub(f.at) < b.job.spec.Lag.Artifacts {
		return c.notFound()
	}
	if c.s.opts.RedirectArtifacts {
		token := c.s.fresh("artifact")
		c.s.artifacts[token] = f
		return empty(http.StatusFound).with("Location", c.s.opts.ArtifactURL+"/"+token+"/"+escapePath(f.path))
	}
	return serveFile(c.r, f).with("Content-Security-Policy", "sandbox; default-src 'none'; img-src 'self'; style-src 'self';")
}

func (c *call) artifactDir(b *Build, name string) *reply {
	if name != "" && !strings.HasSuffix(c.r.URL.Path, "/") {
		return c.location(http.StatusFound, b.job.path()+itoa(b.number)+"/artifact/"+escapePath(name)+"/")
	}
	return c.page(http.StatusOK, "Artifacts", name)
}

// serveFile answers with a file, or the part of it that Range asks for, or 304.
func serveFile(r *http.Request, f *file) *reply {
	modified := f.at.UTC().Truncate(1e9)
	h := http.Header{}
	h.Set("Last-Modified", modified.Format(http.TimeFormat))
	h.Set("Expires", f.at.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", contentType(f.path))
	if since, err := http.ParseTime(r.Header.Get("If-Modified-Since")); err == nil && !modified.After(since) {
		return &reply{status: http.StatusNotModified, header: h, body: strings.NewReader(""), size: 0}
	}
	rep := &reply{status: http.StatusOK, header: h, body: &fileReader{seg: f.content}, size: f.content.size}
	from, to, ok := byteRange(r.Header.Get("Range"), f.content.size)
	if !ok {
		return rep
	}
	if from >= f.content.size {
		rep.status, rep.body, rep.size = http.StatusRequestedRangeNotSatisfiable, strings.NewReader(""), 0
		return rep.with("Content-Range", "bytes */"+strconv.FormatInt(f.content.size, 10))
	}
	rep.status, rep.size = http.StatusPartialContent, to-from
	rep.body = io.LimitReader(&fileReader{seg: f.content, off: from}, to-from)
	return rep.with("Content-Range", "bytes "+strconv.FormatInt(from, 10)+"-"+strconv.FormatInt(to-1, 10)+"/"+
		strconv.FormatInt(f.content.size, 10))
}

// byteRange reads "bytes=a-b", "bytes=a-" and "bytes=-n"; anything else counts as no range. The end is exclusive.
func byteRange(h string, size int64) (from, to int64, ok bool) {
	spec, found := strings.CutPrefix(h, "bytes=")
	lo, hi, dash := strings.Cut(spec, "-")
	if !found || !dash || strings.Contains(spec, ",") {
		return 0, 0, false
	}
	if lo == "" {
		n, err := strconv.ParseInt(hi, 10, 64)
		return max(0, size-n), size, err == nil && n > 0
	}
	from, err := strconv.ParseInt(lo, 10, 64)
	if err != nil || from < 0 {
		return 0, 0, false
	}
	if hi == "" {
		return from, size, true
	}
	last, err := strconv.ParseInt(hi, 10, 64)
	if err != nil || last < from {
		return 0, 0, false
	}
	return from, min(last+1, size), true
}

func contentType(name string) string {
	switch {
	case strings.HasSuffix(name, ".json"):
		return "application/json"
	case strings.HasSuffix(name, ".txt"), strings.HasSuffix(name, ".properties"), strings.HasSuffix(name, ".log"):
		return "text/plain"
	case strings.HasSuffix(name, ".yml"), strings.HasSuffix(name, ".yaml"):
		return "text/yaml"
	case strings.HasSuffix(name, ".html"):
		return "text/html"
	}
	return "application/octet-stream"
}
