package kubetest

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxBody is the largest request the cluster reads, like a genuine server.
const maxBody = 3 << 20

// call is one API request, taken apart.
type call struct {
	verb        string
	res         *resource
	group       string
	version     string
	resource    string
	ns, name    string
	sub         string
	query       url.Values
	contentType string
	accept      string
	agent       string
	body        []byte
	received    time.Time
	fault       *fault
}

// path takes /api/v1/... or /apis/GROUP/VERSION/... apart; ok is false for
// any other path.
func (cl *call) path(p string) bool {
	parts := strings.Split(strings.Trim(p, "/"), "/")
	switch {
	case len(parts) >= 3 && parts[0] == "api":
		cl.version, parts = parts[1], parts[2:]
	case len(parts) >= 4 && parts[0] == "apis":
		cl.group, cl.version, parts = parts[1], parts[2], parts[3:]
	default:
		return false
	}
	if parts[0] == "namespaces" && len(parts) >= 3 && !namespaceSub(parts) {
		cl.ns, parts = parts[1], parts[2:]
	}
	if len(parts) > 3 && parts[2] != "proxy" {
		return false
	}
	cl.resource = parts[0]
	if len(parts) > 1 {
		cl.name = parts[1]
	}
	if len(parts) > 2 {
		cl.sub = parts[2]
	}
	return true
}

// namespaceSub tells /namespaces/x/status from /namespaces/x/pods.
func namespaceSub(parts []string) bool {
	return len(parts) == 3 && (parts[2] == "status" || parts[2] == "finalize")
}

func (cl *call) setVerb(method string) error {
	switch method {
	case http.MethodGet, http.MethodHead:
		cl.verb = "get"
		if w := cl.query.Get("watch"); w == "true" || w == "1" {
			cl.verb = "watch"
		} else if cl.name == "" {
			cl.verb = "list"
		}
	case http.MethodPost:
		cl.verb = "create"
	case http.MethodPut:
		cl.verb = "update"
	case http.MethodPatch:
		cl.verb = "patch"
	case http.MethodDelete:
		cl.verb = "delete"
		if cl.name == "" {
			cl.verb = "deletecollection"
		}
	default:
		return apierrors.NewMethodNotSupported(groupResource(cl.group, cl.resource), strings.ToLower(method))
	}
	return nil
}

// manager is the field manager: named, or the client's program as the API
// server derives it from the user agent.
func (cl *call) manager() string {
	if m := cl.query.Get("fieldManager"); m != "" {
		return m
	}
	program, _, _ := strings.Cut(cl.agent, "/")
	if program == "" {
		return "unknown"
	}
	return program[:min(len(program), 128)]
}

func (cl *call) dryRun() bool { return cl.query.Get("dryRun") == "All" }

func (cl *call) media() string {
	m, _, _ := strings.Cut(cl.contentType, ";")
	return strings.TrimSpace(m)
}

func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	if err != nil {
		return nil, apierrors.NewBadRequest("read request body: " + err.Error())
	}
	if len(body) > maxBody {
		return nil, apierrors.NewRequestEntityTooLargeError("limit is 3145728")
	}
	return body, nil
}
