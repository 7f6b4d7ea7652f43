package jenkins_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/stage"
)

func detailOf(err error) string {
	var d interface{ Detail() string }
	if errors.As(err, &d) {
		return d.Detail()
	}
	return ""
}

func TestResults(t *testing.T) {
	for _, tc := range []struct {
		name   string
		end    func(b *jenkinstest.Build)
		opts   jenkins.JobOptions
		result jenkins.Result // empty: success
	}{
		{"failure", func(b *jenkinstest.Build) { b.Fail("no rule to make target %q", "all") }, jenkins.JobOptions{}, jenkins.Failure},
		{"not built", func(b *jenkinstest.Build) { b.End(jenkinstest.NotBuilt) }, jenkins.JobOptions{}, jenkins.NotBuilt},
		{"aborted", func(b *jenkinstest.Build) { b.End(jenkinstest.Aborted) }, jenkins.JobOptions{}, jenkins.Aborted},
		{"unstable", func(b *jenkinstest.Build) { b.End(jenkinstest.Unstable) }, jenkins.JobOptions{}, jenkins.Unstable},
		{"unstable accepted", func(b *jenkinstest.Build) { b.End(jenkinstest.Unstable) }, jenkins.JobOptions{AcceptUnstable: true}, ""},
		{"log hidden", func(b *jenkinstest.Build) { b.Fail("no rule") }, jenkins.JobOptions{HideLog: true}, jenkins.Failure},
	} {
		for _, kind := range []jenkinstest.Kind{jenkinstest.Freestyle, jenkinstest.Pipeline} {
			t.Run(tc.name, func(t *testing.T) {
				bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
					j := shop()
					j.Kind = kind
					j.Build = func(b *jenkinstest.Build) {
						for i := range 2000 {
							b.Log("step %d", i)
						}
						tc.end(b)
					}
					s.AddJob(j)
					e := newEngine(t, s, j.Name, tc.opts)
					e.run(t.Context())
					if tc.result == "" {
						require.NoError(t, e.err)
						return
					}
					var be *jenkins.BuildError
					require.ErrorAs(t, e.err, &be)
					require.Equal(t, tc.result, be.Result)
					require.Equal(t, int64(1), be.Build)
					require.ErrorContains(t, e.err, "build #1 ended as "+string(tc.result)+": http://jenkins.example.com/job/team/job/shop/1/console")
					require.Equal(t, tc.result == jenkins.Aborted, stage.IsPermanent(e.err))
					tail := detailOf(e.err)
					require.Contains(t, tail, "step 1999")
					require.NotContains(t, tail, "step 0\n")
					require.LessOrEqual(t, len(tail), 8<<10)
					require.True(t, strings.HasPrefix(tail, "step "), "cut line: %.20q", tail)
					if tc.opts.HideLog {
						require.Zero(t, e.lines("step 5"))
					} else {
						require.Equal(t, 1, e.lines("step 1234"))
					}
				})
			})
		}
	}
}

func TestStartRefuses(t *testing.T) {
	declared := []jenkinstest.Parameter{{Name: "TAG"}, {Name: jenkins.DefaultKeyParameter}}
	for _, tc := range []struct {
		name   string
		change func(j *jenkinstest.Job)
		full   string
		opts   jenkins.JobOptions
		want   error
		text   string
	}{
		{"no such job", func(j *jenkinstest.Job) { j.Name = "team/other" }, "", jenkins.JobOptions{}, jenkins.ErrJobNotFound, "give the full name with its folders"},
		{"folder", nil, "team", jenkins.JobOptions{}, jenkins.ErrNotAJob, "name the job inside it"},
		{"disabled", func(j *jenkinstest.Job) { j.Disabled = true }, "", jenkins.JobOptions{}, jenkins.ErrDisabled, "enable it"},
		{"no key", func(j *jenkinstest.Job) { j.Parameters = declared[:1]; j.Kind = jenkinstest.Freestyle }, "", jenkins.JobOptions{}, jenkins.ErrUndeclared, "add a string parameter"},
		{"first build", func(j *jenkinstest.Job) { j.Kind, j.ParametersInJenkinsfile = jenkinstest.Pipeline, true }, "", jenkins.JobOptions{}, jenkins.ErrNeverBuilt, "run it once"},
		{"undeclared", func(j *jenkinstest.Job) { j.Parameters = declared[1:] }, "", jenkins.JobOptions{}, jenkins.ErrUndeclared, "parameter TAG"},
		{"choice", func(j *jenkinstest.Job) {
			j.Parameters = []jenkinstest.Parameter{{Name: "TAG", Type: jenkinstest.ChoiceParameter, Choices: []string{"a", "b"}}, declared[1]}
		}, "", jenkins.JobOptions{}, jenkins.ErrChoice, `"1.4.2" is not among ["a" "b"]`},
		{"key type", func(j *jenkinstest.Job) {
			j.Parameters = []jenkinstest.Parameter{declared[0], {Name: jenkins.DefaultKeyParameter, Type: jenkinstest.PasswordParameter}}
		}, "", jenkins.JobOptions{}, jenkins.ErrKeyType, "PasswordParameterDefinition"},
		{"key is also a parameter", nil, "", jenkins.JobOptions{KeyParameter: "TAG"}, jenkins.ErrReserved, "another name"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				j := shop()
				j.Parameters = declared
				if tc.change != nil {
					tc.change(&j)
				}
				s.AddJob(j)
				full := tc.full
				if full == "" {
					full = "team/shop"
				}
				e := newEngine(t, s, full, tc.opts)
				e.run(t.Context())
				require.ErrorIs(t, e.err, tc.want)
				require.True(t, stage.IsPermanent(e.err))
				require.ErrorContains(t, e.err, tc.text)
				var je *jenkins.JobError
				require.ErrorAs(t, e.err, &je)
				require.Equal(t, full, je.Job)
				for _, r := range s.Requests() {
					require.Equal(t, http.MethodGet, r.Method)
				}
			})
		})
	}
}

