package jenkinstest

import (
	"slices"
	"strings"
	"time"
)

// maxListedBuilds is how many builds Jenkins lists in builds; allBuilds has all of them.
const maxListedBuilds = 100

func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func (c *call) itemBase(n *node, class string) itemBase {
	return itemBase{
		Class: class, Actions: []any{&bareView{}}, Description: textOrNull(n.spec.Description),
		DisplayName: n.displayName(), DisplayNameOrNull: textOrNull(n.spec.DisplayName),
		FullDisplayName: n.fullDisplayName(), FullName: n.fullName(), Name: n.name, URL: c.root() + n.path(),
	}
}

func (c *call) showItem(n *node) any {
	switch n.spec.Kind {
	case Folder:
		v := c.showFolder(n, "com.cloudbees.hudson.plugins.folder.Folder")
		return &v
	case Multibranch:
		v := c.showFolder(n, "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject")
		v.Sources = []any{&bareView{}}
		return &v
	case Pipeline:
		return &pipelineView{jobBase: c.jobBase(n, "org.jenkinsci.plugins.workflow.job.WorkflowJob")}
	}
	return &freestyleView{
		jobBase:         c.jobBase(n, "hudson.model.FreeStyleProject"),
		LabelExpression: textOrNull(n.spec.Label),
		SCM:             bareView{"hudson.scm.NullSCM"},
	}
}

func (c *call) showFolder(n *node, class string) folderView {
	return folderView{
		itemBase: c.itemBase(n, class), Jobs: c.showChildren(n),
		PrimaryView: c.allView(n), Views: []lazy{c.allView(n)},
	}
}

func (c *call) allView(n *node) lazy {
	return func() any {
		return &viewView{"hudson.model.AllView", "All", c.root() + n.path()}
	}
}

// showChildren lists the items that the caller may read.
func (c *call) showChildren(n *node) []lazy {
	var out []lazy
	for _, child := range n.children {
		if c.who.may(JobRead, child.fullName()) {
			out = append(out, func() any { return c.showItem(child) })
		}
	}
	return out
}

func (c *call) jobBase(n *node, class string) jobBase {
	visible := c.visibleBuilds(n)
	pick := func(ok func(*Build) bool) lazy {
		return func() any {
			if b := newest(visible, ok); b != nil {
				return c.showBuild(b)
			}
			return nil
		}
	}
	done := func(b *Build) bool { return b.state != stateBuilding }
	res := func(rs ...Result) func(*Build) bool {
		return func(b *Build) bool { return done(b) && slices.Contains(rs, b.result) }
	}
	return jobBase{
		itemBase: c.itemBase(n, class), Buildable: !n.spec.Disabled,
		AllBuilds: c.listBuilds(visible, len(visible)), Builds: c.listBuilds(visible, maxListedBuilds),
		Color: n.color(visible), FirstBuild: func() any {
			if len(visible) == 0 {
				return nil
			}
			return c.showBuild(visible[0])
		},
		HealthReport: health(visible), InQueue: c.s.queuedItem(n) != nil,
		LastBuild: pick(func(*Build) bool { return true }), LastCompletedBuild: pick(done),
		LastFailedBuild: pick(res(Failure)), LastStableBuild: pick(res(Success)),
		LastSuccessfulBuild: pick(res(Success, Unstable)), LastUnstableBuild: pick(res(Unstable)),
		LastUnsuccessfulBuild: pick(res(Unstable, Failure, NotBuilt, Aborted)),
		NextBuildNumber:       n.next, Property: properties(n),
		QueueItem: func() any {
			if it := c.s.queuedItem(n); it != nil {
				return c.showQueueItem(it)
			}
			return nil
		},
		ConcurrentBuild: n.concurrent(), Disabled: n.spec.Disabled,
	}
}

// visibleBuilds are the builds whose records can be seen, oldest first.
func (c *call) visibleBuilds(n *node) []*Build {
	lag := n.spec.Lag.BuildHidden
	if lag == 0 {
		return n.builds
	}
	return slices.DeleteFunc(slices.Clone(n.builds), func(b *Build) bool { return b.hidden(c.now) })
}

func (b *Build) hidden(now time.Time) bool { return now.Sub(b.started) < b.job.spec.Lag.BuildHidden }

func newest(builds []*Build, ok func(*Build) bool) *Build {
	for _, b := range slices.Backward(builds) {
		if ok(b) {
			return b
		}
	}
	return nil
}

func (c *call) listBuilds(builds []*Build, limit int) lazy {
	return func() any {
		out := make([]lazy, 0, min(limit, len(builds)))
		for _, b := range slices.Backward(builds) {
			if len(out) == limit {
				break
			}
			out = append(out, func() any { return c.showBuild(b) })
		}
		return out
	}
}

func (n *node) color(visible []*Build) string {
	color := "notbuilt"
	last := newest(visible, func(b *Build) bool { return b.state != stateBuilding })
	switch {
	case n.spec.Disabled:
		color = "disabled"
	case last != nil:
		color = map[Result]string{Success: "blue", Unstable: "yellow", Failure: "red", NotBuilt: "notbuilt", Aborted: "aborted"}[last.result]
	}
	if b := n.running(); b != nil && b.state == stateBuilding {
		color += "_anime"
	}
	return color
}

// health is the weather report of the last five builds.
func health(builds []*Build) []any {
	total, failed := 0, 0
	for _, b := range slices.Backward(builds) {
		if b.state == stateBuilding || total == 5 {
			continue
		}
		total++
		if severity[b.result] >= severity[Failure] {
			failed++
		}
	}
	if total == 0 {
		return nil
	}
	v := healthView{Score: 100 * (total - failed) / total, IconClass: "icon-health-80plus", IconURL: "health-80plus.png"}
	v.Description = "Build stability: No recent builds failed."
	if failed > 0 {
		v.Description = "Build stability: " + itoa(failed) + " out of the last " + itoa(total) + " builds failed."
		v.IconClass, v.IconURL = "icon-health-00to19", "health-00to19.png"
	}
	return []any{&v}
}

func properties(n *node) []any {
	defs := n.parameters()
	if len(defs) == 0 {
		return nil
	}
	p := propertyView{Class: "hudson.model.ParametersDefinitionProperty"}
	for _, d := range defs {
		p.Definitions = append(p.Definitions, d.view())
	}
	return []any{&p}
}

func (p Parameter) view() any {
	v := definitionView{
		Class: p.definitionClass(), Description: textOrNull(p.Description), Name: p.Name, Type: p.typeName(),
		Choices: p.Choices,
	}
	if p.Type != FileParameter {
		v.Default = paramValue{p, p.defaultValue()}.view()
	}
	return &v
}

// view shows a value; passwords and files show their name only.
func (p paramValue) view() any {
	v := valueView{Class: p.def.valueClass(), Name: p.def.Name}
	switch p.def.Type {
	case PasswordParameter, FileParameter:
	case BooleanParameter:
		v.Value = p.value == "true"
	case RunParameter:
		job, number, _ := strings.Cut(p.value, "#")
		return &runValueView{v.Class, v.Name, job, number}
	default:
		v.Value = p.value
	}
	return &v
}

func showParams(params []paramValue) []any {
	out := make([]any, 0, len(params))
	for _, p := range params {
		out = append(out, p.view())
	}
	return out
}
