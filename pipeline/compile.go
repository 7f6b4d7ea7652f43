package pipeline

import "slices"

// plan derives the plan of the scope's stages and each node's edges.
func (s *scopeDef) plan() []Stage {
	stages := make([]Stage, len(s.nodes))
	for i, n := range s.nodes {
		n.pos = i
		if n.body != nil {
			n.Stages, n.Output = n.body.plan(), outputID(n.body.output)
		}
		n.edges()
		stages[i] = n.Stage
	}
	return stages
}

// edges derives what the node needs and waits for, in its own scope or outside.
func (n *node) edges() {
	n.needs, n.waits = nil, nil
	use := func(x *expr, required bool) {
		if x.kind != exprStage {
			return
		}
		if required && !slices.Contains(n.needs, x.stage) {
			n.needs = append(n.needs, x.stage)
		}
		if !slices.Contains(n.waits, x.stage) {
			n.waits = append(n.waits, x.stage)
		}
	}
	n.input.walk(true, use)
	n.when.walk(true, use)
	for _, x := range n.after {
		x.walk(false, use)
	}
	if n.body != nil { // what the body uses from outside, the group waits for
		for _, inner := range n.body.nodes {
			for _, w := range inner.waits {
				if !w.scope.within(n.body) {
					use(&expr{kind: exprStage, stage: w}, slices.Contains(inner.needs, w))
				}
			}
		}
	}
	n.Input, n.Const = inputSource(n.input)
	n.Needs, n.After = nil, nil
	for _, w := range n.waits {
		if slices.Contains(n.needs, w) {
			n.Needs = append(n.Needs, w.ID)
		} else {
			n.After = append(n.After, w.ID)
		}
	}
}

// inputStage begins a Stage.Input that names the stage whose output it is.
const inputStage = "stage:"

func inputSource(x *expr) (string, []byte) {
	switch x.kind {
	case exprInput:
		return "input", nil
	case exprConst:
		return "const", x.value
	case exprStage:
		return inputStage + x.stage.ID, nil
	default:
		return "map", nil
	}
}

func outputID(x *expr) string {
	if x.kind == exprStage {
		return x.stage.ID
	}
	return ""
}
