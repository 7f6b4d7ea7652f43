package storetest

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gennaker/gennaker/pipeline"
)

// rooms is a task that is in the room which its input names for a moment, and notices
// whether somebody else is.
type rooms struct {
	mu      sync.Mutex
	in      map[string]int
	visits  int
	crowded []string
}

func (*rooms) Kind() string { return "storetest.room/v1" }

func (r *rooms) Exec(c *pipeline.Call) (json.RawMessage, error) {
	room := string(c.Input)
	r.enter(room, 1)
	time.Sleep(time.Millisecond)
	r.enter(room, -1)
	return c.Input, nil
}

func (r *rooms) enter(room string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.in[room] += n
	if n > 0 {
		r.visits++
	}
	if r.in[room] > 1 {
		r.crowded = append(r.crowded, room)
	}
}

// testLimits lets engines, two if the store is shared, take and give back places at the
// same time. No place is given twice, none is lost, and nothing is left behind.
func testLimits(t *testing.T, s pipeline.Store) {
	const visitors, visits, keys = 4, 6, 2
	r := &rooms{in: map[string]int{}}
	p := pipeline.Define("storetest-limits", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		return pipeline.Add[string](b, pipeline.Node{ID: "room", Work: r, Input: in})
	}, pipeline.LimitedBy(func(room string) string { return room }, pipeline.Limit{Max: 1}))
	var engines []*pipeline.Embedded
	var stops []func()
	for range map[bool]int{false: 1, true: 2}[s.Info().Shared] {
		e, stop := runEngine(t, s, p)
		engines, stops = append(engines, e), append(stops, stop)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for who := range visitors {
		wg.Go(func() { // one after the other, so that the last place is often given back
			for i := range visits {
				id, room := fmt.Sprintf("limit-%d-%d", who, i), fmt.Sprint("room-", (who+i)%keys)
				run, err := pipeline.Start(ctx, engines[who%len(engines)], p, id, room)
				if err == nil {
					_, err = run.Wait(ctx)
				}
				if err != nil {
					t.Errorf("execution %s: %v", id, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, stop := range stops {
		stop()
	}
	// A task may run again when an engine finds that the other one has the execution.
	if r.visits < visitors*visits || len(r.crowded) > 0 {
		t.Errorf("%d visits, and two at a time in %v; want %d or more, and none", r.visits, r.crowded, visitors*visits)
	}
	eventually(t, s, func() error {
		items, err := s.List(t.Context(), "m/", "", 0)
		for _, item := range items {
			if strings.Contains(string(item.Value), "room-") {
				err = fmt.Errorf("%s still has %s", item.Key, item.Value)
			}
		}
		return err
	})
}
