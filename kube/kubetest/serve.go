package kubetest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Server is a Cluster behind a loopback listener, for kubectl and for
// processes other than the test.
type Server struct {
	URL string

	c    *Cluster
	http *http.Server
	done chan error
}

// Serve answers on addr, e.g. "127.0.0.1:0" for a free port, which is what ""
// means. It speaks plain HTTP and believes everybody: use loopback addresses.
// Close the server before the cluster.
func (c *Cluster) Serve(addr string) (*Server, error) {
	l, err := net.Listen("tcp", cmpOr(addr, "127.0.0.1:0"))
	if err != nil {
		return nil, fmt.Errorf("kubetest: serve: %w", err)
	}
	s := &Server{URL: "http://" + l.Addr().String(), c: c, http: &http.Server{Handler: c}, done: make(chan error, 1)}
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// Config returns a client configuration that goes through the listener.
func (s *Server) Config() *rest.Config { return &rest.Config{Host: s.URL, QPS: -1} }

// WriteKubeconfig writes a kubeconfig file that kubectl accepts.
func (s *Server) WriteKubeconfig(path string) error {
	const name = "kubetest"
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters[name] = &clientcmdapi.Cluster{Server: s.URL}
	cfg.AuthInfos[name] = clientcmdapi.NewAuthInfo()
	cfg.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name, Namespace: "default"}
	cfg.CurrentContext = name
	raw, err := clientcmd.Write(*cfg)
	if err != nil {
		return fmt.Errorf("kubetest: kubeconfig %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("kubetest: kubeconfig %s: %w", path, err)
	}
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		return fmt.Errorf("kubetest: kubeconfig %s: %w", path, err)
	}
	return nil
}

// Close ends the listener and every connection, open watches included.
func (s *Server) Close() error {
	err := s.http.Close()
	if served := <-s.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// ServeHTTP answers API requests, so that a Cluster can be mounted in any
// HTTP server.
func (c *Cluster) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ans, err := c.answer(r.Context(), r)
	if err != nil {
		// A lost request or reply: the client sees the connection break.
		panic(http.ErrAbortHandler)
	}
	for k, v := range ans.header {
		w.Header()[k] = v
	}
	w.WriteHeader(ans.code)
	if ans.stream == nil {
		_, _ = w.Write(ans.body)
		return
	}
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	_ = ans.stream(r.Context(), flushing{w, flush})
}

// flushing sends every event at once.
type flushing struct {
	w     http.ResponseWriter
	flush *http.ResponseController
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.flush.Flush()
}
