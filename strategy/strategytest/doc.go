// Package strategytest tests strategies and targets.
//
//   - Cluster is a simulated platform that implements strategy.Target: pods that
//     take time, fail, flap and crash, routes that propagate, a controller that
//     rolls, lost replies, failing writes and stale observations. It judges every
//     write by its own true state (Cluster.Violations).
//   - TestTarget is the conformance suite of strategy.Target. Cluster passes it,
//     and whoever implements a Target runs it.
//   - Explore runs a strategy through every crash point, every lost reply and
//     every signal at every step, and checks that the traffic is never in danger,
//     that the end is right and that each signal is obeyed. Run it for a strategy of your own.
//
// # Time
//
// A Cluster follows package time, so a test of several days runs in milliseconds
// in a bubble of testing/synctest. With Options.Clock it stands still except for
// Cluster.Advance, for tests that make each step by themselves with
// Driver.Advance; Explore needs that.
//
// # What the simulation promises
//
//  1. It is deterministic: equal calls at equal times have equal results.
//  2. A route is in force only some time after its write, and for half of that
//     time old and new are mixed, as with several EndpointSlices.
//  3. Pods that do not terminate and are not ready are behind a front as not ready.
//  4. Stale observations are whole: they are what was true some time ago, with
//     the stamps of that time.
//
// It does not simulate nodes, quotas or connections; package kubetest does more
// of that, with the API of Kubernetes.
package strategytest
