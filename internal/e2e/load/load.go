package load

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Options configures a load. URL is required.
type Options struct {
	// URL to request. Its host must be an address of this machine.
	URL string
	// Host is the Host header. Default: that of the URL.
	Host string
	// Method is GET or POST, see the package comment. Default GET.
	Method string
	// Header is added to each request.
	Header http.Header
	// Rate is requests per second. Default 200, at most 2000.
	Rate int
	// Workers bounds the requests in flight. Default 16.
	Workers int
	// KeepAlive reuses connections. Default: a new connection for each request, so
	// that each is balanced anew.
	KeepAlive bool
	// Timeout of one request. Default 5 s.
	Timeout time.Duration
	// MaxDuration and MaxRequests end the load. Default 2 min and 100,000.
	MaxDuration time.Duration
	MaxRequests int
}

func (o Options) withDefaults() Options {
	if o.Method == "" {
		o.Method = http.MethodGet
	}
	if o.Rate == 0 {
		o.Rate = 200
	}
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.Timeout == 0 {
		o.Timeout = 5 * time.Second
	}
	if o.MaxDuration == 0 {
		o.MaxDuration = 2 * time.Minute
	}
	if o.MaxRequests == 0 {
		o.MaxRequests = 100_000
	}
	return o
}

// validate refuses what could hurt somebody else's machine.
func (o Options) validate() error {
	target, err := url.Parse(o.URL)
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if o.Rate < 0 || o.Rate > 2000 {
		return fmt.Errorf("load: rate %d: want 1 to 2000 a second", o.Rate)
	}
	ip := net.ParseIP(target.Hostname())
	if ip == nil {
		return fmt.Errorf("load: %s: the host must be an IP address", o.URL)
	}
	// A local address is one that can be bound.
	probe, err := net.ListenPacket("udp", net.JoinHostPort(ip.String(), "0"))
	if err != nil {
		return fmt.Errorf("load: %s: not an address of this machine: %w", o.URL, err)
	}
	return probe.Close()
}

// Load is a running load.
type Load struct {
	o      Options
	client *http.Client
	cancel context.CancelFunc
	done   chan struct{}

	mu      sync.Mutex
	report  Report
	changed chan struct{} // closed and replaced with each answer
}

// Start starts a load. It ends when Stop is called, ctx ends or a limit is reached.
func Start(ctx context.Context, o Options) (*Load, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.MaxDuration)
	l := &Load{
		o: o, cancel: cancel, done: make(chan struct{}), report: newReport(), changed: make(chan struct{}),
		client: &http.Client{
			Timeout: o.Timeout,
			Transport: &http.Transport{
				DisableKeepAlives:   !o.KeepAlive,
				MaxIdleConnsPerHost: o.Workers,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	go l.run(ctx)
	return l, nil
}

// run ticks and hands each tick to a worker.
func (l *Load) run(ctx context.Context) {
	defer close(l.done)
	defer l.client.CloseIdleConnections()
	start := time.Now()
	work := make(chan struct{})
	var workers sync.WaitGroup
	for range l.o.Workers {
		workers.Go(func() {
			for range work {
				l.once(context.WithoutCancel(ctx))
			}
		})
	}
	ticker := time.NewTicker(time.Second / time.Duration(l.o.Rate))
	defer ticker.Stop()
	for n := 0; n < l.o.MaxRequests; n++ {
		select {
		case <-ctx.Done():
			n = l.o.MaxRequests
		case <-ticker.C:
			select {
			case work <- struct{}{}:
			default:
				l.note(func(r *Report) { r.Skipped++ })
			}
		}
	}
	close(work)
	workers.Wait()
	l.note(func(r *Report) { r.Took = time.Since(start) })
}

// once sends one request. Its time limit is the client's: a load that is stopped
// waits for what is in flight, so that no request is cut off by the load itself.
func (l *Load) once(ctx context.Context) {
	sent := time.Now()
	answer, err := l.send(ctx)
	l.note(func(r *Report) { r.add(sent, answer, err) })
}

// answer is what matters of a response.
type answer struct {
	status  int
	version string
	pod     string
}

func (l *Load) send(ctx context.Context) (answer, error) {
	var body io.Reader
	if l.o.Method != http.MethodGet {
		// A body that cannot be read twice: Go's client then never repeats a request.
		body = io.MultiReader(strings.NewReader("x"))
	}
	request, err := http.NewRequestWithContext(ctx, l.o.Method, l.o.URL, body)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		request.ContentLength = 1 // the body goes out with the header
	}
	for key, values := range l.o.Header {
		request.Header[key] = values
	}
	request.Host = l.o.Host
	response, err := l.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20)); err != nil {
		return answer{}, err
	}
	return answer{response.StatusCode, response.Header.Get("X-Version"), response.Header.Get("X-Pod")}, nil
}

// Stop ends the load, waits for the requests in flight and returns the report.
func (l *Load) Stop() Report {
	l.cancel()
	<-l.done
	return l.Report()
}

// Report returns what happened so far.
func (l *Load) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.report.clone()
}

// Until waits until the report satisfies want; it is looked at after each answer.
// An error has the report: ctx ended, or the load did, before.
func (l *Load) Until(ctx context.Context, want func(Report) bool) error {
	for {
		l.mu.Lock()
		report, changed := l.report.clone(), l.changed
		l.mu.Unlock()
		if want(report) {
			return nil
		}
		select {
		case <-changed:
		case <-l.done:
			if want(l.Report()) {
				return nil
			}
			return fmt.Errorf("load: ended without what was waited for: %s", l.Report())
		case <-ctx.Done():
			return fmt.Errorf("load: %w, without what was waited for: %s", context.Cause(ctx), report)
		}
	}
}

func (l *Load) note(change func(*Report)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.report)
	close(l.changed)
	l.changed = make(chan struct{})
}
