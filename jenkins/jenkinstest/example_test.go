package jenkinstest_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

// A release tool posts a build; the reply is lost, and it asks again with the same key.
func Example() {
	j := jenkinstest.New(jenkinstest.Options{})
	defer j.Close()
	j.AddJob(jenkinstest.Job{
		Name:       "shop",
		Parameters: []jenkinstest.Parameter{{Name: "REQUEST_ID"}},
		Build:      func(b *jenkinstest.Build) { b.Log("built for %s", b.Param("REQUEST_ID")) },
	})
	j.Fault(jenkinstest.Fault{
		On: jenkinstest.On("POST", "**/buildWithParameters"), Do: jenkinstest.Reset, After: true,
	})
	client := j.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	for range 2 {
		form := url.Values{"REQUEST_ID": {"release-7"}}
		req, err := http.NewRequest("POST", j.URL()+"/job/shop/buildWithParameters", strings.NewReader(form.Encode()))
		if err != nil {
			fmt.Println(err)
			return
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.SetBasicAuth(jenkinstest.AdminUser, jenkinstest.AdminToken)
		res, err := client.Do(req)
		if err != nil {
			fmt.Println("lost")
			continue
		}
		res.Body.Close()
		fmt.Println(res.Status, res.Header.Get("Location"))
	}
	fmt.Println(len(j.Queue()), "item in the queue")
	// Output:
	// lost
	// 303 See Other http://jenkins.example.com/queue/item/1/
	// 1 item in the queue
}