func TestStartIsRefusedByJenkins(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Refuse = func(map[string]string) bool { return true }
		s.AddJob(j)
		e := newEngine(t, s, j.Name, shopOptions)
		e.run(t.Context())
		var refused *jenkins.RefusedError
		require.ErrorAs(t, e.err, &refused)
		require.True(t, stage.IsPermanent(e.err))
	})
	for status, user := range map[int]jenkins.Options{
		401: {User: "admin", Token: "s3cr3t"},
		403: {User: "reader", Token: "r"},
	} {
		o := jenkinstest.Options{Users: []jenkinstest.User{
			{Name: "admin", Tokens: []string{"a"}},
			{Name: "reader", Tokens: []string{"r"}, Grant: jenkinstest.Allow(jenkinstest.OverallRead, jenkinstest.JobRead)},
		}}
		bubble(t, o, func(t *testing.T, s *jenkinstest.Server) {
			s.AddJob(shop())
			user.URL, user.Transport = s.URL(), s.Transport()
			c, err := jenkins.New(user)
			require.NoError(t, err)
			job, err := jenkins.NewJob(c, "team/shop", params, shopOptions)
			require.NoError(t, err)
			p := &process{engine: newEngine(t, s, "team/shop", shopOptions), ctx: t.Context()}
			_, err = job.Start(p.call(0), commit{"1"})
			var se *jenkins.StatusError
			require.ErrorAs(t, err, &se)
			require.Equal(t, status, se.Code)
			require.True(t, stage.IsPermanent(err))
			require.NotContains(t, err.Error(), "s3cr3t")
			t.Log(err)
		})
	}
}

func TestImageErrors(t *testing.T) {
	for name, tc := range map[string]struct {
		file, content string
		want          error
		text          string
	}{
		"no digest":  {"out/image.properties", "IMAGE=registry.test/shop/web:1\n", artifact.ErrNoDigest, "docker buildx --metadata-file"},
		"not a file": {"other.txt", "x", jenkins.ErrFileMissing, "it archived other.txt"},
		"malformed":  {"out/image.properties", "{", jenkins.ErrFormat, "out/image.properties"},
		"bad digest": {"out/image.properties", "IMAGE=registry.test/a/b\nDIGEST=sha256:12\n", artifact.ErrInvalid, "hexadecimal"},
		"huge":       {"out/image.properties", strings.Repeat("# x\n", 1<<20), jenkins.ErrTooLarge, "1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
				j := shop()
				j.Build = func(b *jenkinstest.Build) { b.Archive(tc.file, []byte(tc.content)) }
				s.AddJob(j)
				e := newEngine(t, s, j.Name, shopOptions)
				e.run(t.Context())
				require.ErrorIs(t, e.err, tc.want)
				require.True(t, stage.IsPermanent(e.err))
				require.ErrorContains(t, e.err, tc.text)
				require.ErrorContains(t, e.err, "build #1")
			})
		})
	}
}

func TestQueueItemCancelledByAPerson(t *testing.T) {
	bubble(t, jenkinstest.Options{Executors: -1}, func(t *testing.T, s *jenkinstest.Server) {
		s.AddJob(shop())
		time.AfterFunc(30*time.Second, func() {
			req, _ := http.NewRequest("POST", s.URL()+"/queue/cancelItem?id=1", nil)
			req.SetBasicAuth(jenkinstest.AdminUser, jenkinstest.AdminToken)
			if resp, err := s.Transport().RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		})
		e := newEngine(t, s, "team/shop", shopOptions)
		e.run(t.Context())
		var be *jenkins.BuildError
		require.ErrorAs(t, e.err, &be)
		require.Equal(t, jenkins.Cancelled, be.Result)
		require.True(t, stage.IsPermanent(e.err))
		require.ErrorContains(t, e.err, "queue item 1 was cancelled in Jenkins")
	})
}

