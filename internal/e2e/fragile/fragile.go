// Package fragile makes connections that break.
package fragile

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
)

// Network breaks connections after a number of bytes in both directions together, as long as there are breaks left.
type Network struct {
	// After is how many bytes a connection lasts.
	After int64
	// Breaks is how many connections are still to break. It is negative when one more would have been broken.
	Breaks atomic.Int64
}

// Use has a transport dial over the network. It falls back to HTTP/1.1, with a connection for each body.
func (n *Network) Use(t *http.Transport) *http.Transport {
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c, network: n}, nil
	}
	return t
}

type conn struct {
	net.Conn
	network *Network
	used    atomic.Int64
}

// pass counts bytes, and breaks the connection when its time has come.
func (c *conn) pass(n int) error {
	if c.used.Add(int64(n)) > c.network.After && c.network.Breaks.Add(-1) >= 0 {
		return errors.Join(syscall.ECONNRESET, c.Conn.Close())
	}
	return nil
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if cut := c.pass(n); cut != nil {
		return 0, cut
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) {
	if cut := c.pass(len(p)); cut != nil {
		return 0, cut
	}
	return c.Conn.Write(p)
}
