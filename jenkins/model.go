package jenkins

import (
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// The objects of the remote API, with the fields that this package asks for. gojenkins' types lack some of them, cannot tell null from
// absent, and fail on actions of plugins they do not know.

type action struct {
	Parameters []parameter `json:"parameters"`
	Causes     []cause     `json:"causes"`
	Total      int         // test results, of which there is one action at most in most builds
	Failed     int
	Skipped    int
}

// UnmarshalJSON ignores what does not look like parameters or causes: plugins put all sorts of things into actions.
func (a *action) UnmarshalJSON(data []byte) error {
	var raw struct {
		Parameters json.RawMessage `json:"parameters"`
		Causes     json.RawMessage `json:"causes"`
		Total      json.RawMessage `json:"totalCount"`
		Failed     json.RawMessage `json:"failCount"`
		Skipped    json.RawMessage `json:"skipCount"`
		URL        json.RawMessage `json:"urlName"`
	}
	if json.Unmarshal(data, &raw) != nil {
		return nil
	}
	if json.Unmarshal(raw.Parameters, &a.Parameters) != nil {
		a.Parameters = nil
	}
	if json.Unmarshal(raw.Causes, &a.Causes) != nil {
		a.Causes = nil
	}
	if string(raw.URL) == `"testReport"` {
		for _, n := range []struct {
			from json.RawMessage
			to   *int
		}{{raw.Total, &a.Total}, {raw.Failed, &a.Failed}, {raw.Skipped, &a.Skipped}} {
			if json.Unmarshal(n.from, n.to) != nil || *n.to < 0 {
				*n.to = 0
			}
		}
	}
	return nil
}

type parameter struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

func (p parameter) text() string {
	var s string
	if json.Unmarshal(p.Value, &s) == nil {
		return s
	}
	return strings.TrimSpace(string(p.Value)) // true, 7
}

type cause struct {
	UserID string `json:"userId"`
}

// actions are those of a build or of a queue item.
type actions []action

// has reports whether a parameter has the value. Jenkins may cut spaces around it.
func (as actions) has(name, value string) bool {
	got, ok := as.value(name)
	return ok && strings.TrimSpace(got) == strings.TrimSpace(value)
}

func (as actions) value(name string) (string, bool) {
	for _, a := range as {
		for _, p := range a.Parameters {
			if p.Name == name && p.Value != nil {
				return p.text(), true
			}
		}
	}
	return "", false
}

func (as actions) by(user string) bool {
	return slices.ContainsFunc(as, func(a action) bool {
		return slices.ContainsFunc(a.Causes, func(c cause) bool { return c.UserID == user })
	})
}

const actionsTree = "actions[parameters[name,value],causes[userId]]"

type jobInfo struct {
	Class     string `json:"_class"`
	Buildable *bool  `json:"buildable"`
	Disabled  bool   `json:"disabled"`
	Next      int64  `json:"nextBuildNumber"`
	LastBuild *struct {
		Number int64 `json:"number"`
	} `json:"lastBuild"`
	Property []struct {
		Definitions []definition `json:"parameterDefinitions"`
	} `json:"property"`
}

const jobTree = "buildable,disabled,nextBuildNumber,lastBuild[number],property[parameterDefinitions[name,type,choices]]"

type definition struct {
	Name    string   `json:"name"`
	Type    string   `json:"type"`
	Choices []string `json:"choices"`
}

func (j jobInfo) definitions() []definition {
	var all []definition
	for _, p := range j.Property {
		all = append(all, p.Definitions...)
	}
	return all
}

type queueItem struct {
	Class     string `json:"_class"`
	ID        int64  `json:"id"`
	Cancelled bool   `json:"cancelled"`
	Why       string `json:"why"`
	Task      struct {
		URL string `json:"url"`
	} `json:"task"`
	Executable *struct {
		Number int64  `json:"number"`
		URL    string `json:"url"`
	} `json:"executable"`
	Actions actions `json:"actions"`
}

const itemTree = "id,cancelled,why,task[url],executable[number,url]," + actionsTree

type buildInfo struct {
	Number     int64  `json:"number"`
	QueueID    int64  `json:"queueId"`
	Building   bool   `json:"building"`
	InProgress bool   `json:"inProgress"` // since 2.369
	Result     string `json:"result"`
	Timestamp  int64  `json:"timestamp"`
	Duration   int64  `json:"duration"`
	Estimated  int64  `json:"estimatedDuration"`
	URL        string `json:"url"`
	Artifacts  []struct {
		Path string `json:"relativePath"`
	} `json:"artifacts"`
	Actions actions `json:"actions"`
}

const (
	scanTree  = "number,queueId,timestamp,url," + actionsTree
	buildTree = "number,queueId,building,inProgress,result,timestamp,duration,estimatedDuration,url,artifacts[relativePath]," +
		"actions[parameters[name,value],causes[userId],totalCount,failCount,skipCount,urlName]"
)

// ended reports whether nothing of the build goes on. A result alone says nothing: publishers still run.
func (b buildInfo) ended() bool { return !b.Building && !b.InProgress }

func (b buildInfo) started() time.Time { return time.UnixMilli(b.Timestamp) }

// parameters are the values of the declared parameters, but those of passwords, which Jenkins does not show.
func (b buildInfo) parameters() map[string]string {
	params := map[string]string{}
	for _, a := range b.Actions {
		for _, p := range a.Parameters {
			if p.Value != nil {
				params[p.Name] = p.text()
			}
		}
	}
	return params
}

func (b buildInfo) files() []string {
	names := make([]string, len(b.Artifacts))
	for i, a := range b.Artifacts {
		names[i] = a.Path
	}
	return names
}
