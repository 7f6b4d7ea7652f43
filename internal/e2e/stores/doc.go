// Package stores runs the tests of every store that needs a server, its
// conformance suite above all, on the genuine server.
//
// There is nothing to import. The packages' own tests are run as they are, so that
// whatever they test against a server is tested here; a test that is skipped fails
// unless what it tests is optional.
package stores
