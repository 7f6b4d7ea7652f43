//go:build !temporal

package main

// temporalEntry is empty: without -tags temporal that engine is left out, because
// compiling its server takes minutes.
func temporalEntry() map[string]entry { return nil }
