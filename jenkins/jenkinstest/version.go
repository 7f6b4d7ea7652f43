package jenkinstest

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultVersion is the Jenkins version simulated when Options.Version is empty.
const DefaultVersion = "2.528.3"

// version is a parsed Jenkins version: two numbers for a weekly release, three for a long-term one.
type version []int

func parseVersion(s string) (version, error) {
	parts := strings.Split(s, ".")
	if len(parts) < 2 || len(parts) > 3 {
		return nil, fmt.Errorf("jenkinstest: version %q: want a form like 2.528 or 2.528.3", s)
	}
	v := make(version, len(parts))
	for i, p := range parts {
		n, err := strconv.Atoi(p)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("jenkinstest: version %q: want a form like 2.528 or 2.528.3", s)
		}
		v[i] = n
	}
	return v, nil
}

// since says whether v is the weekly release 2.weekly or newer. A long-term release carries what its weekly line had.
func (v version) since(weekly int) bool {
	if v[0] != 2 {
		return v[0] > 2
	}
	return v[1] >= weekly
}

// crumbBoundToSession is the fix SECURITY-626: weekly 2.186, and 2.176.2 of the long-term line.
func (v version) crumbBoundToSession() bool {
	return v.since(186) || v[0] == 2 && v[1] == 176 && len(v) == 3 && v[2] >= 2
}
