// Package artifacttest tests backends of the artifact store, and programs that use one.
//
// [Run] is the contract of [driver.Driver] as a test suite; every backend passes it, and a backend of your own should:
//
//	func TestConformance(t *testing.T) {
//		artifacttest.Run(t, func(t *testing.T) driver.Driver { return newMyDriver(t) })
//	}
//
// Part of the suite is what happens to content that somebody changes behind the store's back. It does that by putting the
// wrong bytes through the driver, or, if the driver under test implements [Tamperer], by asking it to.
//
// [Faulty] makes a backend fail on demand, to see what a program does about it.
package artifacttest
