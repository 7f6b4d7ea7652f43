package jenkinstest

// Cause says why a build was started. The zero value is a change of the source code.
type Cause struct {
	// User is the id of the user who started the build; empty for other causes.
	User string
	// RemoteHost is the address of a trigger by the job's token, with its Note.
	RemoteHost, Note string
	// Timer is a schedule of the job.
	Timer bool
	// UpstreamJob and UpstreamBuild are the build that started this one.
	UpstreamJob   string
	UpstreamBuild int
}

func (c Cause) view(s *Server) any {
	v := causeView{ShortDescription: c.description(s)}
	switch {
	case c.User != "":
		v.Class = "hudson.model.Cause$UserIdCause"
		return &userCauseView{v, c.User, s.fullNameOf(c.User)}
	case c.RemoteHost != "":
		v.Class = "hudson.model.Cause$RemoteCause"
		return &remoteCauseView{v, c.RemoteHost, c.Note}
	case c.Timer:
		v.Class = "hudson.triggers.TimerTrigger$TimerTriggerCause"
	case c.UpstreamJob != "":
		v.Class = "hudson.model.Cause$UpstreamCause"
		up := ""
		if n := s.find(c.UpstreamJob); n != nil {
			up = n.path()
		}
		return &upstreamCauseView{v, c.UpstreamBuild, c.UpstreamJob, up}
	default:
		v.Class = "hudson.triggers.SCMTrigger$SCMTriggerCause"
	}
	return &v
}

func (c Cause) description(s *Server) string {
	switch {
	case c.User != "":
		return "Started by user " + s.fullNameOf(c.User)
	case c.RemoteHost != "" && c.Note != "":
		return "Started by remote host " + c.RemoteHost + " with note: " + c.Note
	case c.RemoteHost != "":
		return "Started by remote host " + c.RemoteHost
	case c.Timer:
		return "Started by timer"
	case c.UpstreamJob != "":
		return "Started by upstream project \"" + c.UpstreamJob + "\" build number " + itoa(c.UpstreamBuild)
	}
	return "Started by an SCM change"
}

// logLine is the description as it stands in the log, where a name carries a console note.
func (c Cause) logLine(s *Server) string {
	if c.User != "" {
		return "Started by user " + ConsoleNote("user:"+c.User) + s.fullNameOf(c.User) + "\n"
	}
	return c.description(s) + "\n"
}

type causeView struct {
	Class            string `json:"_class"`
	ShortDescription string `json:"shortDescription"`
}

func (causeView) visibility() int { return 3 }

type userCauseView struct {
	causeView
	UserID   string `json:"userId"`
	UserName string `json:"userName"`
}

type remoteCauseView struct {
	causeView
	Addr string `json:"addr"`
	Note string `json:"note"`
}

type upstreamCauseView struct {
	causeView
	Build   int    `json:"upstreamBuild"`
	Project string `json:"upstreamProject"`
	URL     string `json:"upstreamUrl"`
}
