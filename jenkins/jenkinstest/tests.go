package jenkinstest

import "time"

// Test is a test case that a build publishes, as the JUnit plugin does.
type Test struct {
	// Class and Name tell which test it is.
	Class, Name string
	// Failed is the message of a test that failed; empty means that it did not.
	Failed string
	// Skipped says that it did not run.
	Skipped bool
	// Took is how long it ran.
	Took time.Duration
}

func (t Test) status() string {
	switch {
	case t.Failed != "":
		return "FAILED"
	case t.Skipped:
		return "SKIPPED"
	}
	return "PASSED"
}

// Tests publishes test results, in addition to those published before. One that failed makes the build Unstable.
func (b *Build) Tests(all ...Test) {
	b.check()
	b.s.mu.Lock()
	defer b.s.mu.Unlock()
	b.write("Recording test results\n")
	b.tests = append(b.tests, all...)
	for _, t := range all {
		if t.Failed != "" {
			b.worsen(Unstable)
		}
	}
}

type testCounts struct {
	failed, skipped int
}

func (b *Build) countTests() testCounts {
	var c testCounts
	for _, t := range b.tests {
		switch t.status() {
		case "FAILED":
			c.failed++
		case "SKIPPED":
			c.skipped++
		}
	}
	return c
}

type testActionView struct {
	Class   string `json:"_class"`
	Failed  int    `json:"failCount"`
	Skipped int    `json:"skipCount"`
	Total   int    `json:"totalCount"`
	URL     string `json:"urlName"`
}

func (testActionView) visibility() int { return 2 }

type testReportView struct {
	Class    string      `json:"_class"`
	Duration any         `json:"duration"`
	Empty    bool        `json:"empty"`
	Failed   int         `json:"failCount"`
	Passed   int         `json:"passCount"`
	Skipped  int         `json:"skipCount"`
	Suites   []suiteView `json:"suites"`
}

type suiteView struct {
	Cases []caseView `json:"cases"`
	Name  string     `json:"name"`
}

func (suiteView) visibility() int { return 999 }

type caseView struct {
	Age       int     `json:"age"`
	Class     string  `json:"className"`
	Error     *string `json:"errorDetails"`
	FailedFor int     `json:"failedSince"`
	Name      string  `json:"name"`
	Skipped   bool    `json:"skipped"`
	Status    string  `json:"status"`
}

func (caseView) visibility() int { return 999 }

func (b *Build) testAction() any {
	n := b.countTests()
	return &testActionView{"hudson.tasks.junit.TestResultAction", n.failed, n.skipped, len(b.tests), "testReport"}
}

// testReport serves …/testReport, which exists once a build has published results.
func (c *call) testReport(b *Build, rest []string) *reply {
	if len(b.tests) == 0 {
		return c.notFound()
	}
	return c.api(rest, func() any {
		n := b.countTests()
		v := &testReportView{
			Class: "hudson.tasks.junit.TestResult", Failed: n.failed, Skipped: n.skipped,
			Passed: len(b.tests) - n.failed - n.skipped,
		}
		var took time.Duration
		suite := suiteView{Name: b.job.name}
		for _, t := range b.tests {
			took += t.Took
			tc := caseView{Class: t.Class, Name: t.Name, Skipped: t.Skipped, Status: t.status(), Error: textOrNull(t.Failed)}
			if t.Failed != "" {
				tc.Age, tc.FailedFor = 1, b.number
			}
			suite.Cases = append(suite.Cases, tc)
		}
		v.Duration, v.Suites = int(took.Seconds()), []suiteView{suite}
		return v
	})
}
