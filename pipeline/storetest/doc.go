// Package storetest is the contract of pipeline.Store as a test, and a
// decorator that injects faults into any store.
//
// # Conformance
//
// Run checks one store, RunDurable also checks that the data survives a
// restart and that two openings of the same data do not damage each other:
//
//	func TestStore(t *testing.T) {
//		storetest.RunDurable(t, func(t *testing.T) storetest.Place {
//			path := filepath.Join(t.TempDir(), "state.db")
//			return func() (pipeline.Store, error) { return boltstore.Open(path, boltstore.Options{}) }
//		})
//	}
//
// A store that passes guarantees this:
//
//  1. Of any number of concurrent Puts that want the same version of a key, one
//     at most succeeds; an update is never lost.
//  2. A version never comes back: not by writing the same bytes again, not by
//     deleting the key and creating it again, not by a restart.
//  3. A Put that conflicts, is too large, or had its context cancelled before it
//     began, changes nothing. A Put that reports neither success nor
//     pipeline.ErrUnknown never takes effect later.
//  4. Get sees every Put and Delete that returned before it began.
//  5. List is in ascending order of bytes and complete for keys that exist
//     throughout, however the pages are cut and whatever else is written. With
//     Info.ListLags it may lag behind, but never invents an item.
//  6. Slices are copied both ways.
//  7. The outcomes of a batch are in the order of its Ops and independent.
//
// With such a store an engine keeps its own promises, which the suite checks too:
// after a lost reply it finds its own write by the write's id, large values are
// kept beside the record, no place under a limit is given twice, and a record that is damaged, cut short or of a newer
// program is left as it is.
//
// The suite uses real concurrency and no clock, so it runs against genuine
// servers as well as in memory. Stores given by the open function must be
// empty; the function registers their closing with t.Cleanup.
//
// # Faults
//
// Faulty wraps a store, numbers every write and lets a hook decide what becomes
// of it: refused, written but not acknowledged, held back, overtaken by a rival,
// or the last thing before a crash. A test that first counts the writes and then
// crashes at each of them has enumerated all crash points. List can be frozen to
// show an old state. Faulty starts no goroutine and uses package time only for
// a requested delay, so it works in a testing/synctest bubble.
package storetest
