// Package pipeline TBD.
package pipeline
