package jenkinstest

import (
	"html"
	"io"
	"net/http"
	"strconv"
	"time"
)

// The objects of the pipeline-rest-api plugin, which are plain JSON without _class and tree=.

type linkView struct {
	Href string `json:"href"`
}

type wfRunView struct {
	Links     map[string]linkView `json:"_links"`
	ID        string              `json:"id"`
	Name      string              `json:"name"`
	Status    string              `json:"status"`
	Start     int64               `json:"startTimeMillis"`
	End       int64               `json:"endTimeMillis"`
	Duration  int64               `json:"durationMillis"`
	QueueTime int64               `json:"queueDurationMillis"`
	PauseTime int64               `json:"pauseDurationMillis"`
	Stages    []wfStageView       `json:"stages"`
}

type wfStageView struct {
	Links     map[string]linkView `json:"_links"`
	ID        string              `json:"id"`
	Name      string              `json:"name"`
	ExecNode  string              `json:"execNode"`
	Status    string              `json:"status"`
	Error     *wfErrorView        `json:"error,omitempty"`
	Start     int64               `json:"startTimeMillis"`
	Duration  int64               `json:"durationMillis"`
	PauseTime int64               `json:"pauseDurationMillis"`
	Nodes     []wfNodeView        `json:"stageFlowNodes,omitempty"`
}

type wfNodeView struct {
	Links    map[string]linkView `json:"_links"`
	ID       string              `json:"id"`
	Name     string              `json:"name"`
	ExecNode string              `json:"execNode"`
	Status   string              `json:"status"`
	Start    int64               `json:"startTimeMillis"`
	Duration int64               `json:"durationMillis"`
	Pause    int64               `json:"pauseDurationMillis"`
	Parents  []string            `json:"parentNodes"`
}

type wfErrorView struct {
	Message string `json:"message"`
	Type    string `json:"type"`
}

// wfapi serves …/wfapi/….
func (c *call) wfapi(b *Build, rest []string) *reply {
	if c.s.opts.NoPipelineAPI || b.job.spec.Kind != Pipeline {
		return c.notFound()
	}
	what := "describe"
	if len(rest) > 0 {
		what = rest[0]
	}
	switch what {
	case "describe":
		return c.plainJSON(c.showPipelineRun(b))
	case "pendingInputActions":
		views := []inputView{}
		for _, r := range b.pendingInputs() {
			views = append(views, c.showInput(b, r))
		}
		return c.plainJSON(views)
	case "nextPendingInputAction":
		if pending := b.pendingInputs(); len(pending) > 0 {
			return c.plainJSON(c.showInput(b, pending[0]))
		}
		return c.plainJSON(nil)
	case "artifacts":
		return c.plainJSON(c.showPipelineArtifacts(b))
	case "inputSubmit":
		return c.submitInput(b)
	}
	return c.notFound()
}

func (c *call) submitInput(b *Build) *reply {
	if c.r.Method != http.MethodPost {
		return c.needPost()
	}
	run := b.findInput(c.param("inputId"))
	if run == nil || run.done || b.state != stateBuilding {
		return c.oops("java.lang.IllegalStateException: input action is not pending")
	}
	if r := c.settle(b, run, false, true); r != nil {
		return r
	}
	return empty(http.StatusOK)
}

func (c *call) showPipelineRun(b *Build) *wfRunView {
	base := c.s.url.Path + "/" + b.job.path() + itoa(b.number) + "/"
	took := b.took
	if b.state == stateBuilding {
		took = c.now.Sub(b.started)
	}
	v := &wfRunView{
		Links: map[string]linkView{"self": {base + "wfapi/describe"}},
		ID:    itoa(b.number), Name: "#" + itoa(b.number), Status: b.pipelineStatus(),
		Start: b.started.UnixMilli(), Duration: took.Milliseconds(),
		QueueTime: b.started.Sub(b.item.since).Milliseconds(), Stages: []wfStageView{},
	}
	v.End = v.Start + v.Duration
	if len(b.files) > 0 {
		v.Links["artifacts"] = linkView{base + "wfapi/artifacts"}
	}
	if len(b.pendingInputs()) > 0 {
		v.Links["pendingInputActions"] = linkView{base + "wfapi/pendingInputActions"}
		v.Links["nextPendingInputAction"] = linkView{base + "wfapi/nextPendingInputAction"}
	}
	v.PauseTime = b.paused(b.started, c.now, c.now).Milliseconds()
	full := c.param("fullStages") == "true"
	for i, st := range b.stages {
		v.Stages = append(v.Stages, c.showStage(b, i, st, full))
	}
	return v
}

