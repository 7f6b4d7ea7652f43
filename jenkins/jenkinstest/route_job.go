package jenkinstest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// mayRead answers 404 for an item that the caller may not see, so that its existence stays hidden, or 403 to an anonymous
// user who may know that it exists.
func (c *call) mayRead(n *node) *reply {
	if c.who.may(JobRead, n.fullName()) {
		return nil
	}
	if c.who.name == "" && c.who.may(JobDiscover, n.fullName()) {
		return c.loginPage(JobRead)
	}
	return c.notFound()
}

// item walks down job/name/job/name and serves what lies there.
func (c *call) item(at *node, segs []string) *reply {
	for len(segs) >= 2 && segs[0] == "job" && at.isFolder() {
		if at = at.child(segs[1]); at == nil {
			return c.notFound()
		}
		if r := c.mayRead(at); r != nil {
			return r
		}
		segs = segs[2:]
	}
	switch {
	case at == c.s.root:
		return c.notFound()
	case len(segs) == 0:
		return c.page(http.StatusOK, at.displayName(), "Project "+at.fullDisplayName())
	case segs[0] == "api":
		return c.api(segs, func() any { return c.showItem(at) })
	case segs[0] == "build" && at.isFolder():
		return c.scan(at)
	case at.isFolder():
		return c.notFound()
	case segs[0] == "build" || segs[0] == "buildWithParameters":
		return c.trigger(at, segs[0] == "buildWithParameters")
	case segs[0] == "polling":
		return c.notFound()
	}
	if b := c.resolveBuild(at, segs[0]); b != nil {
		return c.build(b, segs[1:])
	}
	return c.notFound()
}

// scan answers a request to index a folder, which starts no build.
func (c *call) scan(n *node) *reply {
	switch {
	case c.r.Method != http.MethodPost:
		return c.needPost()
	case n.spec.Kind == Folder:
		return c.notFound()
	case n.spec.Disabled:
		return c.oops("java.lang.IllegalStateException: disabled")
	}
	if r := c.need(JobBuild, n.fullName()); r != nil {
		return r
	}
	return c.location(http.StatusFound, n.path())
}

var permalinks = map[string]func(*Build) bool{
	"lastBuild":             func(*Build) bool { return true },
	"lastCompletedBuild":    func(b *Build) bool { return b.state != stateBuilding },
	"lastStableBuild":       func(b *Build) bool { return b.state != stateBuilding && b.result == Success },
	"lastSuccessfulBuild":   func(b *Build) bool { return b.state != stateBuilding && severity[b.result] <= severity[Unstable] },
	"lastUnstableBuild":     func(b *Build) bool { return b.state != stateBuilding && b.result == Unstable },
	"lastFailedBuild":       func(b *Build) bool { return b.state != stateBuilding && b.result == Failure },
	"lastUnsuccessfulBuild": func(b *Build) bool { return b.state != stateBuilding && b.result != Success },
}

func (c *call) resolveBuild(n *node, name string) *Build {
	visible := c.visibleBuilds(n)
	if ok := permalinks[name]; ok != nil {
		return newest(visible, ok)
	}
	number, err := strconv.Atoi(name)
	if err != nil {
		return nil
	}
	return newest(visible, func(b *Build) bool { return b.number == number })
}

// trigger serves build and buildWithParameters.
func (c *call) trigger(n *node, withParameters bool) *reply {
	token := n.spec.Token != "" && c.param("token") == n.spec.Token
	if c.r.Method != http.MethodPost && !token {
		return c.needPost()
	}
	if !token {
		if r := c.need(JobBuild, n.fullName()); r != nil {
			return r
		}
	}
	if n.spec.Disabled {
		return c.jettyError(http.StatusConflict, n.fullName()+" is not buildable")
	}
	quiet, err := c.quietPeriod(n)
	if err != nil {
		return c.oops("jakarta.servlet.ServletException: " + err.Error())
	}
	params, refusal := c.submitted(n, withParameters)
	if refusal != nil {
		return refusal
	}
	if n.spec.Refuse != nil && n.spec.Refuse(paramMap(params)) {
		return c.location(http.StatusFound, n.path())
	}
	it, created := c.s.enqueue(n, params, c.cause(token), quiet, c.now)
	at := "queue/item/" + strconv.FormatInt(it.id, 10) + "/"
	switch {
	case created:
		return c.location(http.StatusCreated, at)
	case withParameters && c.s.version.since(308):
		return c.location(http.StatusSeeOther, at)
	case withParameters, len(n.parameters()) > 0:
		return c.location(http.StatusFound, n.path())
	}
	return c.location(http.StatusCreated, at)
}

