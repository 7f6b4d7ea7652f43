package jenkinstest

type buildBase struct {
	Class             string         `json:"_class"`
	Actions           []any          `json:"actions"`
	Artifacts         []artifactView `json:"artifacts"`
	Building          bool           `json:"building"`
	Description       *string        `json:"description"`
	DisplayName       string         `json:"displayName"`
	Duration          int64          `json:"duration"`
	EstimatedDuration int64          `json:"estimatedDuration"`
	Executor          any            `json:"executor"`
	FullDisplayName   string         `json:"fullDisplayName"`
	ID                string         `json:"id"`
	InProgress        *bool          `json:"inProgress,omitempty"`
	KeepLog           bool           `json:"keepLog"`
	Number            int            `json:"number" vis:"2"`
	QueueID           int64          `json:"queueId"`
	Result            *string        `json:"result"`
	Timestamp         int64          `json:"timestamp"`
	URL               string         `json:"url" vis:"2"`
}

type freestyleBuildView struct {
	buildBase
	BuiltOn   string        `json:"builtOn"`
	ChangeSet changeSetView `json:"changeSet"`
	Culprits  []any         `json:"culprits"`
}

type pipelineBuildView struct {
	buildBase
	ChangeSets    []any `json:"changeSets"`
	Culprits      []any `json:"culprits"`
	NextBuild     any   `json:"nextBuild"`
	PreviousBuild any   `json:"previousBuild"`
}

type neighbourView struct {
	Number int    `json:"number" vis:"2"`
	URL    string `json:"url" vis:"2"`
}

type changeSetView struct {
	Class string  `json:"_class"`
	Items []any   `json:"items"`
	Kind  *string `json:"kind"`
}

func (changeSetView) visibility() int { return 2 }

type artifactView struct {
	DisplayPath  string `json:"displayPath"`
	FileName     string `json:"fileName"`
	RelativePath string `json:"relativePath"`
}

func (artifactView) visibility() int { return 3 }

type executorView struct {
	Class string `json:"_class"`
}

type actionView struct {
	Class  string  `json:"_class"`
	Causes *[]any  `json:"causes,omitempty"`
	Params *[]any  `json:"parameters,omitempty"`
	User   *string `json:"userId,omitempty"`
}

func (actionView) visibility() int { return 2 }

type queueItemBase struct {
	Class        string  `json:"_class"`
	Actions      []any   `json:"actions"`
	Blocked      bool    `json:"blocked"`
	Buildable    bool    `json:"buildable"`
	ID           int64   `json:"id"`
	InQueueSince int64   `json:"inQueueSince"`
	Params       string  `json:"params"`
	Stuck        bool    `json:"stuck"`
	Task         any     `json:"task"`
	URL          string  `json:"url"`
	Why          *string `json:"why"`
}

func (queueItemBase) visibility() int { return 999 }

type waitingItemView struct {
	queueItemBase
	Timestamp int64 `json:"timestamp"`
}

type blockedItemView struct {
	queueItemBase
	BuildableStart int64 `json:"buildableStartMilliseconds"`
}

type buildableItemView struct {
	queueItemBase
	BuildableStart int64 `json:"buildableStartMilliseconds"`
	Pending        bool  `json:"pending"`
}

type leftItemView struct {
	queueItemBase
	Cancelled  bool `json:"cancelled"`
	Executable any  `json:"executable"`
}

type executableView struct {
	Class  string `json:"_class"`
	Number int    `json:"number"`
	URL    string `json:"url"`
}

func (executableView) visibility() int { return 999 }

type taskView struct {
	Class string  `json:"_class"`
	Name  string  `json:"name,omitempty"`
	URL   string  `json:"url,omitempty"`
	Color *string `json:"color,omitempty"`
}

func (taskView) visibility() int { return 999 }

type queueView struct {
	Class        string `json:"_class"`
	Discoverable []any  `json:"discoverableItems"`
	Items        []any  `json:"items" inline:"true"`
}
