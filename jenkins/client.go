package jenkins

import (
	"context"
	"fmt"

	"github.com/bndr/gojenkins"
)

// A Client talks to one Jenkins as one user. It is safe for concurrent use; builds, downloads and whatever else shares it
// also share its request budget. Make one with [New] or [Connect].
type Client struct {
	r    *requester
	api  *gojenkins.Jenkins
	opts Options
	free func()

	board *board
	logs  chan struct{} // held while a piece of a log is in memory
}

// logsAtOnce is how many pieces of logs may be in memory at once, a few megabytes each at most.
const logsAtOnce = 8

// New returns a client without talking to Jenkins yet, so that a program can start while Jenkins is down. The error lists
// everything that is wrong with the options.
func New(o Options) (*Client, error) {
	base, err := o.base()
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	transport, free := o.transport()
	r := newRequester(base, o, transport)
	api := gojenkins.CreateJenkins(r.http, base.String())
	api.Requester = r
	return &Client{r: r, api: api, opts: o, free: free, board: newBoard(r), logs: make(chan struct{}, logsAtOnce)}, nil
}

// Connect returns a client once Jenkins has answered it and accepted its credentials. The error is that of [New], a
// [StatusError] or a [RequestError].
func Connect(ctx context.Context, o Options) (*Client, error) {
	c, err := New(o)
	if err != nil {
		return nil, err
	}
	if _, err := c.Ping(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Server says which Jenkins answered.
type Server struct {
	Version  string // as in "2.528.3"
	Session  string // changes whenever Jenkins restarts
	User     string // whom Jenkins takes us for; empty for anonymous
	Quieting bool   // Jenkins accepts builds, but starts none: it is about to restart
}

// Ping asks Jenkins who it is and whom it takes us for. Its error is a [StatusError] or a [RequestError].
func (c *Client) Ping(ctx context.Context) (Server, error) {
	var root struct {
		Class    string `json:"_class"`
		Quieting bool   `json:"quietingDown"`
	}
	a, err := c.r.getJSON(ctx, "", "quietingDown", nil, &root)
	if err != nil {
		return Server{}, err
	}
	if a.header.Get("X-Jenkins") == "" {
		return Server{}, fmt.Errorf("jenkins: %s: answers, but is no Jenkins: there is no X-Jenkins header; check the URL and its path prefix", c.r.base)
	}
	return Server{
		Version: a.header.Get("X-Jenkins"), Session: a.header.Get("X-Jenkins-Session"), User: c.opts.User, Quieting: root.Quieting,
	}, nil
}

// Gojenkins returns the gojenkins client that sits on the same connection, credentials, limits and typed errors, for
// what this package does not offer. Not all of gojenkins is fit for use: its Init and InvokeSimple, for instance, write to package
// variables and lose builds.
func (c *Client) Gojenkins() *gojenkins.Jenkins { return c.api }

// Close frees idle connections. The client can still be used.
func (c *Client) Close() { c.free() }
