package jenkinstest

// SCM is a checkout that a build made with the git plugin.
type SCM struct {
	// Remote is the repository's URL.
	Remote string
	// Branch is the ref that was built, as refs/remotes/origin/main.
	Branch string
	// SHA1 is the commit.
	SHA1 string
}

// Checkout records a checkout: the build gets a git BuildData action. A Pipeline that also loads a shared library has
// several.
func (b *Build) Checkout(c SCM) {
	b.Log("Checking out Revision %s (%s)", c.SHA1, c.Branch)
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.scm = append(b.scm, c)
}

type gitBranchView struct {
	SHA1 string `json:"SHA1"`
	Name string `json:"name"`
}

func (gitBranchView) visibility() int { return 999 }

type gitRevisionView struct {
	SHA1   string          `json:"SHA1"`
	Branch []gitBranchView `json:"branch"`
}

func (gitRevisionView) visibility() int { return 999 }

type gitBuildView struct {
	Class    string          `json:"_class"`
	Number   int             `json:"buildNumber"`
	Result   *string         `json:"buildResult"`
	Marked   gitRevisionView `json:"marked"`
	Revision gitRevisionView `json:"revision"`
}

func (gitBuildView) visibility() int { return 999 }

type buildDataView struct {
	Class    string                   `json:"_class"`
	ByBranch map[string]*gitBuildView `json:"buildsByBranchName"`
	Last     gitRevisionView          `json:"lastBuiltRevision"`
	Remotes  []string                 `json:"remoteUrls"`
	SCMName  string                   `json:"scmName"`
}

func (buildDataView) visibility() int { return 999 }

func (c SCM) view(number int) *buildDataView {
	rev := gitRevisionView{SHA1: c.SHA1, Branch: []gitBranchView{{SHA1: c.SHA1, Name: c.Branch}}}
	return &buildDataView{
		Class: "hudson.plugins.git.util.BuildData",
		ByBranch: map[string]*gitBuildView{c.Branch: {
			Class: "hudson.plugins.git.util.Build", Number: number, Marked: rev, Revision: rev,
		}},
		Last: rev, Remotes: []string{c.Remote},
	}
}
