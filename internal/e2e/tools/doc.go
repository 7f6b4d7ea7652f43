// Package tools builds the server programs of the tests from Go modules, once.
//
// Programs are kept in a cache folder, each under a hash of everything that
// decides what is built: module versions, source, Go version and platform. The
// folder is $GENNAKER_E2E_CACHE, else gennaker-e2e in [os.UserCacheDir]. Packages
// that are tested in parallel wait for each other: one builds, the rest find the
// result. Deleting the folder is always safe.
package tools
