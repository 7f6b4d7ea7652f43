package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

var release = pipeline.Define("release", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
	stage.Approve(b, "approve", stage.Approval{})
	return in
})

// approvals lets people decide in the process that works on the executions.
func approvals(e pipeline.Engine, who func(*http.Request) string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /executions/{id}/{gate}/approve", func(w http.ResponseWriter, r *http.Request) {
		actor := who(r) // from your own login, never a name that the request claims
		if actor == "" {
			http.Error(w, "log in first", http.StatusUnauthorized)
			return
		}
		run := pipeline.Attach(e, release, r.PathValue("id"))
		err := run.Approve(r.Context(), r.PathValue("gate"), actor, r.FormValue("reason"))
		switch {
		case errors.Is(err, pipeline.ErrNotFound):
			http.Error(w, err.Error(), http.StatusNotFound)
		case errors.Is(err, pipeline.ErrForbidden):
			http.Error(w, err.Error(), http.StatusForbidden)
		case err != nil:
			http.Error(w, err.Error(), http.StatusConflict)
		}
	})
	return mux
}

// A store that one process has to itself is reached through that process.
func ExampleRun_Approve() {
	ctx := context.Background()
	e := pipeline.New(pipeline.NewMemory(), pipeline.Options{})
	defer runEngine(e)()
	run, err := pipeline.Start(ctx, e, release, "shop-1", "c0ffee1", pipeline.By("alice"))
	if err != nil {
		fmt.Println(err)
		return
	}
	login := func(r *http.Request) string { name, _, _ := r.BasicAuth(); return name } // stands for your own
	server := httptest.NewServer(approvals(e, login))
	defer server.Close()
	for _, name := range []string{"", "alice", "bob"} {
		form := strings.NewReader(url.Values{"reason": {"looks good"}}.Encode())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/executions/shop-1/approve/approve", form)
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if name != "" {
			req.SetBasicAuth(name, "")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			fmt.Println(err)
			return
		}
		resp.Body.Close()
		fmt.Println(name, resp.Status)
	}
	fmt.Println(run.Wait(ctx))
	// Output:
	//  401 Unauthorized
	// alice 403 Forbidden
	// bob 200 OK
	// c0ffee1 <nil>
}
