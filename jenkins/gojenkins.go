package jenkins

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/bndr/gojenkins"
)

var _ gojenkins.JenkinsRequester = (*requester)(nil)

const formType = "application/x-www-form-urlencoded"

// GetJSON implements gojenkins.JenkinsRequester.
func (r *requester) GetJSON(ctx context.Context, endpoint string, response any, query map[string]string) (*http.Response, error) {
	req := request{method: http.MethodGet, path: apiPath(endpoint), query: values(query), accept: "application/json"}
	if response == nil {
		var ignored any
		response = &ignored
	}
	a, err := r.decode(ctx, req, response)
	return a.raw, err
}

// Post implements gojenkins.JenkinsRequester. A redirect is returned, not followed.
func (r *requester) Post(ctx context.Context, endpoint string, payload io.Reader, response any, query map[string]string) (*http.Response, error) {
	return r.call(ctx, request{method: http.MethodPost, path: endpoint, query: values(query), kind: formType}, payload, response)
}

// PostXML implements gojenkins.JenkinsRequester.
func (r *requester) PostXML(ctx context.Context, endpoint string, xml string, response any, query map[string]string) (*http.Response, error) {
	req := request{method: http.MethodPost, path: endpoint, query: values(query), kind: "application/xml;charset=utf-8"}
	return r.call(ctx, req, strings.NewReader(xml), response)
}

// PostJSON implements gojenkins.JenkinsRequester; like gojenkins it sends a form to the object's api/json.
func (r *requester) PostJSON(ctx context.Context, endpoint string, payload io.Reader, response any, query map[string]string) (*http.Response, error) {
	return r.call(ctx, request{method: http.MethodPost, path: apiPath(endpoint), query: values(query), kind: formType}, payload, response)
}

// PostFiles implements gojenkins.JenkinsRequester. The files are held in memory; Options.MaxBody limits them.
func (r *requester) PostFiles(ctx context.Context, endpoint string, payload io.Reader, response any, query map[string]string, files []string) (*http.Response, error) {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, name := range files {
		if err := r.attach(w, &body, name); err != nil {
			return nil, unsent(&RequestError{Method: http.MethodPost, Path: pathOnly(endpoint), Err: err})
		}
	}
	var fields map[string]string
	if payload != nil {
		// As in gojenkins, a payload that is no JSON object of strings adds no fields.
		_ = json.NewDecoder(payload).Decode(&fields)
	}
	for k, v := range fields {
		_ = w.WriteField(k, v) // a bytes.Buffer accepts everything
	}
	_ = w.Close()
	req := request{method: http.MethodPost, path: endpoint, query: values(query), kind: w.FormDataContentType()}
	return r.call(ctx, req, &body, response)
}

func (r *requester) attach(w *multipart.Writer, body *bytes.Buffer, name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	part, err := w.CreateFormFile("file", filepath.Base(name))
	if err != nil {
		return err
	}
	if _, err := io.Copy(part, io.LimitReader(f, r.opts.MaxBody+1)); err != nil {
		return err
	}
	if int64(body.Len()) > r.opts.MaxBody {
		return errors.New("the files together are larger than Options.MaxBody")
	}
	return nil
}

// Get implements gojenkins.JenkinsRequester.
func (r *requester) Get(ctx context.Context, endpoint string, response any, query map[string]string) (*http.Response, error) {
	return r.call(ctx, request{method: http.MethodGet, path: endpoint, query: values(query)}, nil, response)
}

// GetXML implements gojenkins.JenkinsRequester.
func (r *requester) GetXML(ctx context.Context, endpoint string, response any, query map[string]string) (*http.Response, error) {
	return r.call(ctx, request{method: http.MethodGet, path: endpoint, query: values(query), accept: "application/xml"}, nil, response)
}

// call sends a request and stores the answer as text in a *string, as JSON in anything else, or nowhere.
func (r *requester) call(ctx context.Context, req request, payload io.Reader, response any) (*http.Response, error) {
	if payload != nil {
		body, err := io.ReadAll(payload)
		if err != nil {
			return nil, unsent(&RequestError{Method: req.method, Path: pathOnly(req.path), Err: err})
		}
		req.body = string(body)
	}
	a, err := r.fetch(ctx, req)
	if err != nil {
		return a.raw, err
	}
	switch into := response.(type) {
	case nil:
	case *string:
		*into = string(a.body)
	default:
		if len(a.body) == 0 && req.method == http.MethodPost {
			break
		}
		if err := json.Unmarshal(a.body, into); err != nil {
			return a.raw, r.unreadable(req, a, err)
		}
	}
	return a.raw, nil
}

func apiPath(endpoint string) string {
	endpoint = strings.TrimRight(endpoint, "/")
	if strings.HasSuffix(endpoint, "/api/json") {
		return endpoint
	}
	return endpoint + "/api/json"
}

// values keeps nil apart from empty: a query inside the endpoint must survive.
func values(m map[string]string) url.Values {
	if len(m) == 0 {
		return nil
	}
	q := make(url.Values, len(m))
	for k, v := range m {
		q.Set(k, v)
	}
	return q
}
