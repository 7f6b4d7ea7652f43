package jenkins_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

const digest = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

// commit is the input of the builds in these tests.
type commit struct{ Tag string }

func params(c commit) map[string]string { return map[string]string{"TAG": c.Tag} }

// shop is a Jenkins job that declares the key.
func shop() jenkinstest.Job {
	return jenkinstest.Job{
		Name:       "team/shop",
		Parameters: []jenkinstest.Parameter{{Name: "TAG"}, {Name: jenkins.DefaultKeyParameter}},
		Build: func(b *jenkinstest.Build) {
			b.Log("building %s", b.Param("TAG"))
			b.Sleep(20 * time.Second)
			b.Archive("out/image.properties", []byte("IMAGE=registry.test/shop/web:"+b.Param("TAG")+"\nDIGEST="+digest+"\n"))
		},
	}
}

var shopOptions = jenkins.JobOptions{Images: []jenkins.Image{{Path: "out/image.properties"}}}

var errKilled = errors.New("killed")

// engine plays the engine's part for one stage: it writes intent, handle and result, and survives the death of its processes.
type engine struct {
	t    *testing.T
	s    *jenkinstest.Server
	name string
	opts jenkins.JobOptions
	key  string
	in   commit
	// budget of Poll.
	budget time.Duration
	// kill lets the process die at its n-th request; what is asked once per process.
	kill func() *killer
	// login of people who answer inputs.
	login func(ctx context.Context, actor string) (string, string, error)
	// told is what people say, each at its time.
	told []pipeline.Told

	intent   bool
	handle   []byte // nil: none recorded
	done     bool
	set      artifact.Set
	err      error
	orphans  sync.WaitGroup // requests of dead processes that are still under way
	lives    int
	calls    int
	mu       sync.Mutex
	progress []string
	detail   string
}

func newEngine(t *testing.T, s *jenkinstest.Server, name string, o jenkins.JobOptions) *engine {
	return &engine{t: t, s: s, name: name, opts: o, key: "shop-1/build/1", in: commit{"1.4.2"}, budget: 10 * time.Second}
}

// process is one life of the program.
type process struct {
	*engine
	job  *jenkins.Job[commit]
	ctx  context.Context
	dead func() bool
}

func (e *engine) start(ctx context.Context) *process {
	e.lives++
	ctx, cancel := context.WithCancelCause(ctx)
	k := &killer{at: -1}
	if e.kill != nil {
		k = e.kill()
	}
	k.next, k.die, k.orphans = e.s.Transport(), func() { cancel(errKilled) }, &e.orphans
	c, err := jenkins.New(jenkins.Options{URL: e.s.URL(), User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken, Transport: k, Login: e.login})
	require.NoError(e.t, err)
	job, err := jenkins.NewJob(c, e.name, params, e.opts)
	require.NoError(e.t, err)
	return &process{engine: e, job: job, ctx: ctx, dead: func() bool { return context.Cause(ctx) == errKilled }}
}

func (p *process) call(budget time.Duration) *stage.Ctx {
	p.calls++
	in, _ := json.Marshal(p.in)
	return stage.NewCtx(&pipeline.Call{
		Context: p.ctx, Key: p.key, Execution: "shop-1", Pipeline: "shop", Stage: "build", Generation: 1, Attempt: 1,
		Fence: uint64(p.lives), Input: in, Budget: budget,
		Told: slices.DeleteFunc(slices.Clone(p.told), func(t pipeline.Told) bool { return t.At.After(time.Now()) }),
		Progress: func(line string) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.progress = append(p.progress, line)
		},
	})
}

// run drives the stage to its end, through any number of lives.
func (e *engine) run(ctx context.Context) {
	for !e.done && ctx.Err() == nil {
		p := e.start(ctx)
		p.live()
		if e.lives > 1000 {
			e.t.Fatal("no end")
		}
	}
	e.orphans.Wait()
}

func (p *process) live() {
	fresh := !p.intent
	p.intent = true
	if p.handle == nil && !p.begin(fresh) {
		return
	}
	for !p.done && !p.dead() && p.ctx.Err() == nil {
		p.step()
	}
}

