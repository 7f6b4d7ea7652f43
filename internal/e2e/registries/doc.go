// Package registries holds the suites of package ociartifact on a genuine registry.
// There is nothing to import here.
package registries
