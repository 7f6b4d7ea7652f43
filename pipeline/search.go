package pipeline

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Summary is what a search tells of an execution.
type Summary struct {
	ID        string            `json:"id"`
	Pipeline  string            `json:"pipeline"`
	Version   int               `json:"version"`
	Status    Status            `json:"status"`
	Reason    string            `json:"reason,omitempty"` // why it failed or was cancelled
	StartedBy string            `json:"startedBy,omitempty"`
	Labels    map[string]string `json:"labels,omitempty"`
	Created   time.Time         `json:"created"`
	Ended     time.Time         `json:"ended,omitzero"`
	Archived  bool              `json:"archived,omitempty"`
	Parked    string            `json:"parked,omitempty"` // why its record cannot be read; then only ID is known
}

// Query says which executions are wanted. The zero Query wants all that are not
// in the archive.
type Query struct {
	Pipeline string            // by name; "" means any
	Status   []Status          // any of these; empty means any
	Labels   map[string]string // all of these
	Since    time.Time         // started then or later
	Until    time.Time         // started before; zero means no bound
	Archived bool              // look into the archive, too
	After    string            // the Page.Next of the page before; "" is the first page
	Limit    int               // how many to return at most; 0 means 100
	Scan     int               // how many records to look at at most; 0 means 10,000
}

// Page is a part of what a search has found.
type Page struct {
	Found []Summary
	// Next continues the search as the After of the same Query; "" says that there
	// is no more. A page may be short, even empty, with more to come: Query.Scan
	// bounds the work.
	Next string
}

// Search finds executions. There is no index: it reads records in the order of
// ids, those of the archive last, and decodes a part of each, until it has Limit
// of them or has looked at Scan. A search of everything therefore costs what
// reading every record costs; on s3 that is a request each.
// Executions that start or end meanwhile may be missed, and one that is archived
// meanwhile may be found twice.
// Records that cannot be read are found, as parked, by a Query that names neither
// pipeline nor status, labels nor times.
//
// Errors: ErrInvalid for an After that is no Page.Next or a Status that there is
// not, or the store's.
func (e *Embedded) Search(ctx context.Context, q Query) (Page, error) {
	if q.Limit <= 0 {
		q.Limit = 100
	}
	if q.Scan <= 0 {
		q.Scan = 10_000
	}
	var p Page
	for _, s := range q.Status {
		if !slices.Contains(statuses, s) {
			return p, fmt.Errorf("search: there is no status %q; want %s: %w", s, list(statuses), ErrInvalid)
		}
	}
	prefix, after := execPrefix, ""
	if q.After != "" {
		prefix, after = q.After[:min(2, len(q.After))], q.After
		if prefix != execPrefix && prefix != archivePrefix {
			return p, fmt.Errorf("search: After is %q, want the Next of a page: %w", q.After, ErrInvalid)
		}
	}
	for scanned := 0; ; {
		items, err := e.store.List(ctx, prefix, after, min(256, q.Scan-scanned))
		if err != nil {
			return Page{}, fmt.Errorf("search: %w", err)
		}
		for _, it := range items {
			after = it.Key
			scanned++
			s, ok, err := e.match(ctx, q, prefix, it)
			if err != nil {
				return Page{}, fmt.Errorf("search: %w", err)
			}
			if ok {
				p.Found = append(p.Found, s)
			}
			if len(p.Found) == q.Limit || scanned == q.Scan {
				p.Next = after
				return p, nil
			}
		}
		switch {
		case len(items) > 0:
		case prefix == execPrefix && q.Archived:
			prefix, after = archivePrefix, ""
		default:
			return p, nil
		}
	}
}

// list joins values for people, as in "a, b or c".
func list[T ~string](all []T) string {
	var b strings.Builder
	for i, v := range all {
		switch {
		case i == 0:
		case i == len(all)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(v))
	}
	return b.String()
}

// match reports whether the query wants a stored record.
func (e *Embedded) match(ctx context.Context, q Query, prefix string, it Item) (Summary, bool, error) {
	h, err := readHead(it.Key, it.Value)
	if err != nil {
		any := q.Pipeline == "" && q.Status == nil && q.Labels == nil && q.Since.IsZero() && q.Until.IsZero()
		return Summary{ID: it.Key[len(prefix):], Parked: err.Error(), Archived: prefix == archivePrefix}, any, nil
	}
	if h.Gone != "" || !q.wants(h) {
		return Summary{}, false, nil
	}
	if prefix == archivePrefix { // a move that has not been completed left a copy
		switch live, err := e.store.Get(ctx, execPrefix+h.ID); {
		case err == nil && !isTombstone(live.Value):
			return Summary{}, false, nil
		case err != nil && !errors.Is(err, ErrNotFound):
			return Summary{}, false, err
		}
	}
	return Summary{
		ID: h.ID, Pipeline: h.Pipeline, Version: h.Version, Status: h.Status, Reason: h.Reason, StartedBy: h.StartedBy,
		Labels: h.Labels, Created: h.Created, Ended: h.Ended, Archived: prefix == archivePrefix,
	}, true, nil
}

func (q *Query) wants(h head) bool {
	for k, v := range q.Labels {
		if have, ok := h.Labels[k]; !ok || have != v {
			return false
		}
	}
	return (q.Pipeline == "" || q.Pipeline == h.Pipeline) &&
		(len(q.Status) == 0 || slices.Contains(q.Status, h.Status)) &&
		!h.Created.Before(q.Since) && (q.Until.IsZero() || h.Created.Before(q.Until))
}

// The limits of labels.
const (
	maxLabels     = 32
	maxLabelValue = 256
)

var labelPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?$`)

func checkLabels(labels map[string]string) error {
	if len(labels) > maxLabels {
		return fmt.Errorf("%d labels, at most %d are allowed: %w", len(labels), maxLabels, ErrInvalid)
	}
	for k, v := range labels {
		if !labelPattern.MatchString(k) {
			return fmt.Errorf("label %q: want 1 to 63 letters, digits, '.', '_', '/', '-', the first and last a letter or digit: %w", k, ErrInvalid)
		}
		if len(v) > maxLabelValue || strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return fmt.Errorf("label %q: its value is longer than %d bytes or has control characters: %w", k, maxLabelValue, ErrInvalid)
		}
	}
	return nil
}
