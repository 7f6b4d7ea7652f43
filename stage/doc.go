// Package stage TBD.
package stage
