package jenkinstest

import (
	"net/url"
	"path"
	"slices"
	"strings"
)

func (b *Build) class() string {
	if b.job.spec.Kind == Pipeline {
		return "org.jenkinsci.plugins.workflow.job.WorkflowRun"
	}
	return "hudson.model.FreeStyleBuild"
}

func (b *Build) url(c *call) string { return c.root() + b.job.path() + itoa(b.number) + "/" }

// building and inProgress differ between freestyle builds, which have a phase of post-production, and Pipelines.
func (b *Build) building() bool { return b.state == stateBuilding }

func (b *Build) inProgress() bool {
	if b.job.spec.Kind == Pipeline {
		return b.state == stateBuilding
	}
	return b.state != stateCompleted
}

func (c *call) showBuild(b *Build) any {
	base := c.buildBase(b)
	if b.job.spec.Kind == Pipeline {
		v := &pipelineBuildView{buildBase: base}
		i := slices.Index(b.job.builds, b)
		if i > 0 {
			v.PreviousBuild = c.neighbour(b.job.builds[i-1])
		}
		if i >= 0 && i+1 < len(b.job.builds) {
			v.NextBuild = c.neighbour(b.job.builds[i+1])
		}
		return v
	}
	return &freestyleBuildView{
		buildBase: base, BuiltOn: b.job.spec.Label,
		ChangeSet: changeSetView{Class: "hudson.scm.EmptyChangeLogSet"},
	}
}

func (c *call) neighbour(b *Build) any { return &neighbourView{b.number, b.url(c)} }

func (c *call) buildBase(b *Build) buildBase {
	v := buildBase{
		Class: b.class(), Actions: c.buildActions(b), Building: b.building(),
		Description: textOrNull(b.description), DisplayName: "#" + itoa(b.number), EstimatedDuration: -1,
		FullDisplayName: b.job.fullDisplayName() + " #" + itoa(b.number), ID: itoa(b.number), KeepLog: b.keep,
		Number: b.number, QueueID: b.queueID, Result: textOrNull(string(b.result)),
		Timestamp: b.started.UnixMilli(), URL: b.url(c),
	}
	if b.state != stateBuilding {
		v.Duration = b.took.Milliseconds()
	}
	if est := b.job.estimate(); est >= 0 {
		v.EstimatedDuration = est.Milliseconds()
	}
	if c.s.version.since(369) {
		running := b.inProgress()
		v.InProgress = &running
	}
	switch {
	case b.inProgress() && b.job.spec.Kind == Pipeline:
		v.Executor = &executorView{"hudson.model.OneOffExecutor"}
	case b.inProgress():
		v.Executor = &executorView{}
	}
	for _, f := range b.files {
		v.Artifacts = append(v.Artifacts, artifactView{path.Base(f.path), path.Base(f.path), f.path})
	}
	return v
}

// buildActions lists the actions; those without anything exported print as {}, of which genuine builds have many.
func (c *call) buildActions(b *Build) []any {
	causes := make([]any, 0, len(b.causes))
	for _, cause := range b.causes {
		causes = append(causes, cause.view(c.s))
	}
	out := []any{&actionView{Class: "hudson.model.CauseAction", Causes: &causes}}
	if len(b.params) > 0 {
		params := showParams(b.params)
		out = append([]any{&actionView{Class: "hudson.model.ParametersAction", Params: &params}}, out...)
	}
	out = append(out, &bareView{})
	for _, scm := range b.scm {
		out = append(out, scm.view(b.number))
	}
	if len(b.tests) > 0 {
		out = append(out, b.testAction())
	}
	if b.job.spec.Kind != Pipeline {
		return out
	}
	for _, a := range b.approvals {
		out = append(out, &actionView{Class: "org.jenkinsci.plugins.workflow.support.steps.input.ApproverAction", User: &a.Approver})
	}
	return append(out, &bareView{}, &bareView{"org.jenkinsci.plugins.workflow.job.views.FlowGraphAction"}, &bareView{})
}

// queuedItem returns the job's own item in the queue, if there is one.
func (s *Server) queuedItem(n *node) *item {
	for _, it := range s.queue {
		if it.job == n && it.step == nil {
			return it
		}
	}
	return nil
}

func (c *call) showQueue() any {
	v := &queueView{Class: "hudson.model.Queue"}
	for _, it := range slices.Backward(c.s.queue) {
		if c.who.may(JobRead, it.job.fullName()) {
			v.Items = append(v.Items, c.showQueueItem(it))
		}
	}
	return v
}

func (c *call) showQueueItem(it *item) any {
	base := c.queueItemBase(it)
	switch it.state {
	case itemWaiting:
		base.Class = "hudson.model.Queue$WaitingItem"
		return &waitingItemView{base, it.due.UnixMilli()}
	case itemBlocked:
		base.Class = "hudson.model.Queue$BlockedItem"
		return &blockedItemView{base, it.buildableSince.UnixMilli()}
	case itemBuildable:
		base.Class = "hudson.model.Queue$BuildableItem"
		return &buildableItemView{base, it.buildableSince.UnixMilli(), false}
	}
	base.Class = "hudson.model.Queue$LeftItem"
	v := &leftItemView{queueItemBase: base, Cancelled: it.cancelled}
	if it.build != nil {
		v.Executable = &executableView{it.build.class(), it.build.number, it.build.url(c)}
	}
	return v
}

func (c *call) queueItemBase(it *item) queueItemBase {
	causes := make([]any, 0, len(it.causes))
	for _, cause := range it.causes {
		causes = append(causes, cause.view(c.s))
	}
	v := queueItemBase{
		Actions: []any{&actionView{Class: "hudson.model.CauseAction", Causes: &causes}},
		Blocked: it.state == itemBlocked, Buildable: it.state == itemBuildable, ID: it.id,
		InQueueSince: it.since.UnixMilli(), Stuck: c.s.stuck(it, c.now), URL: "queue/item/" + itoa(int(it.id)) + "/",
	}
	if it.state != itemLeft {
		why := c.s.why(it, c.now)
		v.Why = &why
	}
	if it.step != nil {
		v.Actions = []any{&bareView{}}
		v.Task = &taskView{
			Class: "org.jenkinsci.plugins.workflow.support.steps.ExecutorStepExecution$PlaceholderTask",
			Name:  "part of " + it.job.fullDisplayName() + " #" + itoa(it.step.number),
			URL:   it.job.path() + itoa(it.step.number) + "/",
		}
		return v
	}
	if len(it.params) > 0 {
		params := showParams(it.params)
		v.Actions = append([]any{&actionView{Class: "hudson.model.ParametersAction", Params: &params}}, v.Actions...)
	}
	v.Params = paramsText(it.params)
	color := it.job.color(c.visibleBuilds(it.job))
	v.Task = &taskView{Class: c.classOf(it.job), Name: it.job.name, URL: c.root() + it.job.path(), Color: &color}
	return v
}

func (c *call) classOf(n *node) string {
	if n.spec.Kind == Pipeline {
		return "org.jenkinsci.plugins.workflow.job.WorkflowJob"
	}
	return "hudson.model.FreeStyleProject"
}

// paramsText is the description of parameters, a line feed before each.
func paramsText(params []paramValue) string {
	var sb strings.Builder
	for _, p := range params {
		value := p.value
		if p.def.Type == PasswordParameter {
			value = "****"
		}
		sb.WriteString("\n" + p.def.Name + "=" + value)
	}
	return sb.String()
}

// escapePath escapes each element of a path.
func escapePath(p string) string {
	parts := strings.Split(p, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return strings.Join(parts, "/")
}
