package jenkinstest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Input is a step of a Pipeline that waits for a person.
type Input struct {
	// ID names the step; its first letter becomes a capital, as Jenkins does. Empty means Input1, Input2, ….
	ID string
	// Message is the question.
	Message string
	// OK is the label of the button that proceeds; empty means Proceed.
	OK string
	// Parameters are asked for with the answer.
	Parameters []Parameter
	// Submitters are the user ids that may answer; none means everyone who may build the job.
	Submitters []string
}

// Answer is how an input step was answered.
type Answer struct {
	// Approver is the id of the user who answered.
	Approver string
	// At is when.
	At time.Time
	// Params are the submitted parameters.
	Params map[string]string
}

// inputRun is a waiting input step.
type inputRun struct {
	spec    Input
	from    time.Time
	to      time.Time // once done
	settled chan struct{}
	done    bool
	aborted bool
	answer  Answer
}

// Input waits for somebody to answer and returns the answer. When it is rejected, the build ends as ABORTED and Input does
// not return.
func (b *Build) Input(in Input) Answer {
	b.check()
	s := b.s
	s.mu.Lock()
	if in.ID == "" {
		in.ID = "Input" + itoa(len(b.inputs)+1)
	}
	in.ID = strings.ToUpper(in.ID[:1]) + in.ID[1:]
	in.OK = orText(in.OK, "Proceed")
	run := &inputRun{spec: in, from: time.Now(), settled: make(chan struct{})}
	b.inputs = append(b.inputs, run)
	b.write("[Pipeline] input\n" + in.Message + "\n" + in.OK + " or Abort\n")
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		run.done = true
		if run.to.IsZero() {
			run.to = time.Now()
		}
		s.mu.Unlock()
	}()
	b.waitFor(run.settled)
	s.mu.Lock()
	answer, aborted := run.answer, run.aborted
	if aborted {
		b.worsen(Aborted)
		b.write("Rejected by " + s.fullNameOf(answer.Approver) + "\n")
	} else {
		b.approvals = append(b.approvals, answer)
		b.write("Approved by " + s.fullNameOf(answer.Approver) + "\n")
	}
	s.mu.Unlock()
	if aborted {
		runtime.Goexit()
	}
	return answer
}

func (b *Build) pendingInputs() []*inputRun {
	if b.state != stateBuilding {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(b.inputs), func(r *inputRun) bool { return r.done })
}

// findInput returns the step with an id; steps of one id may follow each other, so the newest counts.
func (b *Build) findInput(id string) *inputRun {
	for _, r := range slices.Backward(b.inputs) {
		if r.spec.ID == id {
			return r
		}
	}
	return nil
}

// input serves …/input/ID/proceed, proceedEmpty, abort and submit.
func (c *call) input(b *Build, rest []string) *reply {
	if b.job.spec.Kind != Pipeline || len(rest) < 2 {
		return c.notFound()
	}
	run := b.findInput(rest[0])
	if run == nil {
		return c.notFound()
	}
	if c.r.Method != http.MethodPost {
		return c.needPost()
	}
	var aborted bool
	switch rest[1] {
	case "proceed", "proceedEmpty":
	case "abort":
		aborted = true
	case "submit":
		aborted = c.param("proceed") == "" && c.param("abort") != ""
	default:
		return c.notFound()
	}
	if r := c.settle(b, run, aborted, rest[1] != "proceedEmpty"); r != nil {
		return r
	}
	return empty(http.StatusOK)
}

// settle answers an input step; the reply is nil when that worked.
func (c *call) settle(b *Build, run *inputRun, aborted, withParams bool) *reply {
	if run.done || b.state != stateBuilding {
		return c.page(http.StatusBadRequest, "Error", "This input has been already given")
	}
	if !c.maySubmit(b, run, aborted) {
		return c.page(http.StatusBadRequest, "Error", "You need to be "+strings.Join(run.spec.Submitters, ",")+" to submit this.")
	}
	answer := Answer{Approver: c.who.String(), At: c.now, Params: map[string]string{}}
	if !aborted {
		params, err := c.inputParams(run, withParams)
		if err != nil {
			return c.oops(err.Error())
		}
		answer.Params = params
	}
	run.done, run.to, run.aborted, run.answer = true, c.now, aborted, answer
	close(run.settled)
	return nil
}

// maySubmit knows that an administrator may always answer, and that who may cancel the build may also reject.
func (c *call) maySubmit(b *Build, run *inputRun, aborted bool) bool {
	name := b.job.fullName()
	switch {
	case aborted && c.who.may(JobCancel, name):
		return true
	case len(run.spec.Submitters) == 0:
		return c.who.may(JobBuild, name)
	}
	return slices.Contains(run.spec.Submitters, c.who.name) || c.who.may(Administer, "")
}

func (c *call) inputParams(run *inputRun, withParams bool) (map[string]string, error) {
	out := map[string]string{}
	for _, d := range run.spec.Parameters {
		out[d.Name] = d.defaultValue()
	}
	form := c.param("json")
	if !withParams || form == "" {
		return out, nil
	}
	params, err := bindJSON(run.spec.Parameters, form)
	if err != nil {
		return nil, err
	}
	for name, value := range paramMap(params) {
		out[name] = value
	}
	return out, nil
}

type inputView struct {
	ID          string           `json:"id"`
	ProceedText string           `json:"proceedText"`
	Message     string           `json:"message"`
	Inputs      []inputParamView `json:"inputs"`
	ProceedURL  string           `json:"proceedUrl"`
	AbortURL    string           `json:"abortUrl"`
	RedirectURL string           `json:"redirectApprovalUrl"`
}

type inputParamView struct {
	Type        string         `json:"type"`
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Definition  map[string]any `json:"definition"`
}

func (c *call) showInput(b *Build, r *inputRun) inputView {
	base := c.s.url.Path + "/" + b.job.path() + itoa(b.number) + "/"
	v := inputView{
		ID: r.spec.ID, ProceedText: r.spec.OK, Message: r.spec.Message, Inputs: []inputParamView{},
		ProceedURL:  base + "wfapi/inputSubmit?inputId=" + r.spec.ID,
		AbortURL:    base + "input/" + r.spec.ID + "/abort",
		RedirectURL: base + "input/",
	}
	for _, p := range r.spec.Parameters {
		def := map[string]any{"defaultVal": p.defaultValue()}
		if p.Type == ChoiceParameter {
			def["choices"] = p.Choices
		}
		v.Inputs = append(v.Inputs, inputParamView{p.typeName(), p.Name, p.Description, def})
	}
	return v
}

func (c *call) plainJSON(v any) *reply {
	body, err := json.Marshal(v)
	if err != nil {
		return c.oops(fmt.Sprint(err))
	}
	return newReply(http.StatusOK, "application/json;charset=utf-8", body)
}
