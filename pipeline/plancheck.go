package pipeline

import (
	"fmt"
	"maps"
	"strings"
)

// check says why a plan from outside cannot be one that Define has made, "" if it
// can: edges lead back to stages that were defined before, in the same scope or
// around it.
func (p *Plan) check() string {
	if p.Name == "" || len(p.Stages) == 0 {
		return "its plan has no name or no stages"
	}
	c := planChecker{all: map[string]bool{}}
	c.scope(p.Stages, p.Output, nil, "")
	return c.problem
}

type planChecker struct {
	all     map[string]bool // ids
	problem string
}

func (c *planChecker) fail(format string, args ...any) {
	if c.problem == "" {
		c.problem = fmt.Sprintf(format, args...)
	}
}

// scope checks the stages of a scope, which may use those that are visible and
// those of their own scope that come before them.
func (c *planChecker) scope(stages []Stage, output string, visible map[string]bool, group string) {
	seen, own := maps.Clone(visible), map[string]bool{}
	if seen == nil {
		seen = map[string]bool{}
	}
	for i := range stages {
		s := &stages[i]
		c.stage(s, seen, group)
		if grouped := s.Type == TypeEach || s.Type == TypeSub; grouped == (len(s.Stages) == 0) {
			c.fail("stage %q of its plan is a group without stages, or has stages and is none", s.ID)
		}
		if len(s.Stages) > 0 {
			c.scope(s.Stages, s.Output, seen, s.ID)
		}
		c.all[s.ID], seen[s.ID], own[s.ID] = true, true, true
	}
	if output != "" && !own[output] {
		c.fail("the output of its plan is that of stage %q, which there is not", output)
	}
}

func (c *planChecker) stage(s *Stage, seen map[string]bool, group string) {
	local := s.ID
	if group != "" {
		rest, ok := strings.CutPrefix(s.ID, group+"/")
		if local = rest; !ok {
			local = ""
		}
	}
	if !validID(local) || c.all[s.ID] {
		c.fail("its plan has a stage with the id %q, which is malformed or there twice", s.ID)
	}
	uses := append(append([]string{}, s.Needs...), s.After...)
	if from, ok := strings.CutPrefix(s.Input, inputStage); ok {
		uses = append(uses, from)
	}
	for _, d := range uses {
		if !seen[d] {
			c.fail("stage %q of its plan uses %q, which is not before it", s.ID, d)
		}
	}
	if (s.Type == TypeGate) != (s.Gate != nil) {
		c.fail("stage %q of its plan is a gate without its settings, or has them and is none", s.ID)
	}
}
