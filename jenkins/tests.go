package jenkins

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Tests counts the test results that a build published with the JUnit plugin or one that shows its results like it.
type Tests struct {
	Total   int
	Failed  int
	Skipped int
}

// String is like "120 tests, 2 failed, 1 skipped".
func (t Tests) String() string {
	s := fmt.Sprintf("%d tests, %d failed", t.Total, t.Failed)
	if t.Skipped > 0 {
		s += fmt.Sprintf(", %d skipped", t.Skipped)
	}
	return s
}

// A FailedTest is a test case that failed.
type FailedTest struct {
	Class   string
	Name    string
	Message string // the beginning of what it says, at most 1 KiB; may be empty
}

// maxFailedTests bounds the failed tests that are returned.
const maxFailedTests = 1000

// FailedTests returns the tests that failed, at most a thousand, and none if the build published no results. The error is a [StatusError]
// or a [RequestError]; a report that exceeds Options.MaxBody is one, too.
func (b Build) FailedTests(ctx context.Context) ([]FailedTest, error) {
	var report testReport
	const cases = "suites[cases[className,name,status,errorDetails]]"
	_, err := b.c.r.getJSON(ctx, buildPath(b.Job, b.Number)+"/testReport", cases+",childReports[result["+cases+"]]", nil, &report)
	if IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return report.failed(), nil
}

// testReport is a result, or one of several modules or downstream builds.
type testReport struct {
	Suites []struct {
		Cases []testCase `json:"cases"`
	} `json:"suites"`
	Children []struct {
		Result testReport `json:"result"`
	} `json:"childReports"`
}

type testCase struct {
	Class   string `json:"className"`
	Name    string `json:"name"`
	Status  string `json:"status"`
	Message string `json:"errorDetails"`
}

func (r testReport) failed() []FailedTest {
	var all []FailedTest
	for _, s := range r.Suites {
		for _, c := range s.Cases {
			// A regression failed now and passed before.
			if c.Status == "FAILED" || c.Status == "REGRESSION" {
				all = append(all, FailedTest{clip(printable(c.Class), 300), clip(printable(c.Name), 300), clip(c.Message, 1<<10)})
			}
		}
	}
	for _, c := range r.Children {
		all = append(all, c.Result.failed()...)
	}
	return all[:min(len(all), maxFailedTests)]
}

// tests returns what the build's actions say of test results; of several reports the sum.
func (b buildInfo) tests() *Tests {
	var sum Tests
	for _, a := range b.Actions {
		sum.Total += a.Total
		sum.Failed += a.Failed
		sum.Skipped += a.Skipped
	}
	if sum == (Tests{}) {
		return nil
	}
	return &sum
}

// evidence shows the first failed tests above the end of the log.
func (j *job) evidence(ctx context.Context, h Handle, info buildInfo) string {
	tail := j.tail(ctx, h)
	t := info.tests()
	if t == nil || t.Failed == 0 {
		return tail
	}
	lines := []string{t.String() + ":"}
	failed, err := j.c.Build(h.Job, h.Build).FailedTests(ctx)
	if err != nil && !errors.Is(err, context.Canceled) {
		lines = append(lines, "the test report cannot be read: "+err.Error())
	}
	const few = 10
	for i, f := range failed {
		if i == few {
			lines = append(lines, fmt.Sprintf("  and %d more", len(failed)-few))
			break
		}
		message, _, _ := strings.Cut(strings.TrimSpace(f.Message), "\n")
		lines = append(lines, strings.TrimSuffix(fmt.Sprintf("  %s.%s: %s", f.Class, f.Name, clip(printable(message), 160)), ": "))
	}
	head := clip(strings.Join(lines, "\n"), maxTail/2) + "\n\n"
	if over := len(head) + len(tail) - maxTail; over > 0 {
		tail = strings.ToValidUTF8(tail[min(over, len(tail)):], "")
		if i := strings.IndexByte(tail, '\n'); i >= 0 {
			tail = tail[i+1:]
		}
	}
	return head + tail
}
