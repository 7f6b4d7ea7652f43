package kubelet

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// logServer makes the server that the API server reads pod logs from. Clients
// prove themselves with a certificate; nobody else is answered.
func (k *Kubelet) logServer() (*http.Server, net.Listener, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(k.o.IP.String(), strconv.Itoa(Port)))
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", k.containerLogs)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // handshakes cut short at the end are no news
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{k.o.Certificate},
			ClientCAs:    k.o.ClientCA,
			ClientAuth:   tls.RequireAndVerifyClientCert,
			MinVersion:   tls.VersionTLS12,
		},
	}
	return server, listener, nil
}

// containerLogs answers GET /containerLogs/NAMESPACE/POD/CONTAINER with the
// parameters of the API's pod log subresource.
func (k *Kubelet) containerLogs(w http.ResponseWriter, r *http.Request) {
	p := k.find(r.PathValue("namespace"), r.PathValue("pod"))
	if p == nil {
		http.Error(w, fmt.Sprintf("pod %q not found", r.PathValue("pod")), http.StatusNotFound)
		return
	}
	var c *container
	for _, one := range p.containers {
		if one.spec.Name == r.PathValue("container") {
			c = one
		}
	}
	if c == nil {
		http.Error(w, fmt.Sprintf("container %q not found in pod %q", r.PathValue("container"), p.first.Name), http.StatusNotFound)
		return
	}
	query := r.URL.Query()
	logs, err := c.logsOf(query.Get("previous") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	copyLogs(w, r, logs, query)
}

// logsOf picks the buffer, or says in a kubelet's words why there is none.
func (c *container) logsOf(previous bool) (*logBuffer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case previous && c.previous == nil:
		return nil, fmt.Errorf("previous terminated container %q in pod %q not found", c.spec.Name, c.p.first.Name)
	case previous:
		return c.previous, nil
	case c.logs == nil && c.state.State.Waiting != nil:
		return nil, fmt.Errorf("container %q in pod %q is waiting to start: %s", c.spec.Name, c.p.first.Name, waitReason(c.state.State.Waiting.Reason))
	case c.logs == nil:
		return nil, fmt.Errorf("container %q in pod %q is not available", c.spec.Name, c.p.first.Name)
	}
	return c.logs, nil
}

// waitReason turns the reason of a failed pull into the words that kubectl users know.
func waitReason(reason string) string {
	switch reason {
	case "ErrImagePull":
		return "image can't be pulled"
	case "ImagePullBackOff":
		return "trying and failing to pull image"
	}
	return reason
}

// copyLogs writes the lines that the query asks for, and the following ones when
// it asks to follow.
func copyLogs(w http.ResponseWriter, r *http.Request, logs *logBuffer, query url.Values) {
	lines, next, closed, changed := logs.after(0)
	lines = since(lines, query)
	if n, err := strconv.Atoi(query.Get("tailLines")); err == nil && n >= 0 && n < len(lines) {
		lines = lines[len(lines)-n:]
	}
	left := int64(1 << 30)
	if n, err := strconv.ParseInt(query.Get("limitBytes"), 10, 64); err == nil && n >= 0 {
		left = n
	}
	flusher := http.NewResponseController(w)
	for {
		for _, line := range lines {
			text := line.text + "\n"
			if query.Get("timestamps") == "true" {
				text = line.at.UTC().Format(time.RFC3339Nano) + " " + text
			}
			text = text[:min(int64(len(text)), left)]
			left -= int64(len(text))
			if _, err := io.WriteString(w, text); err != nil {
				return
			}
		}
		_ = flusher.Flush() // the next write tells when the reader is gone
		if query.Get("follow") != "true" || closed || left == 0 {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-changed:
		}
		lines, next, closed, changed = logs.after(next)
	}
}

// since drops the lines before sinceTime or sinceSeconds.
func since(lines []logLine, query url.Values) []logLine {
	var from time.Time
	if at, err := time.Parse(time.RFC3339, query.Get("sinceTime")); err == nil {
		from = at
	}
	if n, err := strconv.Atoi(query.Get("sinceSeconds")); err == nil {
		from = time.Now().Add(-time.Duration(n) * time.Second)
	}
	for len(lines) > 0 && lines[0].at.Before(from) {
		lines = lines[1:]
	}
	return lines
}
