package pipeline

import (
	"fmt"
	"slices"
	"strings"
)

// bind joins a frozen plan with the code of a definition: order, edges and
// policies come from the plan, work and functions from the definition, found by
// stage id and kind. What cannot be found is marked as missing.
func bind(plan *Plan, hash string, def *definition) *scopeDef {
	if def != nil && def.hash == hash {
		return def.root
	}
	b := &binder{c: &copier{nodes: map[*node]*node{}, scopes: map[*scopeDef]*scopeDef{}, exprs: map[*expr]*expr{}}, byID: map[string]*node{}}
	var code *scopeDef
	if def != nil {
		code = def.root
	}
	return b.scope(plan.Stages, plan.Output, nil, code)
}

type binder struct {
	c    *copier
	byID map[string]*node
}

func (b *binder) scope(stages []Stage, output string, group *node, code *scopeDef) *scopeDef {
	s := &scopeDef{group: group}
	if code != nil {
		b.c.scopes[code] = s
	}
	for i := range stages {
		n := &node{Stage: stages[i], scope: s, pos: i}
		b.byID[n.ID] = n
		s.nodes = append(s.nodes, n)
		b.node(n, code.find(n.ID))
	}
	s.output = &expr{kind: exprInput, scope: s}
	if output != "" {
		s.output = &expr{kind: exprStage, scope: s, stage: b.byID[output]}
	}
	return s
}

func (s *scopeDef) find(id string) *node {
	if s == nil {
		return nil
	}
	for _, n := range s.nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}

func (b *binder) node(n, code *node) {
	for _, id := range n.Needs {
		n.needs = append(n.needs, b.byID[id])
	}
	n.waits = slices.Clone(n.needs)
	if err := n.openWindow(); err != nil {
		n.missing = fmt.Sprintf("stage %q: window: %v", n.ID, err)
	}
	for _, id := range n.After {
		n.waits = append(n.waits, b.byID[id])
	}
	var codeBody *scopeDef
	switch {
	case !slices.Contains(stageTypes, n.Type):
		n.missing = fmt.Sprintf("stage %q is of type %q, which this program does not know", n.ID, n.Type)
	case code == nil:
		n.missing = fmt.Sprintf("this program's pipeline has no stage %q", n.ID)
	case code.Kind != n.Kind:
		n.missing = fmt.Sprintf("stage %q is of kind %q here and was started as %q", n.ID, code.Kind, n.Kind)
	default:
		b.c.nodes[code] = n
		n.work, n.key, n.checkOut, codeBody = code.work, code.key, code.checkOut, code.body
	}
	if n.Type == TypeEach || n.Type == TypeSub {
		n.body = b.scope(n.Stages, n.Output, n, codeBody)
	}
	b.input(n, code)
	if n.Conditional && n.missing == "" {
		if code.when == nil {
			n.missing = fmt.Sprintf("stage %q has no condition here and was started with one", n.ID)
			return
		}
		n.when = b.mapped(n, code.when)
	}
}

// input restores the input expression from the plan, functions from the code.
func (b *binder) input(n, code *node) {
	switch {
	case n.Input == "input":
		n.input = &expr{kind: exprInput, scope: n.scope}
		// A stage inside a group may use the input of an outer scope.
		if code != nil && code.input != nil && code.input.kind == exprInput {
			n.input = b.mapped(n, code.input)
		}
	case n.Input == "const":
		n.input = &expr{kind: exprConst, value: n.Const}
	case strings.HasPrefix(n.Input, inputStage):
		from := b.byID[n.Input[len(inputStage):]]
		n.input = &expr{kind: exprStage, scope: from.scope, stage: from}
	case n.missing == "" && code.Input != "map":
		n.missing = fmt.Sprintf("stage %q computes no input here and was started with one that is computed", n.ID)
	case n.missing == "":
		n.input = b.mapped(n, code.input)
	}
}

// mapped copies an expression of the code onto the nodes of the frozen plan.
func (b *binder) mapped(n *node, x *expr) *expr {
	ok := func(y *expr, _ bool) {
		if y.kind == exprStage && b.c.nodes[y.stage] == nil || y.kind == exprInput && b.c.scopes[y.scope] == nil {
			n.missing = fmt.Sprintf("stage %q uses %s, which the execution's plan does not have", n.ID, y.describe())
		} else if y.kind == exprStage && !slices.Contains(n.waits, b.c.nodes[y.stage]) {
			n.missing = fmt.Sprintf("stage %q uses %s, for which it does not wait in the execution's plan", n.ID, y.describe())
		}
	}
	if x.walk(true, ok); n.missing != "" {
		return nil
	}
	return b.c.expr(x)
}
