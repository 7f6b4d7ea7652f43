package kubetest

import (
	"slices"
	"time"
)

// Request is one API request that a client made. What the cluster's own
// controllers do is not in the log; see Options.OnWrite.
type Request struct {
	Time        time.Time
	Verb        string // get, list, watch, create, update, patch, delete, deletecollection
	Group       string
	Resource    string // plural
	Subresource string
	Namespace   string
	Name        string // empty for list, watch of many and create
	Manager     string // field manager, or the client's program name
	DryRun      bool
	Code        int // of the answer; 0 when the request was lost
}

// Requests returns the requests so far, in order of their answers.
func (c *Cluster) Requests() []Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.requests)
}

// ResetRequests empties the request log.
func (c *Cluster) ResetRequests() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = nil
}

func (cl *call) request() Request {
	return Request{
		Time: cl.received, Verb: cl.verb, Group: cl.group, Resource: cl.resource, Subresource: cl.sub,
		Namespace: cl.ns, Name: cl.name, Manager: cl.manager(), DryRun: cl.dryRun(),
	}
}

func (c *Cluster) log(cl *call, code int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.logLocked(cl, code)
}

func (c *Cluster) logLocked(cl *call, code int) {
	r := cl.request()
	r.Code = code
	c.requests = append(c.requests, r)
}
