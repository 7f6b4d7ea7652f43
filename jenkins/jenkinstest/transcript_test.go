package jenkinstest_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/jenkins/jenkinstest"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

// told are the headers that a transcript shows.
var told = map[string]bool{
	"Location": true, "Content-Type": true, "X-Text-Size": true, "X-More-Data": true, "Set-Cookie": true, "X-Jenkins": true,
	"X-Jenkins-Session": true, "X-Required-Permission": true, "Content-Length": true,
}

// scribe writes down what passes.
type scribe struct {
	*user
	out bytes.Buffer
}

func (s *scribe) say(method, path string, kv ...string) {
	var a answer
	if method == http.MethodPost {
		a = s.post(path, kv...)
	} else {
		a = s.get(path)
	}
	fmt.Fprintf(&s.out, "-- %s %s %s --\n%d\n", method, path, strings.Join(kv, "="), a.status)
	var names []string
	for k := range a.header {
		if told[k] {
			names = append(names, k)
		}
	}
	sort.Strings(names)
	for _, k := range names {
		fmt.Fprintf(&s.out, "%s: %s\n", k, strings.Join(a.header[k], " | "))
	}
	body := strings.NewReplacer("\r\n", "<CRLF>\n", "\x1b", "<ESC>").Replace(a.body)
	fmt.Fprintf(&s.out, "\n%s\n", strings.TrimRight(body, "\n"))
}

// TestTranscripts compares the main flows with what was written down and read by a person against genuine answers.
func TestTranscripts(t *testing.T) {
	for name, kind := range map[string]jenkinstest.Kind{"freestyle": jenkinstest.Freestyle, "pipeline": jenkinstest.Pipeline} {
		bubble(t, jenkinstest.Options{URL: "http://ci.example.com/jenkins"}, func(t *testing.T, j *jenkinstest.Server, u *user) {
			s := &scribe{user: u}
			job := shop()
			job.Kind = kind
			if kind == jenkinstest.Pipeline {
				build := job.Build
				job.Build = func(b *jenkinstest.Build) {
					b.Stage("Build", func() { build(b) })
					b.Stage("Approve", func() { b.Input(jenkinstest.Input{ID: "ship", Message: "Ship it?"}) })
				}
			}
			j.AddJob(job)
			const path = "/job/folder/job/shop"
			s.say("GET", "/api/json")
			s.say("GET", "/crumbIssuer/api/json")
			s.say("GET", path+"/api/json?pretty=true")
			s.say("POST", path+"/buildWithParameters", "TAG", "v1")
			s.say("POST", path+"/buildWithParameters", "TAG", "v1")
			s.say("GET", "/queue/api/json")
			time.Sleep(6 * time.Second)
			synctest.Wait()
			s.say("GET", "/queue/item/1/api/json")
			s.say("GET", path+"/1/api/json")
			s.say("GET", path+"/1/logText/progressiveText?start=0")
			time.Sleep(time.Minute)
			synctest.Wait()
			if kind == jenkinstest.Pipeline {
				s.say("GET", path+"/1/wfapi/describe")
				s.say("GET", path+"/1/wfapi/pendingInputActions")
				s.say("POST", path+"/1/input/Ship/proceedEmpty")
				synctest.Wait()
			}
			s.say("GET", path+"/1/api/json?tree=number,queueId,building,inProgress,result,actions[parameters[name,value]],artifacts[relativePath]")
			s.say("GET", path+"/api/json?tree=builds[number,result]{0,5},lastBuild[number]")
			s.say("GET", path+"/1/consoleText")
			s.say("GET", path+"/1/artifact/dist/image.json")
			s.say("GET", "/queue/item/99/api/json")

			file := "testdata/" + name + ".txt"
			if *update {
				require.NoError(t, os.MkdirAll("testdata", 0o755))
				require.NoError(t, os.WriteFile(file, s.out.Bytes(), 0o644))
			}
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, string(want), s.out.String())
		})
	}
}
