package jenkinstest

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// reply is an answer whose body is read when it is sent, after the server's lock was given back.
type reply struct {
	status int
	header http.Header
	body   io.Reader
	size   int64 // of the body; -1: unknown, sent in chunks
}

func newReply(status int, contentType string, body []byte) *reply {
	r := &reply{status: status, header: http.Header{}, body: bytes.NewReader(body), size: int64(len(body))}
	if contentType != "" {
		r.header.Set("Content-Type", contentType)
	}
	return r
}

func empty(status int) *reply { return newReply(status, "", nil) }

func (r *reply) with(key, value string) *reply {
	r.header.Set(key, value)
	return r
}

// location answers with a Location header, which Jenkins makes from the request's own address.
func (c *call) location(status int, path string) *reply {
	return empty(status).with("Location", c.requestRoot()+"/"+path)
}

// requestRoot is the address under which the client sees Jenkins, without a trailing slash.
func (c *call) requestRoot() string {
	scheme, host := "http", c.r.Host
	if c.r.TLS != nil || c.r.URL.Scheme == "https" {
		scheme = "https"
	}
	if v := c.r.Header.Get("X-Forwarded-Proto"); v != "" {
		scheme = v
	}
	if v := c.r.Header.Get("X-Forwarded-Host"); v != "" {
		host = v
	}
	if host == "" {
		host = c.r.URL.Host
	}
	if v := c.r.Header.Get("X-Forwarded-Port"); v != "" && !strings.Contains(host, ":") {
		host += ":" + v
	}
	return scheme + "://" + host + c.s.url.Path
}

// root is the address from which Jenkins makes the url fields of its answers, with a trailing slash.
func (c *call) root() string {
	if c.s.opts.RootURL != "" {
		return c.s.opts.RootURL + "/"
	}
	return c.requestRoot() + "/"
}

// api answers …/api/json with a view, pruned by tree= or depth=. What follows after api/json does not matter.
func (c *call) api(rest []string, view func() any) *reply {
	if len(rest) < 2 || rest[0] != "api" || rest[1] != "json" {
		return c.notFound()
	}
	var p pruner
	if tree := c.param("tree"); tree != "" {
		t, err := parseTree(tree)
		if err != nil {
			return c.oops("jakarta.servlet.ServletException: " + err.Error())
		}
		p = t
	} else {
		depth := 0
		if d := c.param("depth"); d != "" {
			n, err := strconv.Atoi(d)
			if err != nil {
				return c.oops("jakarta.servlet.ServletException: Depth parameter must be a number")
			}
			depth = n
		}
		p = byDepth(1 - depth)
	}
	body := export(view(), p, c.param("pretty") == "true")
	r := newReply(http.StatusOK, "application/json;charset=utf-8", body)
	return r.with("X-Frame-Options", "deny")
}