func TestStagesAndInputAreProgress(t *testing.T) {
	bubble(t, jenkinstest.Options{}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Kind = jenkinstest.Pipeline
		j.Build = func(b *jenkinstest.Build) {
			b.Stage("Compile", func() { b.Sleep(20 * time.Second) })
			b.Stage("Sign", func() { b.Input(jenkinstest.Input{ID: "Sign", Message: "Sign the release?"}) })
		}
		s.AddJob(j)
		e := newEngine(t, s, j.Name, jenkins.JobOptions{})
		time.AfterFunc(2*time.Minute, func() {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.progress = append(e.progress, "detail: "+e.detail)
			go func() {
				req, _ := http.NewRequest("POST", s.URL()+"/job/team/job/shop/1/input/Sign/proceedEmpty", nil)
				req.SetBasicAuth(jenkinstest.AdminUser, jenkinstest.AdminToken)
				if resp, err := s.Transport().RoundTrip(req); err == nil {
					resp.Body.Close()
				}
			}()
		})
		e.run(t.Context())
		require.NoError(t, e.err, e.progress)
		require.Equal(t, 1, e.lines("stage Compile: started"))
		require.Equal(t, 1, e.lines("stage Compile: success in 20s"))
		require.Equal(t, 1, e.lines(`build #1 waits for input "Sign the release?" (Sign): answer it at http://jenkins.example.com/job/team/job/shop/1/input/`))
		require.Equal(t, 1, e.lines(`detail: build #1: waits for input "Sign the release?"`), e.progress)
		require.Equal(t, 1, e.lines("stage Sign: success"), e.progress)
	})
}

func TestFilesJoinTheSet(t *testing.T) {
	bubble(t, jenkinstest.Options{RedirectArtifacts: true}, func(t *testing.T, s *jenkinstest.Server) {
		j := shop()
		j.Build = func(b *jenkinstest.Build) {
			b.Archive("charts/shop 1?.tgz", []byte("chart"))
			b.Archive("meta.json", []byte(`{"commit":"abc","tests":7}`))
			b.Archive("v.properties", []byte("commit=abc\ntests=7\n"))
			b.Archive("meta.yaml", []byte("commit: abc\ntests: 7\n"))
			b.Archive("bad.yml", []byte("a: [\n"))
		}
		s.AddJob(j)
		e := newEngine(t, s, j.Name, jenkins.JobOptions{Files: []string{"charts/*", "meta.json"}})
		e.run(t.Context())
		require.NoError(t, e.err)
		f, ok := e.set.Find(artifact.KindFile, "charts/shop%201%3F.tgz")
		require.True(t, ok, e.set)
		require.Equal(t, artifact.FromBytes([]byte("chart")), f.Digest)
		require.Equal(t, "5", f.Metadata["size"])

		c, err := jenkins.New(jenkins.Options{URL: s.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: s.Transport()})
		require.NoError(t, err)
		b, ok := c.BuildOf(e.set)
		require.True(t, ok)
		type meta struct {
			Commit string `json:"commit"`
			Tests  int    `json:"tests"`
		}
		m, err := jenkins.File[meta](t.Context(), b, "meta.json")
		require.NoError(t, err)
		require.Equal(t, meta{"abc", 7}, m)
		v, err := jenkins.File[struct {
			Commit string
			Tests  int `json:",string"`
		}](t.Context(), b, "v.properties")
		require.NoError(t, err)
		require.Equal(t, "abc", v.Commit)
		require.Equal(t, 7, v.Tests)
		y, err := jenkins.File[meta](t.Context(), b, "meta.yaml")
		require.NoError(t, err)
		require.Equal(t, m, y)
		_, err = jenkins.File[meta](t.Context(), b, "bad.yml")
		require.ErrorIs(t, err, jenkins.ErrFormat)
		_, err = jenkins.File[meta](t.Context(), b, "none.json")
		require.ErrorIs(t, err, jenkins.ErrFileMissing)
		_, _, err = b.Download(t.Context(), "meta.json", &strings.Builder{}, 3)
		require.ErrorIs(t, err, jenkins.ErrTooLarge)
		info, err := b.Info(t.Context())
		require.NoError(t, err)
		require.True(t, info.Ended)
		require.Equal(t, jenkins.Success, info.Result)
		require.Equal(t, "1.4.2", info.Parameters["TAG"])
		require.Len(t, info.Files, 5)
	})
}