// submitted reads the parameters of a trigger, or answers it.
func (c *call) submitted(n *node, withParameters bool) ([]paramValue, *reply) {
	defs := n.parameters()
	if len(defs) == 0 {
		if !withParameters {
			return nil, nil
		}
		if c.s.version.since(524) {
			return nil, c.jettyError(http.StatusBadRequest, n.name+" is not parameterized")
		}
		return nil, c.oops("java.lang.IllegalStateException: This build is not parameterized!")
	}
	var params []paramValue
	var err error
	if withParameters {
		params, err = bind(defs, func(name string) []string { return c.params[name] }, c.files)
	} else {
		form := c.param("json")
		if form == "" {
			return nil, c.page(http.StatusBadRequest, "Nothing is submitted", "This page expects a form submission")
		}
		params, err = bindJSON(defs, form)
	}
	if err != nil {
		return nil, c.oops(err.Error())
	}
	return params, nil
}

// bindJSON reads the structured form of the build page: only what it names is given to the build.
func bindJSON(defs []Parameter, form string) ([]paramValue, error) {
	type entry struct {
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	var raw struct {
		Parameter json.RawMessage `json:"parameter"`
	}
	if err := json.Unmarshal([]byte(form), &raw); err != nil {
		return nil, fmt.Errorf("net.sf.json.JSONException: %w", err)
	}
	var entries []entry
	if len(raw.Parameter) > 0 && raw.Parameter[0] == '{' {
		raw.Parameter = append(append([]byte{'['}, raw.Parameter...), ']')
	}
	if len(raw.Parameter) > 0 {
		if err := json.Unmarshal(raw.Parameter, &entries); err != nil {
			return nil, fmt.Errorf("net.sf.json.JSONException: %w", err)
		}
	}
	var out []paramValue
	for _, e := range entries {
		i := slices.IndexFunc(defs, func(d Parameter) bool { return d.Name == e.Name })
		if i < 0 {
			return nil, fmt.Errorf("java.lang.IllegalArgumentException: No such parameter definition: %s", e.Name)
		}
		text := fmt.Sprint(e.Value)
		if err := defs[i].check(text); err != nil {
			return nil, err
		}
		out = append(out, paramValue{defs[i], defs[i].value(text)})
	}
	return out, nil
}

func (c *call) cause(token bool) Cause {
	if token {
		host, _, _ := strings.Cut(c.r.RemoteAddr, ":")
		return Cause{RemoteHost: orText(host, "127.0.0.1"), Note: c.param("cause")}
	}
	if c.who.name == "" {
		return Cause{User: "anonymous"}
	}
	return Cause{User: c.who.name}
}

// quietPeriod reads delay=, in milliseconds unless it ends in sec or secs.
func (c *call) quietPeriod(n *node) (time.Duration, error) {
	d := c.param("delay")
	if d == "" {
		return c.s.quietPeriodOf(n), nil
	}
	unit := time.Millisecond
	text := strings.TrimSpace(d)
	for _, suffix := range []string{"secs", "sec"} {
		if rest, ok := strings.CutSuffix(text, suffix); ok {
			unit, text = time.Second, rest
			break
		}
	}
	v, err := strconv.Atoi(strings.TrimSpace(text))
	if err != nil {
		return 0, fmt.Errorf("delay %q: not a duration", d)
	}
	return time.Duration(v) * unit, nil
}

func (s *Server) quietPeriodOf(n *node) time.Duration {
	return orDefault(n.spec.QuietPeriod, s.opts.QuietPeriod)
}
