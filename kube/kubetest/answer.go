package kubetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// answer is one HTTP response: a body, or a stream.
type answer struct {
	code   int
	header http.Header
	body   []byte
	stream func(context.Context, io.Writer) error
}

func jsonAnswer(code int, v any) *answer {
	raw, ok := v.([]byte)
	if !ok {
		raw = mustJSON(v)
	}
	return &answer{code: code, body: raw, header: http.Header{"Content-Type": {"application/json"}}}
}

// failure is the answer that carries an error as a Status object.
func failure(err error) *answer {
	status := metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusInternalServerError,
		Message: err.Error(),
	}
	var api apierrors.APIStatus
	if errors.As(err, &api) {
		status = api.Status()
	}
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	ans := jsonAnswer(int(status.Code), status)
	if status.Details != nil && status.Details.RetryAfterSeconds > 0 {
		ans.header.Set("Retry-After", strconv.Itoa(int(status.Details.RetryAfterSeconds)))
	}
	return ans
}

// answer takes a request through faults, dispatch and the request log.
func (c *Cluster) answer(ctx context.Context, r *http.Request) (*answer, error) {
	body, err := readBody(r)
	if err != nil {
		return failure(err), nil
	}
	q := r.URL.Query()
	cl := &call{
		query:       q,
		contentType: r.Header.Get("Content-Type"),
		accept:      r.Header.Get("Accept"),
		agent:       r.UserAgent(),
		body:        body,
		received:    now(),
	}
	if !cl.path(r.URL.Path) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return nil, ErrClosed
		}
		return c.other(r.URL.Path, cl), nil
	}
	return c.faulted(ctx, cl, r.Method)
}

// dispatch performs a call on the store.
func (c *Cluster) dispatch(cl *call, method string) (*answer, error) {
	cl.res = c.registry.find(cl.group, cl.version, cl.resource)
	if cl.res == nil {
		if ans, ok := c.review(cl, method); ok {
			return ans, nil
		}
		return nil, noResource(cl)
	}
	if cl.res.namespaced && cl.ns == "" && (cl.name != "" || method == http.MethodPost) {
		return nil, noResource(cl)
	}
	if !cl.res.namespaced && cl.ns != "" {
		return nil, noResource(cl)
	}
	switch cl.sub {
	case "":
		return c.main(cl)
	case "status":
		if cl.res.status {
			return c.main(cl)
		}
	case "scale":
		if cl.res.scale != nil {
			return c.scale(cl)
		}
	default:
		return c.subresource(cl)
	}
	return nil, noResource(cl)
}

// noResource is what a genuine server says about an unknown path.
func noResource(cl *call) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusNotFound,
		Reason:  metav1.StatusReasonNotFound,
		Message: "the server could not find the requested resource",
		Details: &metav1.StatusDetails{},
	}}
}

// main serves the verbs on objects and their status.
func (c *Cluster) main(cl *call) (*answer, error) {
	switch cl.verb {
	case "get":
		return c.getOne(cl)
	case "list":
		return c.getList(cl)
	case "watch":
		return c.watch(cl)
	case "create":
		return c.post(cl)
	case "update":
		return c.put(cl)
	case "patch":
		return c.patch(cl)
	case "delete":
		return c.deleteOne(cl)
	case "deletecollection":
		return c.deleteMany(cl)
	}
	return nil, apierrors.NewMethodNotSupported(cl.res.gr(), cl.verb)
}

func (c *Cluster) post(cl *call) (*answer, error) {
	if cl.name != "" {
		return nil, apierrors.NewMethodNotSupported(cl.res.gr(), "create")
	}
	u, err := cl.decode()
	if err != nil {
		return nil, err
	}
	w, warnings := cl.write()
	u, err = c.create(cl.res, cl.ns, u, w)
	if err != nil {
		return nil, err
	}
	return warned(jsonAnswer(http.StatusCreated, u.Object), *warnings), nil
}

func (c *Cluster) put(cl *call) (*answer, error) {
	u, err := cl.decode()
	if err != nil {
		return nil, err
	}
	w, warnings := cl.write()
	u, err = c.update(cl.res, key{cl.ns, cl.name}, u, w)
	if err != nil {
		return nil, err
	}
	return warned(jsonAnswer(http.StatusOK, u.Object), *warnings), nil
}

func (cl *call) write() (write, *[]string) {
	warnings := &[]string{}
	sub := cl.sub
	return write{
		manager:  cl.manager(),
		sub:      sub,
		dryRun:   cl.dryRun(),
		strict:   cl.query.Get("fieldValidation"),
		warnings: warnings,
	}, warnings
}

func warned(ans *answer, warnings []string) *answer {
	for _, w := range warnings {
		ans.header.Add("Warning", fmt.Sprintf(`299 - "%s"`, strings.ReplaceAll(w, `"`, `\"`)))
	}
	return ans
}

func groupResource(group, resource string) schema.GroupResource {
	return schema.GroupResource{Group: group, Resource: resource}
}
