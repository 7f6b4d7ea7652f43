// Package stores holds the suites of the state stores and artifact stores on the
// genuine servers. There is nothing to import here.
//
// Each store passes its conformance suite on a server of its own, keeps what it
// acknowledged through a crash of that server, and passes the tests of its own
// package that need a server. TestKilled kills workers on each of them, bolt
// included, at random moments, and TestFrozen suspends them for longer than their
// leases; their comments have the commands of the long runs.
package stores
