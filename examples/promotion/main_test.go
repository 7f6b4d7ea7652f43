package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStory(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	dir := t.TempDir()
	require.NoError(t, run(t.Context(), &out, dir, time.Second), out.String())
	text := out.String()
	for _, want := range []string{
		"| prod: soak: ", "approvals: 0 of 1",
		"| nothing that is known runs there", "| {commit shop:1111", "image shop/web:1.0@sha256:",
		"|   commit shop:1111111111111111111111111111111111111111 → commit shop:2222222222222222222222222222222222222222",
		": PASSED for gennaker:shop/prod, by 3 attestations, signed by release",
		"prod runs {commit shop:2222222222222222222222222222222222222222, image shop/web:1.1@sha256:",
		"prod is on hold for automation: rolled back from sha256:",
		"automation would promote something to prod: false",
		"held by olga since",
	} {
		require.Contains(t, text, want, text)
	}
	require.Regexp(t, `(?s)olga takes prod back.*prod runs \{commit shop:1{40}, image shop/web:1.0@sha256:[0-9a-f]{12}\} since [0-9:]+, by olga`, text)
}
