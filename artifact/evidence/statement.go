package evidence

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/gennaker/gennaker/artifact"
)

// Types of the in-toto attestation framework, version 1.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PayloadType   = "application/vnd.in-toto+json"
)

// A Statement is an in-toto statement: a predicate about subjects.
type Statement struct {
	Type          string          `json:"_type"` // StatementType
	Subject       []Resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate,omitempty"`
}

// A Resource is in-toto's resource descriptor: something that is named and identified by digests. Members that this package
// does not use are ignored, as in-toto wants it.
type Resource struct {
	Name string `json:"name,omitempty"`
	URI  string `json:"uri,omitempty"`
	// Digest is by algorithm, in lower-case hexadecimal digits: "sha256" for content, "gitCommit" for commits.
	Digest      map[string]string `json:"digest,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// Predicate is what a statement claims.
type Predicate interface {
	// Type is the predicate's type URI.
	Type() string
	// Validate reports what is missing.
	Validate() error
}

// About returns a statement about a set. Its first subject is the set, by its digest; the artifacts of the set that have
// digests follow, so that tools that know nothing of sets find the statement for an image. The error is an [*Error] that
// wraps [ErrMalformed] if the set is empty, or the predicate is nil or not valid, or is a [TestResult]
// that does not say when the run ended.
func About(set artifact.Set, p Predicate) (Statement, error) {
	if set.IsZero() {
		return Statement{}, malformed("a statement is about a set, and the set is empty")
	}
	if v := reflect.ValueOf(p); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return Statement{}, malformed("a statement claims something, and the predicate is nil")
	}
	if err := p.Validate(); err != nil {
		return Statement{}, malformed("%v", err)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return Statement{}, malformed("predicate: %v", err)
	}
	claim, err := parsePredicate(Statement{PredicateType: p.Type(), Predicate: raw})
	if err != nil {
		return Statement{}, err
	}
	if t, ok := claim.(TestResult); ok && t.Finished().IsZero() {
		return Statement{}, malformed("test result of suite %q without the time when the run ended; NewTestResult notes it, as annotation %q of the first configuration, in RFC 3339", clip(t.Suite()), finishedOn)
	}
	subjects := []Resource{{Name: "set", Digest: sha256Of(set.Digest())}}
	for a := range set.All() {
		if a.Digest != "" {
			subjects = append(subjects, Resource{Name: string(a.Kind) + "/" + a.Name, Digest: sha256Of(a.Digest)})
		}
	}
	return Statement{Type: StatementType, Subject: subjects, PredicateType: p.Type(), Predicate: raw}, nil
}

func sha256Of(d artifact.Digest) map[string]string { return map[string]string{"sha256": d.Hex()} }

// ParseStatement decodes a statement and checks what in-toto requires of one: its type, subjects with digests, a predicate
// type. It does not look into the predicate. The error is an [*Error] that wraps [ErrMalformed].
func ParseStatement(data []byte) (Statement, error) {
	var s Statement
	if err := decode(data, &s); err != nil {
		return Statement{}, malformed("statement: %v", err)
	}
	switch {
	case s.Type != StatementType:
		return Statement{}, malformed("statement of type %q; want %q", clip(s.Type), StatementType)
	case s.PredicateType == "":
		return Statement{}, malformed("statement without a predicateType")
	case len(s.Subject) == 0:
		return Statement{}, malformed("statement without a subject")
	case slices.ContainsFunc(s.Subject, func(r Resource) bool { return len(r.Digest) == 0 }):
		return Statement{}, malformed("statement with a subject that has no digest")
	}
	return s, nil
}

// covers reports whether the statement is about content of digest d.
func (s Statement) covers(d artifact.Digest) bool {
	return d != "" && slices.ContainsFunc(s.Subject, func(r Resource) bool { return r.Digest["sha256"] == d.Hex() })
}

// coversSet reports whether the statement is about the set of digest d. A subject that [About] has named as an artifact of
// another set does not count: anybody may put the JSON of a set into a set of his own, as a file.
func (s Statement) coversSet(d artifact.Digest) bool {
	return d != "" && slices.ContainsFunc(s.Subject, func(r Resource) bool {
		kind, _, named := strings.Cut(r.Name, "/")
		return r.Digest["sha256"] == d.Hex() && !(named && artifact.Kind(kind).Validate() == nil)
	})
}

// decode reads one JSON value and nothing after it.
func decode(data []byte, v any) error {
	if len(data) > MaxSize {
		return fmt.Errorf("%d bytes, at most %d are allowed", len(data), MaxSize)
	}
	return json.Unmarshal(data, v)
}

func clip(s string) string {
	const limit = 200
	if len(s) <= limit {
		return s
	}
	return s[:limit] + "…"
}
