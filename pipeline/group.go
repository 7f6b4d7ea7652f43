package pipeline

import (
	"encoding/json"
	"fmt"
)

// EachOptions are the settings of AddEach.
type EachOptions struct {
	// MaxParallel is how many items run at the same time; 0 means all.
	MaxParallel int
	// FailureBudget is how many items may fail before the group does; what still
	// runs is aborted then.
	FailureBudget int
}

// AddEach runs body's stages once for every item of a list, which is read when
// the stage becomes ready. key names an item; keys must be unique, 1 to 63
// characters of letters, digits, '.', '_' and '-'. The stages of the item "eu-1"
// of the group "prod" have ids such as "prod[eu-1]/deploy". The result is the
// items' outputs in the order of the list; items that failed within the budget
// are left out.
//
// body may use values from outside; the group then waits for them.
func AddEach[T, O any](b *Builder, id string, over Ref[[]T], key func(T) string,
	body func(b *Builder, item Ref[T]) Ref[O], o EachOptions, so StageOptions) Ref[[]O] {
	n := b.add(id, so)
	n.Type, n.Kind, n.MaxParallel, n.Budget = TypeEach, "each/v1", o.MaxParallel, o.FailureBudget
	n.input, n.checkOut = b.use(n, over), outputCheck[[]O]()
	n.checkRetry(b)
	if o.MaxParallel < 0 || o.FailureBudget < 0 {
		b.failStage(n.ID, "negative MaxParallel or FailureBudget")
	}
	if key == nil || body == nil {
		b.failStage(n.ID, "its key or body is nil: want the function that names an item, and the one that adds its stages")
		return Ref[[]O]{&expr{kind: exprStage, scope: b.scope, stage: n}}
	}
	n.key = func(item json.RawMessage) (string, error) {
		v, err := decodeAs[T](item)
		if err != nil {
			return "", err
		}
		return key(v), nil
	}
	b.group(n, func(inner *Builder) *expr {
		return body(inner, Ref[T]{&expr{kind: exprInput, scope: inner.scope}}).x
	})
	return Ref[[]O]{&expr{kind: exprStage, scope: b.scope, stage: n}}
}

// AddSub runs the stages of another pipeline with in as its input. Their ids
// begin with id, as in "smoke/login". The pipeline's stages become part of this
// plan: an execution has one record, one history and one outcome.
func AddSub[I, O any](b *Builder, id string, p *Pipeline[I, O], in Ref[I], so StageOptions) Ref[O] {
	n := b.add(id, so)
	n.Type = TypeSub
	if p == nil || p.def == nil {
		b.failStage(n.ID, "its pipeline is nil: make it with Define")
		return Ref[O]{&expr{kind: exprStage, scope: b.scope, stage: n}}
	}
	n.Kind = fmt.Sprintf("sub:%s/v%d", p.def.plan.Name, p.def.plan.Version)
	n.input, n.checkOut = b.use(n, in), outputCheck[O]()
	n.checkRetry(b)
	if p.def.err != nil {
		b.failStage(n.ID, p.def.err.Error())
		return Ref[O]{&expr{kind: exprStage, scope: b.scope, stage: n}}
	}
	n.body = p.def.root.copyInto(n)
	return Ref[O]{&expr{kind: exprStage, scope: b.scope, stage: n}}
}

func (b *Builder) group(n *node, build func(*Builder) *expr) {
	n.body = &scopeDef{group: n}
	inner := &Builder{scope: n.body, errs: b.errs}
	n.body.output = inner.output(build(inner))
}

// copyInto copies a scope's nodes and expressions below the group.
func (s *scopeDef) copyInto(group *node) *scopeDef {
	c := &copier{nodes: map[*node]*node{}, scopes: map[*scopeDef]*scopeDef{}, exprs: map[*expr]*expr{}}
	return c.scope(s, group)
}

type copier struct {
	nodes  map[*node]*node
	scopes map[*scopeDef]*scopeDef
	exprs  map[*expr]*expr
}

func (c *copier) scope(s *scopeDef, group *node) *scopeDef {
	out := &scopeDef{group: group}
	c.scopes[s] = out
	for _, n := range s.nodes {
		m := &node{Stage: n.Stage, scope: out, work: n.work, key: n.key, checkOut: n.checkOut, open: n.open}
		if group != nil {
			m.ID = group.ID + "/" + localID(n)
		}
		c.nodes[n] = m
		m.input, m.when = c.expr(n.input), c.expr(n.when)
		for _, x := range n.after {
			m.after = append(m.after, c.expr(x))
		}
		if n.body != nil {
			m.body = c.scope(n.body, m)
		}
		out.nodes = append(out.nodes, m)
	}
	out.output = c.expr(s.output)
	return out
}

func (c *copier) expr(x *expr) *expr {
	if x == nil {
		return nil
	}
	if y, ok := c.exprs[x]; ok {
		return y
	}
	y := *x
	c.exprs[x] = &y
	y.scope, y.stage = c.scopes[x.scope], c.nodes[x.stage]
	y.args = make([]*expr, len(x.args))
	for i, a := range x.args {
		y.args[i] = c.expr(a)
	}
	return &y
}

// localID is the stage's id inside its scope.
func localID(n *node) string {
	if n.scope.group == nil {
		return n.ID
	}
	return n.ID[len(n.scope.group.ID)+1:]
}
