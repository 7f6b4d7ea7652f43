package pipeline

import (
	"fmt"
	"strings"
)

// Text returns the plan as an indented list for people, a stage a line: its id,
// its kind, what it waits for and its policies.
func (p *Plan) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s v%d\n", p.Name, p.Version)
	p.All(func(s *Stage, depth int) {
		fmt.Fprintf(&b, "%s%-*s %s", strings.Repeat("  ", depth+1), max(24-2*depth, 0), s.ID, s.Kind)
		if from := append(append([]string(nil), s.Needs...), s.After...); len(from) > 0 {
			fmt.Fprintf(&b, "  after %s", strings.Join(from, ", "))
		}
		for _, note := range s.notes() {
			fmt.Fprintf(&b, "  [%s]", note)
		}
		b.WriteByte('\n')
	})
	return b.String()
}

// notes says in a few words how the stage differs from the default.
func (s *Stage) notes() []string {
	var n []string
	add := func(ok bool, format string, args ...any) {
		if ok {
			n = append(n, fmt.Sprintf(format, args...))
		}
	}
	add(s.Gate != nil && s.Gate.Quorum > 1, "quorum %d", gateQuorum(s.Gate))
	add(s.Wait > 0, "%v", s.Wait)
	add(s.Conditional, "if")
	add(s.Always, "always")
	add(s.OnFailure != Halt, "on failure: %s", s.OnFailure)
	add(s.Retry.Attempts > 1, "%d attempts", s.Retry.Attempts)
	add(s.Timeout > 0, "timeout %v", s.Timeout)
	add(s.Deadline > 0, "deadline %v", s.Deadline)
	add(s.Window != nil, "in its window")
	add(s.MaxParallel > 0, "%d at a time", s.MaxParallel)
	add(s.Budget > 0, "%d may fail", s.Budget)
	if len(s.Config) > 0 && string(s.Config) != "null" {
		n = append(n, string(s.Config))
	}
	return n
}

func gateQuorum(g *Gate) int {
	if g == nil {
		return 0
	}
	return max(g.Quorum, 1)
}

// Mermaid returns the plan as a Mermaid flow chart.
func (p *Plan) Mermaid() string {
	var b strings.Builder
	b.WriteString("flowchart LR\n")
	p.mermaid(&b, p.Stages, 1)
	p.edges(func(from, to string, data bool) {
		arrow := "-.->"
		if data {
			arrow = "-->"
		}
		fmt.Fprintf(&b, "  %s %s %s\n", nodeName(from), arrow, nodeName(to))
	})
	return b.String()
}

func (p *Plan) mermaid(b *strings.Builder, stages []Stage, depth int) {
	indent := strings.Repeat("  ", depth)
	for i := range stages {
		s := &stages[i]
		if len(s.Stages) > 0 {
			fmt.Fprintf(b, "%ssubgraph %s[%q]\n", indent, nodeName(s.ID), s.ID)
			p.mermaid(b, s.Stages, depth+1)
			fmt.Fprintf(b, "%send\n", indent)
			continue
		}
		left, right := "[", "]"
		switch s.Type {
		case TypeGate:
			left, right = "{{", "}}"
		case TypeWait:
			left, right = "([", "])"
		}
		kind := strings.NewReplacer(`"`, "#quot;", "<", "#lt;", "\n", " ").Replace(s.Kind)
		fmt.Fprintf(b, "%s%s%s\"%s<br/>%s\"%s\n", indent, nodeName(s.ID), left, s.ID, kind, right)
	}
}

// DOT returns the plan in the language of Graphviz.
func (p *Plan) DOT() string {
	var b strings.Builder
	fmt.Fprintf(&b, "digraph %q {\n  rankdir=LR;\n  node [shape=box];\n", p.Name)
	p.dot(&b, p.Stages, 1)
	p.edges(func(from, to string, data bool) {
		style := ""
		if !data {
			style = " [style=dashed]"
		}
		fmt.Fprintf(&b, "  %q -> %q%s;\n", from, to, style)
	})
	b.WriteString("}\n")
	return b.String()
}

func (p *Plan) dot(b *strings.Builder, stages []Stage, depth int) {
	indent := strings.Repeat("  ", depth)
	for i := range stages {
		s := &stages[i]
		if len(s.Stages) > 0 {
			fmt.Fprintf(b, "%ssubgraph %q {\n%s  label=%q;\n", indent, "cluster_"+s.ID, indent, s.ID)
			fmt.Fprintf(b, "%s  %q [shape=point];\n", indent, s.ID)
			p.dot(b, s.Stages, depth+1)
			fmt.Fprintf(b, "%s}\n", indent)
			continue
		}
		shape := ""
		if s.Type == TypeGate {
			shape = ", shape=hexagon"
		}
		fmt.Fprintf(b, "%s%q [label=%q%s];\n", indent, s.ID, s.ID+"\n"+s.Kind, shape)
	}
}

// edges visits every dependency; data tells whether a value is handed over.
func (p *Plan) edges(visit func(from, to string, data bool)) {
	p.All(func(s *Stage, _ int) {
		for _, from := range s.Needs {
			visit(from, s.ID, true)
		}
		for _, from := range s.After {
			visit(from, s.ID, false)
		}
	})
}

// nodeName makes a Mermaid identifier of a stage id; every id has another.
func nodeName(id string) string {
	var b strings.Builder
	b.WriteString("s_")
	for _, c := range []byte(id) {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			b.WriteByte(c)
			continue
		}
		fmt.Fprintf(&b, "_%02x", c)
	}
	return b.String()
}
