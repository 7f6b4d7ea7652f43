package pipeline

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// view is the graph of one execution: what its stage records stand for. The
// instance with index i belongs to record.Stages[i].
type view struct {
	plan  *Plan
	insts []inst
	root  *scopeInst
}

// inst is one stage of one execution; a stage inside an Each has one per item.
type inst struct {
	n      *node
	scope  *scopeInst
	groups []*scopeInst // one per item, of a group that has been expanded
}

// scopeInst is a scope of one execution: the pipeline, or one item of a group.
type scopeInst struct {
	def    *scopeDef
	parent *scopeInst
	owner  int   // index of the group, -1 for the pipeline
	item   int   // index among the group's items
	insts  []int // by position of the node in the scope
}

// newView makes the view of an execution and adds the records that are missing.
// Executions of a pipeline without groups share one, which does not change.
func newView(plan *Plan, root *scopeDef, r *record) *view {
	flat := root.flat.Load()
	if flat == nil || flat.plan != plan || len(r.Stages) != 0 && len(r.Stages) != len(root.nodes) {
		v := makeView(plan, root, r)
		if !root.grouped() && len(r.Stages) == len(root.nodes) {
			root.flat.Store(v)
		}
		return v
	}
	if len(r.Stages) == 0 {
		r.Stages = make([]stageRec, len(root.nodes))
		for i, n := range root.nodes {
			r.Stages[i] = stageRec{ID: n.ID, Status: StagePending, Gen: 1}
		}
	}
	return flat
}

// grouped reports whether the scope has a stage with stages inside.
func (s *scopeDef) grouped() bool {
	return slices.ContainsFunc(s.nodes, func(n *node) bool { return n.body != nil })
}

func makeView(plan *Plan, root *scopeDef, r *record) *view {
	v := &view{plan: plan}
	v.root = v.add(r, root, nil, -1, 0, "", 1)
	return v
}

// add makes the instances of a scope, whose records it finds by id or appends.
// The stages of the pipeline itself are the first records, in order; those of
// groups come in the order in which groups were expanded.
func (v *view) add(r *record, def *scopeDef, parent *scopeInst, owner, item int, prefix string, gen int) *scopeInst {
	s := &scopeInst{def: def, parent: parent, owner: owner, item: item, insts: make([]int, len(def.nodes))}
	for pos, n := range def.nodes {
		id, i := n.ID, pos
		if owner >= 0 {
			id = prefix + "/" + localID(n)
			if i = r.find(id); i < 0 {
				i = len(r.Stages)
			}
		}
		if i >= len(r.Stages) {
			r.Stages = append(r.Stages, stageRec{ID: id, Status: StagePending, Gen: gen})
		}
		for len(v.insts) < len(r.Stages) {
			v.insts = append(v.insts, inst{})
		}
		s.insts[pos], v.insts[i] = i, inst{n: n, scope: s}
	}
	for _, i := range s.insts {
		v.expand(r, i)
	}
	return s
}

// check refuses records that do not fit the plan, on which the machine could
// not work.
func (v *view) check(r *record) error {
	if len(v.insts) != len(r.Stages) {
		return errors.New("it has stages that its plan does not have")
	}
	for i, in := range v.insts {
		s := &r.Stages[i]
		if in.n == nil || in.scope.owner < 0 && s.ID != in.n.ID {
			return fmt.Errorf("stage %q is not the one of the plan", s.ID)
		}
		group := in.n.body != nil
		switch {
		case !group && len(s.Items) > 0 || in.n.Type == TypeSub && len(s.Items) > 1:
			return fmt.Errorf("stage %q has items that it cannot have", s.ID)
		case len(s.Items) > 0 && (s.Status == StagePending || s.Status == StageRunning && s.Phase != phaseGroup):
			return fmt.Errorf("stage %q has items before it has begun with them", s.ID)
		case s.Status == StageRunning && !in.n.may(s.Phase):
			return fmt.Errorf("stage %q, a %s, runs in phase %q", s.ID, in.n.Type, s.Phase)
		case s.Phase == phaseLock && r.lockOf(r.key(i)) == nil:
			return fmt.Errorf("stage %q waits for a mutex of which the record does not know", s.ID)
		case s.Status == StageRunning && in.n.Type == TypeSub && len(s.Items) == 0:
			return fmt.Errorf("stage %q runs without items", s.ID)
		}
		for k := range s.Items {
			if slices.ContainsFunc(s.Items[:k], func(it itemRec) bool { return it.Key == s.Items[k].Key }) {
				return fmt.Errorf("stage %q has two items with the key %q", s.ID, s.Items[k].Key)
			}
		}
	}
	return nil
}

