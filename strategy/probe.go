package strategy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Probe is a Judge that looks at the data plane itself: it sends requests as a
// user would and reads from a header of each response which version has answered.
// Use it for what comes after the switch, before the old version goes:
//
//	strategy.RedBlack{After: &strategy.Analysis{Name: "data plane"}, KeepOld: time.Hour}
//	judge := strategy.Judges{"data plane": strategy.Probe{URL: "https://shop.example.com/healthz"}}
//
// It makes n requests, each on a connection of its own, with
//
//	n = ⌈ ln(1 - Confidence) / ln(1 - Share) ⌉
//
// If a share of Share or more of the requests went elsewhere, and each request
// went there independently of the others, then all n would be answered by the new
// version with a probability of (1-Share)ⁿ ≤ 1 - Confidence. The zero Probe finds a
// hundredth with 99%: n = 459. It says nothing about connections that were there
// before the switch.
//
// The verdict is Pass if the new version has answered every request, Fail if
// something else has answered one or one has failed, NoData if no response has
// the header, and Inconclusive if time was too short. If every request fails, that
// is an error: nothing could be measured.
type Probe struct {
	URL string // http or https; GET is sent to it
	// Header is the one in which a version names itself. Zero means "X-Version".
	Header string
	// Version is what it says there. Nil means the version's id (Question.Canary),
	// which a pod on Kubernetes has as a label.
	Version func(Question) string
	// Confidence and Share are those of the formula, between 0 and 1. Zero means
	// 0.99 and 0.01.
	Confidence, Share float64
	// Parallel is how many requests are under way at once. Zero means 8.
	Parallel int
	// Timeout bounds a request. Zero means 5 seconds.
	Timeout time.Duration
	// Transport sends the requests; nil means one that keeps no connection.
	Transport http.RoundTripper
}

func (p Probe) withDefaults() Probe {
	p.Header = cmp.Or(p.Header, "X-Version")
	p.Confidence, p.Share = cmp.Or(p.Confidence, 0.99), cmp.Or(p.Share, 0.01)
	p.Parallel, p.Timeout = cmp.Or(p.Parallel, 8), cmp.Or(p.Timeout, 5*time.Second)
	if p.Version == nil {
		p.Version = func(q Question) string { return q.Canary }
	}
	return p
}

// Validate reports everything that is wrong with the Probe at once.
func (p Probe) Validate() error {
	p = p.withDefaults()
	var errs []error
	if u, err := url.Parse(p.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, fmt.Errorf("probe: URL: %q is none of http or https", p.URL))
	}
	for field, v := range map[string]float64{"Confidence": p.Confidence, "Share": p.Share} {
		if !(v > 0 && v < 1) {
			errs = append(errs, fmt.Errorf("probe: %s: %g is not between 0 and 1", field, v))
		}
	}
	if len(errs) == 0 && p.Requests() > maxProbes {
		errs = append(errs, fmt.Errorf("probe: Confidence, Share: they take %d requests, at most %d are made; be content with less", p.Requests(), maxProbes))
	}
	if p.Parallel < 0 || p.Timeout < 0 {
		errs = append(errs, errors.New("probe: Parallel, Timeout: negative"))
	}
	return errors.Join(errs...)
}

// maxProbes bounds the requests of one measurement.
const maxProbes = 100_000

// Requests is n of the formula.
func (p Probe) Requests() int {
	p = p.withDefaults()
	// The logarithm of 1-x for a small x is not what Log makes of a rounded 1-x.
	return int(math.Min(math.Ceil(math.Log1p(-p.Confidence)/math.Log1p(-p.Share)), math.MaxInt32))
}

// Judge implements Judge. An invalid Probe is a permanent error.
func (p Probe) Judge(ctx context.Context, q Question) (Verdict, error) {
	if err := p.Validate(); err != nil {
		return Verdict{}, &probeError{err}
	}
	p = p.withDefaults()
	if p.Transport == nil {
		t := &http.Transport{Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true}
		defer t.CloseIdleConnections()
		p.Transport = t
	}
	return p.verdict(p.send(ctx), p.Version(q), ctx.Err())
}

type probeError struct{ error }

func (e *probeError) Unwrap() error   { return e.error }
func (e *probeError) Permanent() bool { return true }

// answers are what came back, and how often.
type answers struct {
	versions map[string]int // by the header; "" if it was missing
	failed   int
	err      error // the first
	all      int
}

// send makes the requests, or as many as there is time for.
func (p Probe) send(ctx context.Context) answers {
	client := &http.Client{Transport: p.Transport, Timeout: p.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	got := answers{versions: map[string]int{}}
	var mu sync.Mutex
	var wg sync.WaitGroup
	left := make(chan struct{}, p.Requests())
	for range p.Requests() {
		left <- struct{}{}
	}
	close(left)
	for range p.Parallel {
		wg.Go(func() {
			for range left {
				version, err := p.request(ctx, client)
				if ctx.Err() != nil {
					return // it was cut short, which is nobody's fault
				}
				mu.Lock()
				got.add(version, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}

func (a *answers) add(version string, err error) {
	a.all++
	if err == nil {
		a.versions[version]++
		return
	}
	a.failed++
	if a.err == nil {
		a.err = err
	}
}

// request asks once.
func (p Probe) request(ctx context.Context, client *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL, nil)
	if err != nil {
		return "", err
	}
	req.Close = true
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 400 {
		return "", fmt.Errorf("status %d", resp.StatusCode)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.Header.Get(p.Header), err
}

// verdict judges what came back.
func (p Probe) verdict(got answers, want string, cut error) (Verdict, error) {
	n, good := p.Requests(), got.versions[want]
	var others []string
	for _, v := range slices.Sorted(maps.Keys(got.versions)) {
		if v != want {
			others = append(others, fmt.Sprintf("%d by %q", got.versions[v], v))
		}
	}
	switch {
	case got.all == 0 && cut != nil:
		return Verdict{}, fmt.Errorf("probe %s: %w", p.URL, cut)
	case got.failed == got.all:
		return Verdict{}, fmt.Errorf("probe %s: each of %d requests failed: %w", p.URL, got.all, got.err)
	case got.versions[""] == got.all-got.failed:
		return Verdict{NoData, fmt.Sprintf("no response has the header %s", p.Header)}, nil
	case len(others) > 0:
		return Verdict{Fail, fmt.Sprintf("of %d requests %d were answered by %q, %s", got.all, good, want, strings.Join(others, ", "))}, nil
	case got.failed > 0:
		return Verdict{Fail, fmt.Sprintf("%d of %d requests failed: %v", got.failed, got.all, got.err)}, nil
	case got.all < n:
		return Verdict{Inconclusive, fmt.Sprintf("there was time for %d of %d requests, all answered by %q", got.all, n, want)}, nil
	}
	return Verdict{Pass, fmt.Sprintf("all of %d requests were answered by %q", n, want)}, nil
}
