package kubetest

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Fault makes requests go wrong. The empty string in a field that chooses
// requests matches everything.
type Fault struct {
	Verb        string // get, list, watch, create, update, patch, delete, deletecollection
	Resource    string // plural, e.g. "deployments"
	Subresource string // "status", "scale"; "" is the object itself and every subresource
	Namespace   string
	Name        string
	Manager     string             // field manager
	Match       func(Request) bool // nil matches; Code is not set yet

	Skip  int // lets the first n matching requests through
	Times int // strikes n times, then is spent; zero means for ever

	// What happens. Delay comes first, then at most one of the others.
	Delay       time.Duration
	Code        int           // answered instead: 409, 429, 500, 503, ...
	Message     string        // of the answer; empty means a plausible one
	RetryAfter  time.Duration // of the answer, in whole seconds
	LoseRequest bool          // connection reset before anything happened
	LoseReply   bool          // connection reset after the request took effect
	Stale       time.Duration // a get or list answers with the state of that long ago
	DropAfter   time.Duration // a watch ends after that long
}

type fault struct {
	Fault
	seen, struck int
}

// Inject makes matching requests go wrong until remove is called. Of several
// faults that match, the first injected strikes.
func (c *Cluster) Inject(f Fault) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	added := &fault{Fault: f}
	c.faults = append(c.faults, added)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.faults = slices.DeleteFunc(c.faults, func(g *fault) bool { return g == added })
	}
}

// strike returns the fault that hits a request, nil for none.
func (c *Cluster) strike(r Request) *fault {
	for _, f := range c.faults {
		if !f.matches(r) || f.Times > 0 && f.struck >= f.Times {
			continue
		}
		f.seen++
		if f.seen <= f.Skip {
			continue
		}
		f.struck++
		return f
	}
	return nil
}

func (f *fault) matches(r Request) bool {
	for _, p := range [][2]string{
		{f.Verb, r.Verb}, {f.Resource, r.Resource}, {f.Subresource, r.Subresource},
		{f.Namespace, r.Namespace}, {f.Name, r.Name}, {f.Manager, r.Manager},
	} {
		if p[0] != "" && p[0] != p[1] {
			return false
		}
	}
	return f.Match == nil || f.Match(r)
}

// faulted performs a call under the faults and logs it.
func (c *Cluster) faulted(ctx context.Context, cl *call, method string) (*answer, error) {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	if err := cl.setVerb(method); err != nil {
		c.mu.Unlock()
		return failure(err), nil
	}
	cl.fault = c.strike(cl.request())
	c.mu.Unlock()

	if cl.fault != nil {
		if err := c.wait(ctx, cl.fault.Delay); err != nil {
			return nil, err
		}
		if cl.fault.LoseRequest {
			c.log(cl, 0)
			return nil, reset(cl)
		}
		if cl.fault.Code != 0 {
			c.log(cl, cl.fault.Code)
			return failure(cl.fault.status(cl)), nil
		}
	}
	ans, err := c.perform(cl, method)
	if err != nil {
		return nil, err
	}
	if cl.fault != nil && cl.fault.LoseReply {
		return nil, reset(cl)
	}
	return ans, nil
}

func (c *Cluster) perform(cl *call, method string) (*answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	ans, err := c.dispatch(cl, method)
	if err != nil {
		ans = failure(err)
	}
	c.logLocked(cl, ans.code)
	return ans, nil
}

// wait lets time pass for a delayed request.
func (c *Cluster) wait(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return ErrClosed
	}
}

func reset(cl *call) error {
	return fmt.Errorf("kubetest: %s %s: %w", cl.verb, cl.resource, syscall.ECONNRESET)
}

// status is the answer of a fault with a code.
func (f *fault) status(cl *call) error {
	gr := groupResource(cl.group, cl.resource)
	after := int(f.RetryAfter.Round(time.Second) / time.Second)
	var err *apierrors.StatusError
	switch f.Code {
	case http.StatusConflict:
		err = apierrors.NewConflict(gr, cl.name, fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	case http.StatusTooManyRequests:
		err = apierrors.NewTooManyRequests("The server is currently unable to handle the request", max(after, 1))
	case http.StatusInternalServerError:
		err = apierrors.NewInternalError(fmt.Errorf("etcdserver: leader changed"))
	case http.StatusServiceUnavailable:
		err = apierrors.NewServiceUnavailable("apiserver is shutting down")
	default:
		err = apierrors.NewGenericServerResponse(f.Code, cl.verb, gr, cl.name, "injected", after, false)
	}
	if after > 0 {
		if err.ErrStatus.Details == nil {
			err.ErrStatus.Details = &metav1.StatusDetails{}
		}
		err.ErrStatus.Details.RetryAfterSeconds = int32(after)
	}
	if f.Message != "" {
		err.ErrStatus.Message = f.Message
	}
	return err
}

func (c *Cluster) staleness(cl *call) time.Duration {
	if cl.fault == nil {
		return 0
	}
	return cl.fault.Stale
}

func (c *Cluster) dropAfter(cl *call) time.Duration {
	if cl.fault == nil {
		return 0
	}
	return cl.fault.DropAfter
}
