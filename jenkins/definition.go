package jenkins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// Why a job cannot be built; see [JobError].
var (
	ErrJobNotFound = errors.New("no such job, or the user may not see it")
	ErrNotAJob     = errors.New("it is a folder or a multibranch project")
	ErrDisabled    = errors.New("the job cannot be built: it is disabled, or was copied and never saved")
	ErrNeverBuilt  = errors.New("the job declares no parameters yet")
	ErrUndeclared  = errors.New("the job does not declare the parameter")
	ErrKeyType     = errors.New("the key parameter is not a string parameter")
	ErrChoice      = errors.New("not one of the parameter's choices")
	ErrBoolean     = errors.New("neither true nor false")
	ErrFile        = errors.New("the parameter is a file, which cannot be sent")
	ErrReserved    = errors.New("the name has a meaning of its own for Jenkins or for this package")
)

// A JobError says why a job cannot be built with the given parameters, and what to do about it. Nothing was triggered.
type JobError struct {
	Job       string
	Parameter string // empty when the job itself is the matter
	Err       error  // one of the reasons above
	Advice    string
}

func (e *JobError) Error() string {
	s := fmt.Sprintf("jenkins: job %s: ", e.Job)
	if e.Parameter != "" {
		s += fmt.Sprintf("parameter %s: ", e.Parameter)
	}
	s += e.Err.Error()
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns the reason.
func (e *JobError) Unwrap() error { return e.Err }

// preflight reads the job and checks the parameters against its definitions. Jenkins drops undeclared parameters without a
// word and answers an illegal choice with status 500; both must be found out before anything is triggered. The error is a
// *JobError, several of them joined, or that of the request.
func (j *job) preflight(ctx context.Context, name string, params map[string]string) (jobInfo, answer, error) {
	var info jobInfo
	if !validName(name) {
		return info, answer{}, &JobError{Job: name, Err: ErrJobNotFound, Advice: "the name is not well-formed"}
	}
	a, err := j.c.r.getJSON(ctx, jobPath(name), jobTree, nil, &info)
	switch {
	case IsNotFound(err):
		return info, a, &JobError{Job: name, Err: ErrJobNotFound,
			Advice: "give the full name with its folders (and jenkins.Branch for a branch), and the user the permissions Job/Read and Job/Build"}
	case err != nil:
		return info, a, err
	case info.Buildable == nil || strings.Contains(info.Class, "MultiBranchProject"):
		return info, a, &JobError{Job: name, Err: ErrNotAJob, Advice: "name the job inside it; for a branch use jenkins.Branch"}
	case info.Disabled || !*info.Buildable:
		return info, a, &JobError{Job: name, Err: ErrDisabled, Advice: "enable it in Jenkins"}
	}
	return info, a, j.checkParameters(name, info, params)
}

func (j *job) checkParameters(name string, info jobInfo, params map[string]string) error {
	defs := info.definitions()
	var errs []error
	bad := func(parameter string, reason error, advice string) {
		errs = append(errs, &JobError{Job: name, Parameter: parameter, Err: reason, Advice: advice})
	}
	key := j.opts.KeyParameter
	at := slices.IndexFunc(defs, func(d definition) bool { return d.Name == key })
	switch {
	case at < 0 && len(defs) == 0 && info.LastBuild == nil && !j.opts.WithoutKey:
		bad(key, ErrNeverBuilt, "a Pipeline declares its parameters in its first build: run it once in Jenkins")
	case at < 0 && !j.opts.WithoutKey:
		bad(key, ErrUndeclared, "add a string parameter of that name to the job, or set JobOptions.WithoutKey and read what that means")
	case at >= 0 && defs[at].Type != "StringParameterDefinition" && defs[at].Type != "TextParameterDefinition":
		bad(key, ErrKeyType, "it is a "+defs[at].Type)
	}
	names := make([]string, 0, len(params))
	for n := range params {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		i := slices.IndexFunc(defs, func(d definition) bool { return d.Name == n })
		switch {
		case n == key || reserved(n):
			bad(n, ErrReserved, "give the parameter another name")
		case i < 0:
			bad(n, ErrUndeclared, "declare it in the job or do not send it: Jenkins would drop it silently")
		case defs[i].Type == booleanType && params[n] != "true" && params[n] != "false":
			bad(n, ErrBoolean, fmt.Sprintf("%q would count as false", clip(params[n], 100)))
		case defs[i].Type == "FileParameterDefinition":
			bad(n, ErrFile, "let the job fetch the file itself, by an address in another parameter")
		case len(defs[i].Choices) > 0 && !slices.Contains(defs[i].Choices, params[n]):
			bad(n, ErrChoice, fmt.Sprintf("%q is not among %q", clip(params[n], 100), defs[i].Choices))
		}
	}
	return errors.Join(errs...)
}

// keyed reports whether the job declares the key parameter.
func (j *job) keyed(info jobInfo) bool {
	return slices.ContainsFunc(info.definitions(), func(d definition) bool { return d.Name == j.opts.KeyParameter })
}
