package stage

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Verify adds a stage that judges a release. Any outcome but Pass fails it;
// with Retry it is judged again.
func Verify(b *pipeline.Builder, id string, v Verifier, r pipeline.Ref[Release], opts ...Option) pipeline.Ref[Verdict] {
	validate(b, id, v)
	return Run(b, id, Func(v.Kind(), func(c *Ctx, in Release) (Verdict, error) {
		verdict, err := v.Exec(c, in)
		if err == nil && verdict.Outcome != Pass {
			err = fmt.Errorf("verification of %q in %q: %s: %s", in.Set, in.Environment, verdict.Outcome, verdict.Reason)
		}
		return verdict, err
	}), r, opts...)
}

// HTTPCheck is a Verifier that asks a release's HTTP endpoint until it has seen
// enough good answers in a row.
type HTTPCheck struct {
	// URL returns what to ask; nil means the release's first endpoint and Path.
	URL func(Release) string
	// Path is added to the first endpoint; default "/".
	Path string
	// Header is sent with each request.
	Header http.Header
	// Status is the wanted status; 0 means any 2xx.
	Status int
	// Contains must occur in the first MiB of the body; empty means anything does.
	Contains string
	// Samples is how many good answers in a row pass; default 3.
	Samples int
	// Interval lies between two requests; default 1 s.
	Interval time.Duration
	// Patience is how long to wait for Samples good answers; default 1 min. A
	// check that got no answer at all until then ends as NoData.
	Patience time.Duration
	// Client makes the requests; nil means one with a timeout of 10 s that follows
	// no redirects.
	Client *http.Client
}

// Kind implements Task.
func (h HTTPCheck) Kind() string { return "http.check/v1" }

// Validate reports negative settings.
func (h HTTPCheck) Validate() error {
	if h.Samples < 0 || h.Interval < 0 || h.Patience < 0 || h.Status < 0 {
		return fmt.Errorf("HTTPCheck: negative setting")
	}
	return nil
}

// Exec implements Task.
func (h HTTPCheck) Exec(c *Ctx, r Release) (Verdict, error) {
	url, err := h.url(r)
	if err != nil {
		return Verdict{}, Permanent(err)
	}
	ctx, cancel := context.WithTimeout(c, orDefault(h.Patience, time.Minute))
	defer cancel()
	wanted, good, answers := h.Samples, 0, 0
	if wanted == 0 {
		wanted = 3
	}
	why := ""
	for {
		answered, problem := h.ask(ctx, url)
		if c.Err() != nil {
			return Verdict{}, context.Cause(c)
		}
		if answered {
			answers++
		}
		if problem == "" {
			good++
			c.Progress("%s: %d of %d good answers", url, good, wanted)
		} else {
			if problem != why {
				c.Progress("%s: %s", url, problem)
			}
			good, why = 0, problem
		}
		if good == wanted {
			return Verdict{Outcome: Pass, Reason: fmt.Sprintf("%d good answers in a row from %s", good, url),
				Evidence: map[string]string{"url": url}}, nil
		}
		select {
		case <-time.After(orDefault(h.Interval, time.Second)):
		case <-ctx.Done():
			v := Verdict{Outcome: Fail, Reason: why, Evidence: map[string]string{"url": url}}
			if answers == 0 {
				v.Outcome = NoData
			}
			return v, nil
		}
	}
}

func (h HTTPCheck) url(r Release) (string, error) {
	if h.URL != nil {
		return h.URL(r), nil
	}
	if len(r.Endpoints) == 0 {
		return "", fmt.Errorf("HTTPCheck: the release in %q names no endpoint; set HTTPCheck.URL", r.Environment)
	}
	return strings.TrimSuffix(r.Endpoints[0], "/") + "/" + strings.TrimPrefix(h.Path, "/"), nil
}

// ask makes one request. It reports whether there was an answer, and what was
// wrong with it.
func (h HTTPCheck) ask(ctx context.Context, url string) (answered bool, problem string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false, err.Error()
	}
	for k, v := range h.Header {
		req.Header[k] = v
	}
	res, err := client(h.Client).Do(req)
	if err != nil {
		return false, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	switch {
	case err != nil:
		return true, err.Error()
	case h.Status != 0 && res.StatusCode != h.Status, h.Status == 0 && res.StatusCode/100 != 2:
		return true, "status " + res.Status
	case !strings.Contains(string(body), h.Contains):
		return true, fmt.Sprintf("the answer does not contain %q", h.Contains)
	}
	return true, ""
}

func client(c *http.Client) *http.Client {
	if c != nil {
		return c
	}
	return &http.Client{
		Timeout:       10 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func orDefault(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}
