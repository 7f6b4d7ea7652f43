package jenkinstest

type computersView struct {
	Class     string `json:"_class"`
	Busy      int    `json:"busyExecutors"`
	Computers []any  `json:"computer" inline:"true"`
	Name      string `json:"displayName"`
	Total     int    `json:"totalExecutors"`
}

type computerView struct {
	Class        string         `json:"_class"`
	DisplayName  string         `json:"displayName"`
	Executors    []executorSlot `json:"executors"`
	Idle         bool           `json:"idle"`
	NumExecutors int            `json:"numExecutors"`
	Offline      bool           `json:"offline"`
	OneOff       []executorSlot `json:"oneOffExecutors"`
}

// executorSlot is an executor with what it works on.
type executorSlot struct {
	Current any   `json:"currentExecutable"`
	Idle    bool  `json:"idle"`
	Number  int   `json:"number"`
	Percent int64 `json:"progress"`
}

// computer serves /computer, the nodes, and /computer/NAME, one of them.
func (c *call) computer(rest []string) *reply {
	if len(rest) > 0 && rest[0] != "api" {
		switch name := rest[0]; {
		case name == "(built-in)" || name == "(master)":
			return c.api(rest[1:], func() any { return c.showComputer("") })
		case name != "" && c.s.opts.Agents[name] > 0:
			return c.api(rest[1:], func() any { return c.showComputer(name) })
		}
		return c.notFound()
	}
	return c.api(rest, func() any {
		v := &computersView{Class: "hudson.model.ComputerSet", Name: "Nodes", Total: c.s.opts.Executors}
		v.Computers = []any{c.showComputer("")}
		for _, label := range sortedKeys(c.s.opts.Agents) {
			v.Total += c.s.opts.Agents[label]
			v.Computers = append(v.Computers, c.showComputer(label))
		}
		for _, n := range c.s.busy {
			v.Busy += n
		}
		return v
	})
}

// showComputer shows the agents with a label as one node. Pipelines run on one-off executors of the controller.
func (c *call) showComputer(label string) *computerView {
	total := c.s.executors(label)
	v := &computerView{
		Class: "hudson.slaves.SlaveComputer", DisplayName: label, Idle: c.s.busy[label] == 0, NumExecutors: total,
	}
	if label == "" {
		v.Class, v.DisplayName = "hudson.model.Hudson$MasterComputer", "Built-In Node"
	}
	for _, n := range c.s.jobs(c.s.root) {
		if !c.who.may(JobRead, n.fullName()) {
			continue
		}
		for _, b := range n.builds {
			slot := executorSlot{Number: len(v.Executors), Percent: -1, Current: lazy(func() any { return c.showBuild(b) })}
			switch {
			case b.holds && n.spec.Label == label:
				v.Executors = append(v.Executors, slot)
			case label == "" && n.spec.Kind == Pipeline && b.inProgress():
				slot.Number = -1
				v.OneOff = append(v.OneOff, slot)
			}
		}
	}
	for len(v.Executors) < total {
		v.Executors = append(v.Executors, executorSlot{Idle: true, Number: len(v.Executors), Percent: -1})
	}
	return v
}
