package jenkinstest

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxForm bounds the request bodies that the simulator reads.
const maxForm = 32 << 20

// call is a request on its way through Jenkins.
type call struct {
	s    *Server
	r    *http.Request
	body []byte
	// params are the query and the form together, as the servlet API has it.
	params url.Values
	files  map[string]string
	who    identity
	now    time.Time
	cookie string // session opened by this request
	// exception is what Jenkins logged about a request that it answered with 500.
	exception string
}

func newCall(s *Server, r *http.Request) *call {
	c := &call{s: s, r: r, params: url.Values{}, files: map[string]string{}}
	for k, v := range r.URL.Query() {
		c.params[k] = append(c.params[k], v...)
	}
	if r.Body == nil {
		return c
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxForm))
	r.Body.Close()
	c.body = body
	if err != nil || r.Method != http.MethodPost {
		return c
	}
	kind, opts, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded":
		form, _ := url.ParseQuery(string(body))
		for k, v := range form {
			c.params[k] = append(c.params[k], v...)
		}
	case "multipart/form-data":
		c.readMultipart(opts["boundary"])
	}
	return c
}

func (c *call) readMultipart(boundary string) {
	form, err := multipart.NewReader(bytes.NewReader(c.body), boundary).ReadForm(maxForm)
	if err != nil {
		return
	}
	for k, v := range form.Value {
		c.params[k] = append(c.params[k], v...)
	}
	for k, headers := range form.File {
		for _, h := range headers {
			f, err := h.Open()
			if err != nil {
				continue
			}
			content, err := io.ReadAll(f)
			f.Close()
			if err == nil {
				c.files[k] = string(content)
			}
		}
	}
}

func (c *call) param(name string) string { return c.params.Get(name) }

// segments splits the path below the context path as Stapler does: empty elements vanish, each one is decoded. It
// returns false when the path lies outside of the context path.
func (c *call) segments() ([]string, bool) {
	p := c.r.URL.EscapedPath()
	if ctx := c.s.url.Path; ctx != "" {
		rest, ok := strings.CutPrefix(p, ctx)
		if !ok || rest != "" && rest[0] != '/' {
			return nil, false
		}
		p = rest
	}
	var out []string
	for _, part := range strings.FieldsFunc(p, func(r rune) bool { return r == '/' || r == '\\' }) {
		s, err := url.PathUnescape(part)
		if err != nil {
			s = part
		}
		out = append(out, s)
	}
	return out, true
}

// handle answers one request completely. It is called under the server's lock.
func (c *call) handle() *reply {
	segs, ok := c.segments()
	if !ok {
		return c.jettyError(http.StatusNotFound, "Not Found")
	}
	for _, s := range segs {
		if s == ".." {
			return c.jettyError(http.StatusBadRequest, "Ambiguous URI path segment")
		}
	}
	if c.s.opts.RejectDoubleSlashes && strings.Contains(c.r.URL.EscapedPath(), "//") {
		return newReply(http.StatusBadRequest, "text/plain;charset=utf-8", []byte("API requests can't contain double slashes"))
	}
	if r := c.phasePage(); r != nil {
		return r
	}
	r := c.answer(segs)
	r.header.Set("X-Content-Type-Options", "nosniff")
	r.header.Set("X-Jenkins", c.s.opts.Version)
	r.header.Set("X-Jenkins-Session", c.s.session)
	r.header.Set("X-Hudson", "1.395")
	if c.cookie != "" {
		r.header.Add("Set-Cookie", c.cookie)
	}
	return r
}

func (c *call) answer(segs []string) *reply {
	if r := c.authenticate(); r != nil {
		return r
	}
	if r := c.checkCrumb(); r != nil {
		return r
	}
	return c.route(segs)
}
