package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// Webhook is a Task that sends its input as JSON to a URL. The header
// Idempotency-Key carries Ctx.Key, so that a receiver can tell a repetition
// after a crash or a lost answer from a new request.
//
// A 2xx answer succeeds. 408, 429 and 5xx answers and network errors may be
// retried by the stage's Retry option, no sooner than Retry-After says; every
// other answer is permanent.
type Webhook[I any] struct {
	// URL is where to send; required. Credentials belong in Header, not here.
	URL string
	// Method defaults to POST.
	Method string
	// Header is sent along. It is not recorded.
	Header http.Header
	// Client makes the request; nil means one with a timeout of 10 s that follows
	// no redirects.
	Client *http.Client
}

// Answer is what a Webhook got.
type Answer struct {
	Status int `json:"status"`
	// Body is the answer, up to 64 KiB of it.
	Body string `json:"body,omitempty"`
}

// maxAnswer bounds the bytes of an Answer.
const maxAnswer = 64 << 10

// SendWebhook adds a stage that sends in by w.
func SendWebhook[I any](b *pipeline.Builder, id string, w Webhook[I], in pipeline.Ref[I], opts ...Option) pipeline.Ref[Answer] {
	return Run(b, id, Task[I, Answer](w), in, opts...)
}

// Kind implements Task.
func (w Webhook[I]) Kind() string { return "webhook/v1" }

// Validate reports an unusable URL.
func (w Webhook[I]) Validate() error {
	u, err := url.Parse(w.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return fmt.Errorf("webhook: want an http or https URL with a host")
	}
	return nil
}

// Exec implements Task.
func (w Webhook[I]) Exec(c *Ctx, in I) (Answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return Answer{}, Permanent(fmt.Errorf("webhook: input: %w", err))
	}
	method := w.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(c, method, w.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, Permanent(fmt.Errorf("webhook: %w", err))
	}
	req.Header.Set("Content-Type", "application/json")
	for k, v := range w.Header {
		req.Header[k] = v
	}
	req.Header.Set("Idempotency-Key", c.Key())
	res, err := client(w.Client).Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: %w", err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("webhook: answer: %w", err)
	}
	a := Answer{Status: res.StatusCode, Body: string(text)}
	if res.StatusCode/100 == 2 {
		return a, nil
	}
	err = Detailed(fmt.Errorf("webhook: %s %s: status %s", method, req.URL.Redacted(), res.Status), a.Body)
	switch {
	case res.StatusCode == http.StatusTooManyRequests, res.StatusCode == http.StatusRequestTimeout, res.StatusCode/100 == 5:
		return a, RetryAfter(retryAfter(res.Header), err)
	}
	return a, Permanent(err)
}

// retryAfter reads the header Retry-After in both of its forms.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil && s > 0 {
		return time.Duration(s) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(time.Until(t), 0)
	}
	return 0
}
