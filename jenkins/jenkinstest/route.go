package jenkinstest

import (
	"net/http"
	"strconv"
)

// route dispatches on the first element of the path.
func (c *call) route(segs []string) *reply {
	first, rest := "", segs
	if len(segs) > 0 {
		first, rest = segs[0], segs[1:]
	}
	if first == "crumbIssuer" {
		if r := c.need(OverallRead, ""); r != nil {
			return r
		}
		return c.crumbIssuer(rest)
	}
	if r := c.need(OverallRead, ""); r != nil {
		return r
	}
	switch first {
	case "":
		return c.page(http.StatusOK, "Dashboard", "Welcome to Jenkins!")
	case "api":
		return c.api(segs, c.showRoot)
	case "job":
		return c.item(c.s.root, segs)
	case "queue":
		return c.queue(rest)
	case "me", "whoAmI":
		return c.me(rest)
	case "computer":
		return c.computer(rest)
	case "fingerprint":
		return c.notFound()
	case "restart", "safeRestart", "quietDown", "cancelQuietDown", "exit", "safeExit":
		return c.administer(first)
	}
	return c.notFound()
}

func (c *call) showRoot() any {
	all := c.allView(c.s.root)
	v := &rootView{
		Class: "hudson.model.Hudson", AssignedLabels: []map[string]string{{"name": "built-in"}}, Mode: "NORMAL",
		NodeDescription: "the Jenkins controller's built-in node", NumExecutors: c.s.opts.Executors,
		Jobs: c.showChildren(c.s.root), PrimaryView: all, QuietingDown: c.s.quieting,
		SlaveAgentPort: -1, UnlabeledLoad: bareView{"jenkins.model.UnlabeledLoadStatistics"}, URL: c.root(),
		UseCrumbs: !c.s.opts.NoCrumbs, UseSecurity: true, Views: []lazy{all},
	}
	return v
}

type meView struct {
	Class       string  `json:"_class"`
	AbsoluteURL string  `json:"absoluteUrl"`
	Description *string `json:"description"`
	FullName    string  `json:"fullName"`
	ID          string  `json:"id"`
	Property    []any   `json:"property"`
}

func (c *call) me(rest []string) *reply {
	if c.who.name == "" {
		return c.notFound()
	}
	return c.api(rest, func() any {
		return &meView{
			Class: "hudson.model.User", AbsoluteURL: c.root() + "user/" + c.who.name,
			FullName: c.s.fullNameOf(c.who.name), ID: c.who.name,
		}
	})
}

func (c *call) administer(what string) *reply {
	if r := c.need(Administer, ""); r != nil {
		return r
	}
	if c.r.Method != http.MethodPost {
		return c.needPost()
	}
	switch what {
	case "restart":
		c.s.restart(PlainRestart, c.now)
	case "safeRestart":
		c.s.restart(SafeRestart, c.now)
	case "quietDown":
		c.s.quieting = true
	case "cancelQuietDown":
		c.s.quieting, c.s.safely = false, false
		c.s.changed(c.now)
	default:
		return c.notFound()
	}
	return c.location(http.StatusFound, "")
}

// queue serves what lies below /queue.
func (c *call) queue(rest []string) *reply {
	if len(rest) == 0 {
		return c.notFound()
	}
	switch rest[0] {
	case "api":
		return c.api(rest, c.showQueue)
	case "cancelItem":
		if c.r.Method != http.MethodPost {
			return c.needPost()
		}
		return c.cancel(c.param("id"))
	case "item":
		if len(rest) > 1 {
			return c.queueItem(rest[1], rest[2:])
		}
	}
	return c.notFound()
}

func (c *call) queueItem(id string, rest []string) *reply {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return c.notFound()
	}
	it := c.s.findItem(n, c.now)
	if it == nil {
		return c.notFound()
	}
	if r := c.mayRead(it.job); r != nil {
		return r
	}
	switch {
	case len(rest) == 0 && c.s.version.since(469):
		text := "Queue item exists. For details check, for example, " + c.requestRoot() + "/queue/item/" + id +
			"/api/json?tree=cancelled,executable[url]"
		return newReply(http.StatusOK, "text/plain;charset=utf-8", []byte(text))
	case len(rest) == 0:
		return c.notFound()
	case rest[0] == "cancelQueue":
		if c.r.Method != http.MethodPost {
			return c.needPost()
		}
		return c.cancel(id)
	}
	return c.api(rest, func() any { return c.showQueueItem(it) })
}

// cancel cancels a queue item. Before 2.211 the answer was a redirect whatever happened.
func (c *call) cancel(id string) *reply {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return c.jettyError(http.StatusBadRequest, "Invalid id "+id)
	}
	it := c.s.findItem(n, c.now)
	status := http.StatusNoContent
	switch {
	case it == nil || !c.who.may(JobRead, it.job.fullName()):
		status = http.StatusNotFound
	case !c.who.may(JobCancel, it.job.fullName()):
		status = http.StatusUnprocessableEntity
	case it.state == itemLeft:
		status = http.StatusInternalServerError
	case it.step != nil:
		it.step.interrupt(stopAsked, c.who.String())
	default:
		c.s.cancelItem(it, c.now)
	}
	if !c.s.version.since(211) {
		return c.location(http.StatusFound, "queue/")
	}
	switch status {
	case http.StatusNotFound:
		return c.notFound()
	case http.StatusUnprocessableEntity:
		return c.jettyError(status, "Item.CANCEL permission is missing")
	case http.StatusInternalServerError:
		return c.jettyError(status, "Could not cancel run for id "+id)
	}
	return empty(status)
}
