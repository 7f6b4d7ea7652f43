package jenkins

import (
	"html"
	"io"
	"net/http"
	"regexp"
	"strings"
)

const maxSnippet = 300

var (
	invisible = regexp.MustCompile(`(?is)<(script|style|head)\b.*?</(script|style|head)\s*>|<!--.*?-->`)
	tag       = regexp.MustCompile(`(?s)<[^>]*>`)
	titled    = regexp.MustCompile(`(?is)<title>(.*?)</title>`)
	blank     = regexp.MustCompile(`\s+`)
)

// snippet turns the beginning of an answer, mostly an HTML page, into a line for people.
func snippet(body []byte) string {
	text := strings.ToValidUTF8(string(body[:min(len(body), 16<<10)]), "")
	title := ""
	if m := titled.FindStringSubmatch(text); m != nil {
		title = m[1] + ": "
	}
	text = tag.ReplaceAllString(invisible.ReplaceAllString(text, " "), " ")
	text = strings.TrimSpace(blank.ReplaceAllString(html.UnescapeString(title+text), " "))
	text = strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return -1
		}
		return c
	}, text)
	return clip(strings.TrimSuffix(text, ":"), maxSnippet)
}

// clip bounds s to n bytes, at the border of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}

// peek reads the beginning of an error page, and returns a body from which it can be read again.
func peek(resp *http.Response) (string, io.ReadCloser) {
	page, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	return string(page), struct {
		io.Reader
		io.Closer
	}{strings.NewReader(string(page)), resp.Body}
}
