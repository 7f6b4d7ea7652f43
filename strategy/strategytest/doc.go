// Package strategytest tests strategies and targets.
package strategytest
