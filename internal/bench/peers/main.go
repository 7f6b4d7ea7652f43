// Peers measures the embedded engine beside three other durable engines on the
// same pipeline, with equal durability, and prints one JSON object. The README
// one folder up says how it is fair and what came out.
//
//	go -C internal/bench/peers run -tags temporal . -n 24000,dbos=3000,go-workflows=1536,temporal=1536
//
// Without the tag, Temporal is left out: compiling its server takes many minutes.
//
// An execution is five no-op tasks, build → unit ∥ lint → deploy → verify, with
// 1 KiB in and out of each. Engines take turns; each turn is a process of its own
// with a fresh file, so that no engine pays for another's timers or garbage.
//
// The flags: -engines, those to run, by commas (default all that are compiled in:
// gennaker, dbos, go-workflows, temporal); -n, executions of each in all rounds together: a number
// for all, or name=number, by commas (default as above); -c, executions in flight
// (256); -singles, executions of a round that run one at a time, for p50ms (40);
// -rounds (3); -dir, a folder for the files (default a temporary one); -syncs,
// whether to count flushes with strace, which must be installed (default: if it is).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
)

type settings struct {
	engines                []string
	n                      map[string]int
	inFlight, singles, rds int
	dir                    string
	syncs                  bool
}

func main() {
	engines := flag.String("engines", strings.Join(names(), ","), "the engines, by commas")
	n := flag.String("n", "24000,dbos=3000,go-workflows=1536,temporal=1536", "executions of each engine in all: a number, name=number, by commas")
	c := flag.Int("c", 256, "executions in flight")
	singles := flag.Int("singles", 40, "executions of a round that run one at a time")
	rounds := flag.Int("rounds", 3, "rounds")
	dir := flag.String("dir", "", "folder for the files; default a temporary one")
	syncs := flag.Bool("syncs", haveStrace(), "count flushes with strace")
	turn := flag.String("turn", "", "internal: make one turn of this engine")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var out any
	var err error
	if *turn != "" {
		out, err = takeTurn(ctx, *turn, *dir, number(*n), *c, *singles)
	} else {
		s := settings{engines: strings.Split(*engines, ","), inFlight: *c, singles: *singles, rds: *rounds, dir: *dir, syncs: *syncs}
		if s.n, err = perEngine(*n, s.engines); err == nil {
			out, err = measure(ctx, s)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
	enc := json.NewEncoder(os.Stdout)
	if *turn == "" {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(out); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// perEngine reads "24000,dbos=3000".
func perEngine(s string, engines []string) (map[string]int, error) {
	n := map[string]int{}
	for _, name := range engines {
		if !slices.Contains(names(), name) {
			return nil, fmt.Errorf("unknown engine %q: there are %s", name, strings.Join(names(), ", "))
		}
	}
	for part := range strings.SplitSeq(s, ",") {
		name, value, named := strings.Cut(part, "=")
		if !named {
			value = name
		}
		k, err := strconv.Atoi(value)
		if err != nil || k < 1 {
			return nil, fmt.Errorf("-n %q: want a number above zero, or engine=number", part)
		}
		for _, e := range engines {
			if _, set := n[e]; e == name || !named && !set {
				n[e] = k
			}
		}
	}
	for _, e := range engines {
		if n[e] == 0 {
			return nil, fmt.Errorf("-n %q has no number for %s", s, e)
		}
	}
	return n, nil
}
