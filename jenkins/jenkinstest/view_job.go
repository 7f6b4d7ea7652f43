package jenkinstest

// The views are the exported objects of Jenkins' remote API: field order, visibility and class names are those of the
// beans of Jenkins' core and of the Pipeline, folder and branch plugins.

type crumbView struct {
	Class string `json:"_class"`
	Crumb string `json:"crumb"`
	Field string `json:"crumbRequestField"`
}

type bareView struct {
	Class string `json:"_class"`
}

type itemBase struct {
	Class             string  `json:"_class"`
	Actions           []any   `json:"actions"`
	Description       *string `json:"description"`
	DisplayName       string  `json:"displayName"`
	DisplayNameOrNull *string `json:"displayNameOrNull"`
	FullDisplayName   string  `json:"fullDisplayName"`
	FullName          string  `json:"fullName"`
	Name              string  `json:"name" vis:"999"`
	URL               string  `json:"url" vis:"999"`
}

type folderView struct {
	itemBase
	HealthReport []any  `json:"healthReport"`
	Jobs         []lazy `json:"jobs"`
	PrimaryView  lazy   `json:"primaryView"`
	Views        []lazy `json:"views"`
	Sources      []any  `json:"sources,omitempty"`
}

type jobBase struct {
	itemBase
	Buildable             bool   `json:"buildable"`
	AllBuilds             lazy   `json:"allBuilds" vis:"-2"`
	Builds                lazy   `json:"builds"`
	Color                 string `json:"color" vis:"2"`
	FirstBuild            lazy   `json:"firstBuild"`
	HealthReport          []any  `json:"healthReport"`
	InQueue               bool   `json:"inQueue"`
	KeepDependencies      bool   `json:"keepDependencies"`
	LastBuild             lazy   `json:"lastBuild"`
	LastCompletedBuild    lazy   `json:"lastCompletedBuild"`
	LastFailedBuild       lazy   `json:"lastFailedBuild"`
	LastStableBuild       lazy   `json:"lastStableBuild"`
	LastSuccessfulBuild   lazy   `json:"lastSuccessfulBuild"`
	LastUnstableBuild     lazy   `json:"lastUnstableBuild"`
	LastUnsuccessfulBuild lazy   `json:"lastUnsuccessfulBuild"`
	NextBuildNumber       int    `json:"nextBuildNumber"`
	Property              []any  `json:"property"`
	QueueItem             lazy   `json:"queueItem"`
	ConcurrentBuild       bool   `json:"concurrentBuild"`
	Disabled              bool   `json:"disabled"`
}

type freestyleView struct {
	jobBase
	DownstreamProjects []any    `json:"downstreamProjects"`
	LabelExpression    *string  `json:"labelExpression"`
	SCM                bareView `json:"scm"`
	UpstreamProjects   []any    `json:"upstreamProjects"`
}

type pipelineView struct {
	jobBase
	ResumeBlocked bool `json:"resumeBlocked"`
}

type propertyView struct {
	Class       string `json:"_class"`
	Definitions []any  `json:"parameterDefinitions,omitempty"`
}

func (propertyView) visibility() int { return 2 }

type definitionView struct {
	Class       string   `json:"_class"`
	Default     any      `json:"defaultParameterValue"`
	Description *string  `json:"description"`
	Name        string   `json:"name"`
	Type        string   `json:"type"`
	Choices     []string `json:"choices,omitempty"`
}

func (definitionView) visibility() int { return 3 }

type valueView struct {
	Class string `json:"_class"`
	Name  string `json:"name"`
	Value any    `json:"value,omitempty"`
}

func (valueView) visibility() int { return 4 }

type runValueView struct {
	Class   string `json:"_class"`
	Name    string `json:"name"`
	JobName string `json:"jobName"`
	Number  string `json:"number"`
}

func (runValueView) visibility() int { return 4 }

type healthView struct {
	Description string `json:"description"`
	IconClass   string `json:"iconClassName"`
	IconURL     string `json:"iconUrl"`
	Score       int    `json:"score"`
}

func (healthView) visibility() int { return 2 }

type viewView struct {
	Class string `json:"_class"`
	Name  string `json:"name" vis:"999"`
	URL   string `json:"url" vis:"999"`
}

type rootView struct {
	Class           string              `json:"_class"`
	AssignedLabels  []map[string]string `json:"assignedLabels"`
	Mode            string              `json:"mode"`
	NodeDescription string              `json:"nodeDescription"`
	NodeName        string              `json:"nodeName"`
	NumExecutors    int                 `json:"numExecutors"`
	Description     *string             `json:"description"`
	Jobs            []lazy              `json:"jobs"`
	OverallLoad     bareView            `json:"overallLoad"`
	PrimaryView     lazy                `json:"primaryView"`
	QuietDownReason *string             `json:"quietDownReason"`
	QuietingDown    bool                `json:"quietingDown"`
	SlaveAgentPort  int                 `json:"slaveAgentPort"`
	UnlabeledLoad   bareView            `json:"unlabeledLoad"`
	URL             string              `json:"url"`
	UseCrumbs       bool                `json:"useCrumbs"`
	UseSecurity     bool                `json:"useSecurity"`
	Views           []lazy              `json:"views"`
}
