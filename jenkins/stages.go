package jenkins

import (
	"strings"
	"time"

	"github.com/gennaker/gennaker/stage"
)

// The answers of the Pipeline REST API (wfapi), which a plugin adds to Jenkins.

type runInfo struct {
	Status string      `json:"status"`
	Stages []stageInfo `json:"stages"`
}

type stageInfo struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Status   string `json:"status"`
	Duration int64  `json:"durationMillis"`
}

const (
	statusRunning = "IN_PROGRESS"
	statusPaused  = "PAUSED_PENDING_INPUT"
)

// lookStages reports the stages of a Pipeline, and inputs that it waits for, as progress. Jobs without stages and a Jenkins without
// the plugin answer 404.
func (j *job) lookStages(c *stage.Ctx, h *Handle, f *follow, urgent bool) {
	now := time.Now()
	f.stagesDue = now.Add(j.stagesEvery(f, now))
	if f.crowd > 0 {
		f.stagesDue = turn(h.Key, j.stagesEvery(f, now), now)
	}
	var run runInfo
	req := get(buildPath(h.Job, h.Build) + "/wfapi/describe")
	req.accept, req.urgent = "application/json", urgent
	if _, err := j.c.r.decode(c, req, &run); err != nil {
		// Stages are for people only; another error than 404 may pass, and the build is followed without them.
		f.noStages = IsNotFound(err)
		return
	}
	f.report(c, run)
	if run.Status == statusPaused {
		j.lookInputs(c, h, f)
	}
}

// stagesEvery is the time from one look at the stages to the next.
func (j *job) stagesEvery(f *follow, now time.Time) time.Duration {
	d := stagesEvery
	if f.long(now) {
		d = stagesLong
	}
	return max(d, j.share(f, 0.2))
}

// report says which stages began and ended since the last report.
func (f *follow) report(c *stage.Ctx, run runInfo) {
	var active []string
	for _, s := range run.Stages {
		name := clip(printable(s.Name), 100)
		if s.Status == statusRunning || s.Status == statusPaused {
			active = append(active, name)
		}
		if f.stages[s.ID] == s.Status || s.Status == "NOT_EXECUTED" {
			continue
		}
		f.stages[s.ID] = s.Status
		switch s.Status {
		case statusRunning:
			c.Progress("stage %s: started", name)
		case statusPaused:
		default:
			c.Progress("stage %s: %s in %v", name, strings.ToLower(s.Status), (time.Duration(s.Duration) * time.Millisecond).Round(100*time.Millisecond))
		}
	}
	f.stage = ""
	if len(active) > 0 {
		f.stage = "stage " + strings.Join(active, ", ")
	}
}

func slashed(s string) string { return strings.TrimRight(s, "/") + "/" }
