package kubelet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// crashAfter is how long a crashing container runs.
	crashAfter = 50 * time.Millisecond
	// shutdownAgain is when a server that is shut down looks once more for requests.
	shutdownAgain = 50 * time.Millisecond
)

// serve is one run of the container. It returns the exit code when the run ended
// by itself, and 0 when life ended; the server is down when it returns.
func (c *container) serve(ctx, life context.Context) int32 {
	logs := newLogBuffer()
	defer logs.close()
	c.mu.Lock()
	c.logs = logs
	c.mu.Unlock()
	logs.printf("starting %s as %s", c.spec.Image, c.p.ip)

	server := &http.Server{Handler: c, ReadHeaderTimeout: 10 * time.Second}
	listeners, err := c.listen()
	if err != nil {
		logs.printf("fatal: %v", err)
		c.running(false)
		return 1
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer server.Close()
	for _, l := range listeners {
		logs.printf("listening on %s", l.Addr())
		wg.Go(func() {
			if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				logs.printf("serve: %v", err)
			}
		})
	}
	willBeReady := !c.b.neverReady && !c.b.crash
	c.running(willBeReady && c.b.readyDelay == 0)
	if !willBeReady {
		c.event(v1.EventTypeWarning, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
	}

	ready, end := timer(willBeReady && c.b.readyDelay > 0, c.b.readyDelay), timer(c.b.ends, c.b.runFor)
	crash := timer(c.b.crash, crashAfter)
	for {
		select {
		case <-ready:
			c.set(func(s *v1.ContainerStatus) { s.Ready = true })
		case <-crash:
			logs.printf("panic: told to crash by the image tag or an annotation")
			logs.printf("exit status 1")
			return 1
		case <-end:
			logs.printf("done: exit status %d", c.b.exitCode)
			return c.b.exitCode
		case <-life.Done():
			c.drain(ctx, server, logs)
			return 0
		}
	}
}

// timer returns a channel that receives after d, or never when it is off.
func timer(on bool, d time.Duration) <-chan time.Time {
	if !on {
		return nil
	}
	return time.After(d)
}

// listen opens the TCP ports of the container on the pod's address.
func (c *container) listen() ([]net.Listener, error) {
	var listeners []net.Listener
	for _, port := range c.spec.Ports {
		if port.Protocol != "" && port.Protocol != v1.ProtocolTCP {
			continue
		}
		l, err := net.Listen("tcp", net.JoinHostPort(c.p.ip.String(), strconv.Itoa(int(port.ContainerPort))))
		if err != nil {
			for _, open := range listeners {
				open.Close()
			}
			return nil, err
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// running notes that a run began.
func (c *container) running(ready bool) {
	c.event(v1.EventTypeNormal, "Started", "Container started")
	c.set(func(s *v1.ContainerStatus) {
		started := true
		s.State = v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.Now()}}
		s.Started, s.Ready = &started, ready
		s.ImageID = c.image.id()
		s.ContainerID = fmt.Sprintf("process://%s/%s/%d", c.p.first.UID, c.spec.Name, s.RestartCount)
	})
}

// drain goes on serving for the drain time and then finishes what is in flight,
// all within the grace time.
func (c *container) drain(ctx context.Context, server *http.Server, logs *logBuffer) {
	select {
	case <-c.told:
	default:
		return // not told to end: the object or the kubelet is gone
	}
	logs.printf("told to end, serving for another %s", c.b.drain)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(c.grace.Load()))
	defer cancel()
	if pause(ctx, c.b.drain) {
		_ = server.Shutdown(ctx) // an error means that the grace time is over; Close follows
		// The server does not know of a connection yet that it accepts at that moment.
		if pause(ctx, shutdownAgain) {
			_ = server.Shutdown(ctx)
		}
	}
	logs.printf("ended")
}

// ServeHTTP answers with who it is.
func (c *container) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := c.served.Add(1)
	if c.b.latency > 0 && !pause(r.Context(), c.b.latency) {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)) // an answer before the request's end may break the client's write
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("X-Image", c.spec.Image)
	header.Set("X-Version", c.image.version())
	header.Set("X-Pod", c.p.first.Name)
	// Errors are spread evenly: of any 100 answers in a row errPercent are errors.
	percent := int64(c.b.errPercent)
	if n*percent/100 != (n-1)*percent/100 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = io.WriteString(w, c.spec.Image+" "+c.p.first.Name+"\n")
}
