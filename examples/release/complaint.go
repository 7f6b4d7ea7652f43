package main

import (
	"context"
	"errors"
	"sync"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// complaint tells people what keeps the release waiting: a state that cannot be
// written, a Jenkins or a Kubernetes that does not answer. The engine goes on
// trying, as it must; without a word that would look like a release that hangs.
type complaint struct {
	view view

	mu   sync.Mutex
	last map[string]string // what the person has been told, by what it is about
}

func (c *complaint) OnEvent(string, string, pipeline.Event) {}

func (c *complaint) OnCall(call pipeline.CallInfo) {
	err := call.Err
	if call.Op == "exec" || stage.IsPermanent(err) || errors.Is(err, context.Canceled) {
		err = nil // not tried again: how the stage ends says it
	}
	c.tell(call.Stage, call.Stage+": "+call.Op+" is tried again: ", err)
}

func (c *complaint) OnWrite(w pipeline.WriteInfo) {
	err := w.Err
	if errors.Is(err, pipeline.ErrConflict) {
		err = nil // the store works: somebody was there before, such as the run that is resumed
	}
	c.tell("", "the state cannot be written, nothing goes on until it can: ", err)
}

// tell says it once, and again after it was better or different.
func (c *complaint) tell(about, opening string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	if err != nil {
		text = opening + err.Error()
	}
	if text != "" && text != c.last[about] {
		c.view.note("%s", text)
	}
	if c.last == nil {
		c.last = map[string]string{}
	}
	c.last[about] = text
}
