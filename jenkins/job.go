package jenkins

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/stage"
)

// DefaultKeyParameter is the string parameter that a job must declare to be triggered exactly once.
const DefaultKeyParameter = "GENNAKER_KEY"

// JobOptions says how a job is built and what becomes of its result. The zero value asks for the key parameter
// GENNAKER_KEY, fails unstable builds and yields an empty artifact set.
type JobOptions struct {
	// Images are the container images that the build pushes, each read from a file that it archives.
	Images []Image
	// Registry is asked whether it has each image under the digest that the build claims, before the stage succeeds. Nil means that
	// the build is believed.
	Registry Registry
	// Files are patterns, as of package path, of further archived files that join the set with their SHA-256. Each must match
	// at least one file.
	Files []string
	// MaxFile limits the bytes of each file of Files; 0 means 1 GiB.
	MaxFile int64
	// KeyParameter is the name of the declared string parameter that carries the key; empty means DefaultKeyParameter.
	KeyParameter string
	// WithoutKey permits a job that does not declare the key parameter. Such a build may be confused with one that the
	// same user started with the same parameters at the same time; it is marked ambiguous. If this process dies while it triggers
	// the build, a person may have to decide ([AmbiguousError]).
	WithoutKey bool
	// AcceptUnstable takes an UNSTABLE build for a success.
	AcceptUnstable bool
	// HideLog keeps the console log from being reported as progress. The end of it is still in the error of a failed build.
	HideLog bool
	// Decide is asked for a decision about each input step at which the build waits, every few seconds until it returns one. Nil, and a nil
	// decision, leave the step to people in Jenkins. The decision is stored before it is sent, so it is not asked for again after a crash; it
	// is asked for again if Jenkins refuses it, and when the same step asks a second time. Parameters are stored with it: no secrets there.
	Decide func(ctx context.Context, in Input) (*Decision, error)
	// QuietPeriod is how long the build waits in the queue at least; 0 leaves that to the job and a negative value means
	// not at all.
	QuietPeriod time.Duration
	// Grace is how long a request that got no answer may still reach Jenkins: only after that time without a trace of it is
	// the build triggered again. It must exceed the timeouts of proxies on the way. 0 means 30 seconds.
	Grace time.Duration
	// StopGrace is how long an aborted Pipeline may take to stop before it is terminated, and then killed. 0 means 15 seconds.
	StopGrace time.Duration
}

func (o JobOptions) withDefaults() JobOptions {
	if o.KeyParameter == "" {
		o.KeyParameter = DefaultKeyParameter
	}
	if o.MaxFile <= 0 {
		o.MaxFile = 1 << 30
	}
	if o.Grace <= 0 {
		o.Grace = 30 * time.Second
	}
	if o.StopGrace <= 0 {
		o.StopGrace = 15 * time.Second
	}
	return o
}

// A Job builds a Jenkins job with parameters made from P: it is a stage.Builder whose handle is [Handle] and whose result is an
// artifact set. One Job serves any number of executions at once.
type Job[P any] struct {
	job    *job
	name   func(P) string
	params func(P) map[string]string
}

var _ stage.Builder[struct{}, Handle] = (*Job[struct{}])(nil)

// NewJob returns the builder of the job with the given full name, which has the names of folders before slashes: "team/shop". params makes the
// build's parameters from the stage's input; nil means none. What the job declares and params leaves out gets the job's default. The
// error lists everything that is wrong with the name and the options; whether the job exists is checked by Start.
func NewJob[P any](c *Client, fullName string, params func(P) map[string]string, o JobOptions) (*Job[P], error) {
	if err := o.validate(fullName); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errors.New("jenkins: job " + fullName + ": no client")
	}
	if params == nil {
		params = func(P) map[string]string { return nil }
	}
	return &Job[P]{job: newJob(c, o.withDefaults()), name: func(P) string { return fullName }, params: params}, nil
}

// Branch returns a builder like j for a multibranch project: each build is one of the branch that branch returns.
func (j *Job[P]) Branch(branch func(P) string) *Job[P] {
	project := j.name
	b := *j
	b.name = func(p P) string { return Branch(project(p), branch(p)) }
	return &b
}

func (o JobOptions) validate(fullName string) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("jenkins: job %q: "+format, append([]any{fullName}, args...)...))
	}
	if !validName(fullName) {
		bad("not a full name; want folder and job names separated by single slashes, like team/shop")
	}
	if strings.ContainsAny(o.KeyParameter, " \t\r\n") || reserved(o.KeyParameter) {
		bad("key parameter %q cannot be used as a name", o.KeyParameter)
	}
	for _, p := range o.Files {
		if _, err := path.Match(p, ""); err != nil {
			bad("files: pattern %q: %v", p, err)
		}
	}
	for i, img := range o.Images {
		if err := img.validate(); err != nil {
			bad("image %d: %v", i+1, err)
		}
	}
	return errors.Join(errs...)
}

// reserved reports whether Jenkins takes a form field of that name for something else than a parameter.
func reserved(name string) bool {
	switch name {
	case "delay", "token", "cause", "json", "Jenkins-Crumb", "Submit":
		return true
	}
	return false
}

// Kind implements stage.Effect.
func (j *Job[P]) Kind() string { return "jenkins.build/v1" }

// Start checks the parameters against the job and triggers the build. A permanent error says that nothing was triggered
// and why: a [JobError] about the job and its parameters, a [StatusError] about credentials and permissions, or a [RefusedError].
func (j *Job[P]) Start(c *stage.Ctx, in P) (Handle, error) {
	return j.job.start(c, j.name(in), c.Key(), j.params(in))
}

// Find looks for a build that an earlier Start with this key may have left, in the queue and in the job's builds. Until it can
// exclude that a request is still on its way it returns [ErrUndecided].
func (j *Job[P]) Find(c *stage.Ctx, in P) (Handle, bool, error) {
	return j.job.find(c, j.name(in), c.Key(), j.params(in))
}

// Poll follows the build through queue and execution, at most one request a second on average, and sees its end within 1.5 seconds. It reports log lines, stages and pending inputs as
// progress. At the end it collects the artifacts.
func (j *Job[P]) Poll(c *stage.Ctx, h *Handle) (stage.Status[artifact.Set], error) {
	return j.job.poll(c, h)
}

// Abort cancels the queue item or stops the build, harder if need be, and returns nil when Jenkins confirms that nothing of it
// goes on.
func (j *Job[P]) Abort(c *stage.Ctx, h Handle) error {
	if h.Job == "" {
		return errors.New("jenkins: abort: the handle names no job")
	}
	return j.job.abort(c, h)
}
