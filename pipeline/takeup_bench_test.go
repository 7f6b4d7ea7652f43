package pipeline

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkRecord encodes, decodes and glances at the record of an execution of
// five stages with payloads of 1 KiB that has nearly ended.
func BenchmarkRecord(b *testing.B) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	payload := json.RawMessage(mustJSON(strings.Repeat("x", 1<<10)))
	r := &record{
		Format: 1, MinReader: 1, Rev: 7, Epoch: 1, Writer: "w/1", ID: "x", Pipeline: "p", Version: 1, Plan: "h",
		Status: Running, Created: now, Input: payload,
	}
	for k := range 5 {
		s := stageRec{ID: fmt.Sprint("stage-", k), Status: StageSucceeded, Gen: 1, Attempt: 1, Output: payload, Started: now, Ended: now}
		r.Stages = append(r.Stages, s)
		r.event(now, EventStageStarted, s.ID, "", "")
		r.event(now, EventStageSucceeded, s.ID, "", "")
	}
	raw := r.encode(nil)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, len(raw))
		for b.Loop() {
			buf = r.encode(buf[:0])
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, err := decodeRecord("x/x", raw)
			require.NoError(b, err)
		}
	})
	b.Run("glance", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			require.Equal(b, Running, peek(raw).Status)
		}
	})
}
