package gennaker_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMECodeIsCompiled checks that every block of Go in the README names the
// file that it is from and stands there, apart from indentation.
func TestREADMECodeIsCompiled(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	blocks := regexp.MustCompile("(?s)(<!-- (\\S+) -->\n)?```go\n(.*?)```").FindAllStringSubmatch(string(readme), -1)
	require.NotEmpty(t, blocks)
	for _, b := range blocks {
		require.NotEmpty(t, b[2], "a block without the comment that names its file:\n%s", b[3])
		source, err := os.ReadFile(b[2])
		require.NoError(t, err)
		require.Contains(t, flat(string(source)), flat(b[3]), "the block is not in %s any more", b[2])
	}
}

// flat removes what differs by indentation only.
func flat(code string) string {
	var lines []string
	for line := range strings.Lines(code) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
