package main

import (
	"sync"

	"github.com/gennaker/gennaker/pipeline"
)

// complaint tells people that the state cannot be written. The engine goes on
// trying, as it must; without a word that would look like a release that hangs.
type complaint struct {
	view view

	mu   sync.Mutex
	last string // what the person has been told
}

func (c *complaint) OnEvent(string, string, pipeline.Event) {}
func (c *complaint) OnCall(pipeline.CallInfo)               {}

func (c *complaint) OnWrite(w pipeline.WriteInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	text := ""
	if w.Err != nil {
		text = w.Err.Error()
	}
	if text != "" && text != c.last {
		c.view.note("the state cannot be written, nothing goes on until it can: %v", w.Err)
	}
	c.last = text
}
