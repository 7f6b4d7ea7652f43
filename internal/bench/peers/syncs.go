package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

func haveStrace() bool {
	_, err := exec.LookPath("strace")
	return err == nil
}

// countSyncs counts the flushes of single executions from the system calls of one
// more turn, which is slow and not measured otherwise.
func (s settings) countSyncs(ctx context.Context, name string) (float64, error) {
	const singles = 20
	_, trace, err := s.turn(ctx, name, 1, singles, func(dir string) []string {
		return []string{"strace", "-f", "-qq", "-e", "trace=fsync,fdatasync,sync_file_range,msync", "-o", filepath.Join(dir, "trace")}
	})
	if err != nil {
		return 0, err
	}
	n, err := syncsBetweenMarks(trace)
	return float64(n) / singles, err
}

// syncsBetweenMarks counts the flushes between the two that fail on purpose.
func syncsBetweenMarks(trace string) (int, error) {
	marks, n := 0, 0
	for line := range strings.Lines(trace) {
		switch {
		case strings.Contains(line, "fsync(-1)"):
			marks++
		case marks == 1 && strings.Contains(line, "sync") && strings.HasSuffix(strings.TrimSpace(line), "= 0"):
			n++
		}
	}
	if marks != 2 {
		return 0, fmt.Errorf("the trace has %d marks, not 2: %s", marks, tail(trace))
	}
	return n, nil
}
