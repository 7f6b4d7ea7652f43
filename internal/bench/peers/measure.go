package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
)

type report struct {
	CPUs        int              `json:"cpus"`
	Concurrency int              `json:"concurrency"`
	Rounds      int              `json:"rounds"`
	Load        []string         `json:"loadAverage"` // of one minute, before each round
	Engines     []figures        `json:"engines"`
	Ratios      map[string]ratio `json:"gennakerAgainst,omitempty"`
}

type figures struct {
	Engine     string    `json:"engine"`
	Version    string    `json:"version"`
	Setup      string    `json:"setup"`
	Flushing   string    `json:"flushing"`
	Executions int       `json:"executions"`
	PerSecond  float64   `json:"executionsPerSecond"`
	ByRound    []float64 `json:"byRound"`
	CPUms      float64   `json:"cpuMsPerExecution"`
	P50ms      float64   `json:"p50ms"` // of one execution at a time
	Flushes    float64   `json:"flushesPerSingleExecution,omitempty"`
}

// ratio is how many times Gennaker makes the executions of another engine, in
// which part of its CPU time and of its latency.
type ratio struct {
	PerSecond float64 `json:"executionsPerSecond"`
	CPU       float64 `json:"cpu"`
	P50       float64 `json:"p50"`
}

// measure lets the engines take turns. Each round begins with another engine.
func measure(ctx context.Context, s settings) (*report, error) {
	r := &report{CPUs: runtime.NumCPU(), Concurrency: s.inFlight, Rounds: s.rds}
	turns := map[string][]turn{}
	for k := range s.rds {
		r.Load = append(r.Load, load())
		for i := range s.engines {
			name := s.engines[(i+k)%len(s.engines)]
			t, _, err := s.turn(ctx, name, max(1, s.n[name]/s.rds), s.singles, nil)
			if err != nil {
				return nil, err
			}
			turns[name] = append(turns[name], t)
		}
	}
	for _, name := range s.engines {
		f, err := s.sum(ctx, name, turns[name])
		if err != nil {
			return nil, err
		}
		r.Engines = append(r.Engines, f)
	}
	r.Ratios = ratios(r.Engines)
	return r, nil
}

func (s settings) sum(ctx context.Context, name string, turns []turn) (figures, error) {
	e, err := lookup(name)
	if err != nil {
		return figures{}, err
	}
	f := figures{Engine: name, Version: e.version, Setup: e.with}
	var sum turn
	for _, t := range turns {
		sum.Executions, sum.Elapsed, sum.CPU = sum.Executions+t.Executions, sum.Elapsed+t.Elapsed, sum.CPU+t.CPU
		sum.Singles = append(sum.Singles, t.Singles...)
		f.Flushing = t.Flushing
		f.ByRound = append(f.ByRound, round(float64(t.Executions)/t.Elapsed.Seconds()))
	}
	f.Executions = sum.Executions
	f.PerSecond = round(float64(sum.Executions) / sum.Elapsed.Seconds())
	f.CPUms = round(float64(sum.CPU.Microseconds()) / 1000 / float64(sum.Executions))
	f.P50ms = round(median(sum.Singles))
	if s.syncs {
		if f.Flushes, err = s.countSyncs(ctx, name); err != nil {
			return f, err
		}
	}
	return f, nil
}

func ratios(all []figures) map[string]ratio {
	out := map[string]ratio{}
	for _, ours := range all {
		if ours.Engine != "gennaker" {
			continue
		}
		for _, f := range all {
			if f.Engine != ours.Engine {
				out[f.Engine] = ratio{round(ours.PerSecond / f.PerSecond), round(ours.CPUms / f.CPUms), round(ours.P50ms / f.P50ms)}
			}
		}
	}
	return out
}

// turn runs one turn of an engine in a process and a folder of its own. It is put
// behind the words of before, if there are any. It returns the folder's files too.
func (s settings) turn(ctx context.Context, name string, n, singles int, before func(dir string) []string) (t turn, files string, err error) {
	dir, err := os.MkdirTemp(s.dir, name+"-")
	if err != nil {
		return t, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return t, "", err
	}
	self, err := os.Executable()
	if err != nil {
		return t, "", err
	}
	args := []string{self, "-turn", name, "-n", strconv.Itoa(n), "-c", strconv.Itoa(s.inFlight), "-singles", strconv.Itoa(singles), "-dir", data}
	if before != nil {
		args = append(before(dir), args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return t, "", fmt.Errorf("a turn of %s: %w: %s", name, err, tail(errs.String()))
	}
	line := out.Bytes()
	if k := bytes.LastIndexByte(bytes.TrimSpace(line), '\n'); k >= 0 {
		line = line[k+1:]
	}
	if err := json.Unmarshal(line, &t); err != nil {
		return t, "", fmt.Errorf("a turn of %s: %w: %s", name, err, tail(out.String()))
	}
	if before != nil {
		b, err := os.ReadFile(filepath.Join(dir, "trace"))
		return t, string(b), err
	}
	return t, "", nil
}

func tail(s string) string { return s[max(0, len(s)-2000):] }

func round(f float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(f, 'g', 4, 64), 64)
	return r
}

// load is the load average of the last minute, or nothing where it is not known.
func load() string {
	b, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(b), " ")
	return first
}

// module is the version of a module in this program.
func module(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, d := range info.Deps {
		if d.Path == path && d.Replace == nil {
			return d.Version
		}
	}
	return "this tree"
}