// may reports whether a stage of this type can be in the phase.
func (n *node) may(p phase) bool {
	switch p {
	case phaseExec, phaseStop:
		return n.Type == TypeTask
	case phaseStart, phasePoll, phaseAbort:
		return n.Type == TypeEffect
	case phaseBackoff:
		return n.Type == TypeTask || n.Type == TypeEffect
	case phaseGate:
		return n.Gate != nil
	case phaseWait:
		return n.Type == TypeWait
	case phaseGroup:
		return n.body != nil
	case phaseWindow:
		return n.open != nil
	case phaseLock:
		return n.Type == TypeLock
	}
	return false
}

// expand adds the stages of every item of group i, if it has items and has not
// been expanded yet.
func (v *view) expand(r *record, i int) {
	in := v.insts[i]
	if in.n == nil || in.n.body == nil || len(r.Stages[i].Items) == 0 || in.groups != nil {
		return
	}
	groups := make([]*scopeInst, len(r.Stages[i].Items))
	for k, it := range r.Stages[i].Items {
		prefix := r.Stages[i].ID
		if in.n.Type == TypeEach {
			prefix += "[" + it.Key + "]"
		}
		groups[k] = v.add(r, in.n.body, in.scope, i, k, prefix, r.Stages[i].Base+1)
	}
	v.insts[i].groups = groups
}

// index finds the instance of node n as seen from scope s.
func (s *scopeInst) index(n *node) int {
	for ; s != nil; s = s.parent {
		if s.def == n.scope {
			return s.insts[n.pos]
		}
	}
	return -1
}

// value returns what an input or a stage's output is, as seen from scope s.
func (v *view) value(r *record, s *scopeInst, x *expr) (json.RawMessage, error) {
	if x.kind == exprStage {
		i := s.index(x.stage)
		if i < 0 || r.Stages[i].Status != StageSucceeded {
			return nil, errNoValue
		}
		return r.Stages[i].Output, nil
	}
	for ; s != nil; s = s.parent {
		if s.def != x.scope {
			continue
		}
		if s.owner < 0 {
			return r.Input, nil
		}
		return r.Stages[s.owner].Items[s.item].Value, nil
	}
	return nil, errNoValue
}

// input returns the resolved input of stage i, which has been started.
func (v *view) input(r *record, i int) json.RawMessage {
	if in := r.Stages[i].Input; in != nil {
		return in
	}
	n := v.insts[i].n
	if n.input.kind == exprConst {
		return n.input.value
	}
	raw, err := v.value(r, v.insts[i].scope, n.input)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}

// own returns why no further stage of this scope itself starts, "" if they do.
func (s *scopeInst) own(r *record) string {
	if s.owner < 0 {
		return r.Halted
	}
	if h := r.Stages[s.owner].Halted; h != "" {
		return h
	}
	return r.Stages[s.owner].Items[s.item].Halted
}

// halted returns why stage i may not start or go on, "" if it may. What always
// runs takes no notice of the scopes around it, but what it contains does of
// those inside it.
func (v *view) halted(r *record, i int) string {
	n, s := v.insts[i].n, v.insts[i].scope
	for s != nil && !n.Always {
		if why := s.own(r); why != "" {
			return why
		}
		n, s = s.def.group, s.parent
	}
	return ""
}

// immune reports whether stage i goes on when sc, which it lies inside, halts.
func (v *view) immune(i int, sc *scopeInst) bool {
	n, s := v.insts[i].n, v.insts[i].scope
	for s != sc && !n.Always {
		n, s = s.def.group, s.parent
	}
	return n.Always
}

// inside reports whether the scope is outer or lies inside it.
func (s *scopeInst) inside(outer *scopeInst) bool {
	for ; s != nil; s = s.parent {
		if s == outer {
			return true
		}
	}
	return false
}

// find returns the index of the stage with this id, -1 if there is none.
func (r *record) find(id string) int {
	for i := range r.Stages {
		if r.Stages[i].ID == id {
			return i
		}
	}
	return -1
}
