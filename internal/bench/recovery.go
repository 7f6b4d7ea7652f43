package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
)

// recoveryVictim is the mode of the process that mode recovery kills.
const recoveryVictim = "recovery-victim"

// Of the remote system behind the effects: how long a call takes, and when it
// wants to be asked again.
const (
	callTakes = 20 * time.Millisecond
	askAgain  = 30 * time.Second
)

type recoveryResult struct {
	Mode           string
	Executions     int     `json:"executions"` // all of them with an effect under way when the process was killed
	Seconds        float64 `json:"seconds"`    // from opening the file until all have ended
	OpenSeconds    float64 `json:"openSeconds"`
	StartedAgain   int     `json:"effectsStartedAgain"`
	Calls          int     `json:"effectCalls"`
	MostAtOnce     int     `json:"mostEffectCallsAtOnce"`
	MostIn100ms    int     `json:"mostEffectCallsIn100ms"`
	WritesPerFlush float64 `json:"writesPerFlush"`
}

// remote is an effect on a system that takes its time. While it holds, what it has
// started goes on; then it has ended.
type remote struct {
	holds bool
	begin time.Time

	mu              sync.Mutex
	starts, calls   int
	now, most       int
	polled          map[string]bool
	perTenthOfASec  map[int]int
	everybodyPolled chan struct{}
	want            int
}

func (*remote) Kind() string { return "remote/v1" }

func (r *remote) call(key string, count func()) {
	r.mu.Lock()
	r.calls++
	r.now++
	r.most = max(r.most, r.now)
	r.perTenthOfASec[int(time.Since(r.begin)/(100*time.Millisecond))]++
	count()
	r.mu.Unlock()
	time.Sleep(callTakes)
	r.mu.Lock()
	r.now--
	r.mu.Unlock()
}

func (r *remote) Start(c *stage.Ctx, _ string) (string, error) {
	r.call(c.Key(), func() { r.starts++ })
	return c.Key(), nil
}

func (r *remote) Find(c *stage.Ctx, _ string) (string, bool, error) {
	r.call(c.Key(), func() {})
	return c.Key(), true, nil
}

func (r *remote) Poll(c *stage.Ctx, h *string) (stage.Status[string], error) {
	r.call(*h, func() {
		r.polled[*h] = true
		if len(r.polled) == r.want {
			close(r.everybodyPolled)
			r.want = -1
		}
	})
	if r.holds {
		return stage.Running[string]("under way", askAgain), nil
	}
	return stage.Succeeded("done"), nil
}

func (r *remote) Abort(*stage.Ctx, string) error { return nil }

func newRemote(holds bool, n int) *remote {
	return &remote{
		holds: holds, begin: time.Now(), polled: map[string]bool{}, perTenthOfASec: map[int]int{},
		everybodyPolled: make(chan struct{}), want: n,
	}
}

func remotely(r *remote) *pipeline.Pipeline[string, string] {
	return pipeline.Define("remote", 1, func(b *pipeline.Builder, in pipeline.Ref[string]) pipeline.Ref[string] {
		return stage.Start(b, "effect", r, in)
	})
}

func remoteID(i int) string { return "bench-" + strconv.Itoa(i) }

// victim has n effects under way, says so, and waits to be killed.
func victim(dir string, n int) error {
	r := newRemote(true, n)
	p := remotely(r)
	w, err := work(filepath.Join(dir, "recovery.db"), p)
	if err != nil {
		return err
	}
	err = each(n, 256, func(i int) error {
		_, err := pipeline.Start(context.Background(), w.e, p, remoteID(i), "x")
		return err
	})
	if err != nil {
		return errors.Join(err, w.stop())
	}
	<-r.everybodyPolled
	fmt.Println("ready")
	select {}
}

func recovery(dir string, n int) (res recoveryResult, err error) {
	res = recoveryResult{Mode: "recovery", Executions: n}
	if err := killOne(dir, n); err != nil {
		return res, err
	}
	r := newRemote(false, n)
	p := remotely(r)
	w, err := work(filepath.Join(dir, "recovery.db"), p)
	if err != nil {
		return res, err
	}
	err = each(n, 256, func(i int) error {
		_, err := pipeline.Attach(w.e, p, remoteID(i)).Wait(context.Background())
		return err
	})
	res.Seconds, res.OpenSeconds = time.Since(r.begin).Seconds(), w.open.Seconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	res.StartedAgain, res.Calls, res.MostAtOnce = r.starts, r.calls, r.most
	for _, calls := range r.perTenthOfASec {
		res.MostIn100ms = max(res.MostIn100ms, calls)
	}
	res.WritesPerFlush = float64(w.count.writes.Load()) / float64(w.count.flushes.Load())
	return res, errors.Join(err, w.stop())
}

// killOne runs a victim until all its effects are under way, and kills it.
func killOne(dir string, n int) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-mode", recoveryVictim, "-n", strconv.Itoa(n), "-dir", dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	killed := cmd.Process.Kill()
	_ = cmd.Wait() // says that it was killed
	if err != nil {
		return fmt.Errorf("the process to be killed has not come so far (%q): %w", line, err)
	}
	return killed
}