// begin brings the effect about, or finds it; false ends this life.
func (p *process) begin(fresh bool) bool {
	for find := !fresh; ; find = true {
		if find {
			h, ok, err := p.job.Find(p.call(0), p.in)
			if p.dead() || p.ctx.Err() != nil {
				return false
			}
			if err != nil && stage.IsPermanent(err) {
				return p.finish(artifact.Set{}, err)
			}
			if err != nil {
				p.wait(err)
				continue
			}
			if ok {
				p.record(h)
				return true
			}
		}
		h, err := p.job.Start(p.call(0), p.in)
		switch {
		case p.dead() || p.ctx.Err() != nil:
			return false
		case err == nil:
			p.record(h)
			return true
		case stage.IsPermanent(err):
			return p.finish(artifact.Set{}, err)
		}
		p.wait(err)
	}
}

func (p *process) wait(err error) {
	d := time.Second
	var after interface{ RetryAfter() time.Duration }
	if errors.As(err, &after) {
		d = max(d, after.RetryAfter())
	}
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
	}
}

func (p *process) finish(set artifact.Set, err error) bool {
	p.done, p.set, p.err = true, set, err
	return false
}

func (p *process) record(h jenkins.Handle) {
	data, err := json.Marshal(h)
	require.NoError(p.t, err)
	p.handle = data
}

func (p *process) recorded() jenkins.Handle {
	var h jenkins.Handle
	require.NoError(p.t, json.Unmarshal(p.handle, &h))
	return h
}

func (p *process) step() {
	h := p.recorded()
	st, err := p.job.Poll(p.call(p.budget), &h)
	if p.dead() || p.ctx.Err() != nil {
		return
	}
	p.record(h)
	if err != nil {
		if stage.IsPermanent(err) {
			p.finish(artifact.Set{}, err)
			return
		}
		p.wait(err)
		return
	}
	if over, err := st.Done(); over {
		p.finish(st.Output(), err)
		return
	}
	p.detail = st.Detail()
	select {
	case <-time.After(st.Next()):
	case <-p.ctx.Done():
	}
}

// killer is the network of a process that dies at a request.
type killer struct {
	next http.RoundTripper
	at   int           // the request at which the process dies, from 0; -1: never
	how  death         // what becomes of that request
	late time.Duration // for dieLate
	die  func()

	orphans *sync.WaitGroup

	mu    sync.Mutex
	count int
	dead  bool
}

type death int

const (
	dieBefore death = iota // before the request is sent
	dieAfter               // after Jenkins has processed it
	dieLate                // the request reaches Jenkins when the process has long been dead
)

func (k *killer) RoundTrip(r *http.Request) (*http.Response, error) {
	k.mu.Lock()
	n := k.count
	k.count++
	now := n == k.at && !k.dead
	k.dead = k.dead || now
	dead := k.dead
	k.mu.Unlock()
	switch {
	case !dead:
		return k.next.RoundTrip(r)
	case !now:
		return nil, errKilled
	}
	orphan := func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), 20*time.Second)
		defer cancel()
		if resp, err := k.next.RoundTrip(r.Clone(ctx)); err == nil {
			resp.Body.Close()
		}
	}
	switch k.how {
	case dieAfter:
		orphan()
	case dieLate:
		k.orphans.Go(func() {
			time.Sleep(k.late)
			orphan()
		})
	}
	k.die()
	return nil, errKilled
}

// bubble runs f against a simulator in virtual time.
func bubble(t *testing.T, o jenkinstest.Options, f func(t *testing.T, s *jenkinstest.Server)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := jenkinstest.New(o)
		defer s.Close()
		f(t, s)
	})
}

// withKey returns the builds of a job that carry a key.
func withKey(s *jenkinstest.Server, job, key string) []jenkinstest.BuildInfo {
	var found []jenkinstest.BuildInfo
	for _, b := range s.Builds(job) {
		if b.Params[jenkins.DefaultKeyParameter] == key {
			found = append(found, b)
		}
	}
	return found
}

// strangers trigger the job with the same tag and no key, again and again, until stop.
func strangers(s *jenkinstest.Server, job string, every time.Duration) (stop func()) {
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		for {
			select {
			case <-time.After(every):
				s.Trigger(job, map[string]string{"TAG": "1.4.2"}, jenkinstest.Cause{User: "stranger"})
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-gone }
}

func (e *engine) lines(substr string) int {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := 0
	for _, l := range e.progress {
		if strings.Contains(l, substr) {
			n++
		}
	}
	return n
}

func asError[T error](err error, target *T) bool { return errors.As(err, target) }
