package jenkinstest

import (
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Kind is the kind of an item. The zero value is a freestyle job.
type Kind int

// The kinds of items.
const (
	// Freestyle is a classic job: one build at a time unless Concurrent, on an executor.
	Freestyle Kind = iota
	// Pipeline is a Jenkinsfile job: builds run beside each other unless Serial, and start without an executor.
	Pipeline
	// Folder holds other items. AddJob makes missing folders by itself.
	Folder
	// Multibranch holds one Pipeline per branch, named by its encoded branch: "repo/feature%2Flogin".
	Multibranch
)

// Concurrency says whether builds of a job run beside each other. The zero value is the usual for the kind of job.
type Concurrency int

// The choices of concurrency.
const (
	// ConcurrencyOfKind is Serial for freestyle jobs and Concurrent for Pipelines.
	ConcurrencyOfKind Concurrency = iota
	// Serial lets a build wait, blocked, until the one before it ended.
	Serial
	// Concurrent lets builds run beside each other.
	Concurrent
)

// Job describes an item of Jenkins. The zero value of everything but Name is a freestyle job without parameters whose
// builds succeed at once.
type Job struct {
	// Name is the full name, with the names of the folders before slashes. A branch of a multibranch project is named
	// by its encoded name, as Jenkins does: "repo/feature%2Flogin".
	Name string
	// Kind is the kind of item; the zero value is Freestyle.
	Kind Kind
	// DisplayName is shown to people; empty means the last element of Name.
	DisplayName string
	// Description is shown to people.
	Description string
	// Parameters are the declared build parameters. None means that the job is not parameterised.
	Parameters []Parameter
	// ParametersInJenkinsfile makes a Pipeline declare its Parameters during its first build only: before, the job is
	// not parameterised.
	ParametersInJenkinsfile bool
	// Disabled refuses builds with 409.
	Disabled bool
	// Concurrency says whether builds run beside each other.
	Concurrency Concurrency
	// Label restricts a freestyle job to the agents with that label; empty means the controller.
	Label string
	// QuietPeriod replaces the global one; 0 means the global one and a negative value none.
	QuietPeriod time.Duration
	// Token is the remote trigger token with which a build may be started without the permission to build, also by GET.
	Token string
	// Keep is how many ended builds are kept when another ends; 0 keeps all.
	Keep int
	// Refuse lets a queue decision handler veto each build: the answer is 302 to the job's page, and nothing is queued. It
	// must not call the Server.
	Refuse func(params map[string]string) bool
	// Duration is how long a build takes before Build is called; 0 means no time at all.
	Duration time.Duration
	// Build is what a build does, called on a goroutine of its own. Nil means nothing, and the build succeeds.
	Build func(b *Build)
	// Lag widens windows that are short in a fast Jenkins.
	Lag Lag
}

// Lag holds the lengths of moments in which Jenkins contradicts itself. Zero means that the moment does not occur.
type Lag struct {
	// ExecutableNull is how long a left queue item has no executable yet; meanwhile no build exists.
	ExecutableNull time.Duration
	// BuildHidden is how long a build with a number answers 404 and is missing from lists.
	BuildHidden time.Duration
	// EarlyResult is how long before its end a build already shows its result.
	EarlyResult time.Duration
	// PostProduction is how long a build that is no longer building still writes its log: freestyle builds show
	// inProgress meanwhile, Pipelines do not.
	PostProduction time.Duration
	// Artifacts is how long an archived file answers 404 although the build lists it.
	Artifacts time.Duration
}

// node is an item in the tree.
type node struct {
	spec     Job
	name     string
	parent   *node
	children []*node

	next      int // number of the next build
	builds    []*Build
	declared  bool // the Jenkinsfile's parameters are known
	durations []time.Duration
}

func (n *node) isFolder() bool { return n.spec.Kind == Folder || n.spec.Kind == Multibranch }

func (n *node) concurrent() bool {
	return n.spec.Concurrency == Concurrent || n.spec.Concurrency == ConcurrencyOfKind && n.spec.Kind == Pipeline
}

func (n *node) fullName() string {
	if n.parent == nil || n.parent.parent == nil {
		return n.name
	}
	return n.parent.fullName() + "/" + n.name
}

func (n *node) fullDisplayName() string {
	if n.parent == nil || n.parent.parent == nil {
		return n.displayName()
	}
	return n.parent.fullDisplayName() + " » " + n.displayName()
}

func (n *node) displayName() string {
	if n.spec.DisplayName != "" {
		return n.spec.DisplayName
	}
	if n.parent != nil && n.parent.spec.Kind == Multibranch {
		if s, err := url.PathUnescape(n.name); err == nil {
			return s
		}
	}
	return n.name
}

// path is the item's path below the context path, as job/folder/job/shop/.
func (n *node) path() string {
	if n.parent == nil {
		return ""
	}
	return n.parent.path() + "job/" + url.PathEscape(n.name) + "/"
}

func (n *node) child(name string) *node {
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	// A multibranch project resolves a branch by its decoded name too.
	if n.spec.Kind == Multibranch {
		for _, c := range n.children {
			if s, err := url.PathUnescape(c.name); err == nil && s == name {
				return c
			}
		}
	}
	return nil
}

// parameters are the definitions that Jenkins knows at this moment.
func (n *node) parameters() []Parameter {
	if n.spec.ParametersInJenkinsfile && n.spec.Kind == Pipeline && !n.declared {
		return nil
	}
	return n.spec.Parameters
}

func (n *node) build(number int) *Build {
	for i := len(n.builds) - 1; i >= 0; i-- {
		if n.builds[i].number == number {
			return n.builds[i]
		}
	}
	return nil
}

func (n *node) running() *Build {
	for i := len(n.builds) - 1; i >= 0; i-- {
		if n.builds[i].state != stateCompleted {
			return n.builds[i]
		}
	}
	return nil
}

// estimate is the mean of the last three successful durations, or -1.
func (n *node) estimate() time.Duration {
	if len(n.durations) == 0 {
		return -1
	}
	var sum time.Duration
	for _, d := range n.durations {
		sum += d
	}
	return sum / time.Duration(len(n.durations))
}

// AddJob adds an item and the folders above it that do not exist yet. It panics when the name is empty or taken or lies
// below something that is no folder: those are mistakes of the test.
func (s *Server) AddJob(j Job) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.addJob(j); err != nil {
		panic("jenkinstest: " + err.Error())
	}
}

func (s *Server) addJob(j Job) error {
	parts := strings.Split(j.Name, "/")
	at := s.root
	for i, part := range parts {
		last := i == len(parts)-1
		c := at.child(part)
		switch {
		case part == "" || part == "." || part == "..":
			return fmt.Errorf("job %q: empty or relative element in the name", j.Name)
		case !at.isFolder():
			return fmt.Errorf("job %q: %q is no folder", j.Name, at.fullName())
		case last && c != nil:
			return fmt.Errorf("job %q: exists already", j.Name)
		case c == nil:
			c = &node{spec: Job{Name: strings.Join(parts[:i+1], "/"), Kind: Folder}, name: part, parent: at, next: 1}
			at.children = append(at.children, c)
		}
		if last {
			c.spec = j
		}
		at = c
	}
	return nil
}

// find resolves a full name; nil when there is none.
func (s *Server) find(name string) *node {
	at := s.root
	for part := range strings.SplitSeq(name, "/") {
		if at = at.child(part); at == nil {
			return nil
		}
	}
	return at
}

func (s *Server) mustFind(name string) *node {
	n := s.find(name)
	if n == nil {
		panic("jenkinstest: job " + name + ": not found; add it with AddJob")
	}
	return n
}