// pipelineStatus is StatusExt of the plugin.
func (b *Build) pipelineStatus() string {
	if b.state == stateBuilding {
		if len(b.pendingInputs()) > 0 {
			return "PAUSED_PENDING_INPUT"
		}
		return "IN_PROGRESS"
	}
	switch b.result {
	case Failure:
		return "FAILED"
	case NotBuilt:
		return "NOT_EXECUTED"
	}
	return string(b.result)
}

func (c *call) showStage(b *Build, i int, st *stageRun, full bool) wfStageView {
	node := c.s.url.Path + "/" + b.job.path() + itoa(b.number) + "/execution/node/"
	v := wfStageView{
		Links: map[string]linkView{"self": {node + itoa(st.id) + "/wfapi/describe"}},
		ID:    itoa(st.id), Name: st.name, Status: st.status,
		Start: st.started.UnixMilli(), Duration: st.duration(c.now).Milliseconds(),
		PauseTime: b.paused(st.started, st.started.Add(st.duration(c.now)), c.now).Milliseconds(),
	}
	if !st.ended && i == len(b.stages)-1 && len(b.pendingInputs()) > 0 {
		v.Status = "PAUSED_PENDING_INPUT"
	}
	if st.err != "" {
		v.Error = &wfErrorView{st.err, "hudson.AbortException"}
	}
	if full {
		step := itoa(st.id + 1)
		v.Nodes = []wfNodeView{{
			Links: map[string]linkView{"self": {node + step + "/wfapi/describe"}, "log": {node + step + "/wfapi/log"}},
			ID:    step, Name: "Shell Script", Status: v.Status, Start: v.Start, Duration: v.Duration,
			Parents: []string{itoa(st.id)},
		}}
	}
	return v
}

// paused is how long input steps that began between from and to have waited.
func (b *Build) paused(from, to, now time.Time) time.Duration {
	var sum time.Duration
	for _, r := range b.inputs {
		if r.from.Before(from) || !r.from.Before(to) {
			continue
		}
		end := now
		if r.done {
			end = r.to
		}
		sum += end.Sub(r.from)
	}
	return sum
}

func (st *stageRun) duration(now time.Time) time.Duration {
	if st.ended {
		return st.took
	}
	return now.Sub(st.started)
}

type wfArtifactView struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Path string `json:"path"`
	URL  string `json:"url"`
	Size int64  `json:"size"`
}

func (c *call) showPipelineArtifacts(b *Build) []wfArtifactView {
	out := []wfArtifactView{}
	for i, f := range b.files {
		out = append(out, wfArtifactView{
			ID: "n" + itoa(i+1), Name: artifactName(f.path), Path: f.path, Size: f.content.size,
			URL: c.s.url.Path + "/" + b.job.path() + itoa(b.number) + "/artifact/" + escapePath(f.path),
		})
	}
	return out
}

type wfLogView struct {
	NodeID     string `json:"nodeId"`
	NodeStatus string `json:"nodeStatus"`
	Length     int    `json:"length"`
	HasMore    bool   `json:"hasMore"`
	Text       string `json:"text"`
	ConsoleURL string `json:"consoleUrl"`
}

// maxNodeLog is how much of a step's log the plugin serves.
const maxNodeLog = 10 << 10

// showNodeLog serves the end of a stage's part of the log, as HTML.
func (c *call) showNodeLog(b *Build, st *stageRun, node wfNodeView) *reply {
	to := b.log.size
	if st.ended {
		to = st.to
	}
	from := max(st.from, to-maxNodeLog)
	text, err := io.ReadAll(&noteStripper{src: b.log.view(from, to)})
	if err != nil {
		return c.oops("java.io.IOException: " + err.Error())
	}
	return c.plainJSON(&wfLogView{
		NodeID: node.ID, NodeStatus: node.Status, Length: len(text), HasMore: from > st.from, Text: html.EscapeString(string(text)),
		ConsoleURL: c.s.url.Path + "/" + b.job.path() + itoa(b.number) + "/execution/node/" + node.ID + "/log",
	})
}

// flowNode serves …/execution/node/ID/wfapi/describe and …/wfapi/log, where ID is a stage's or that of its step.
func (c *call) flowNode(b *Build, rest []string) *reply {
	if c.s.opts.NoPipelineAPI || b.job.spec.Kind != Pipeline || len(rest) < 3 || rest[0] != "node" || rest[2] != "wfapi" {
		return c.notFound()
	}
	id, err := strconv.Atoi(rest[1])
	if err != nil {
		return c.notFound()
	}
	for i, st := range b.stages {
		v := c.showStage(b, i, st, true)
		switch {
		case id == st.id:
			return c.plainJSON(v)
		case id == st.id+1 && len(rest) > 3 && rest[3] == "log":
			return c.showNodeLog(b, st, v.Nodes[0])
		case id == st.id+1:
			return c.plainJSON(v.Nodes[0])
		}
	}
	return c.notFound()
}
