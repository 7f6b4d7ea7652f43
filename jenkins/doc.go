// Package jenkins TBD.
package jenkins
