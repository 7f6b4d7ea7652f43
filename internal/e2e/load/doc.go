// Package load sends a bounded, steady stream of HTTP requests and counts every
// answer and every failure.
//
// It is the witness of the claim that no traffic is dropped, so it errs on the
// side of counting: whatever isn't a 2xx answer with its whole body read is a
// failure. With GET, the default, Go's client repeats a request on a fresh
// connection when a kept-alive one was closed under it, as most clients do; with
// POST every such case is counted as a failure too.
//
// Guarantees:
//
//  1. A load ends by itself at the latest after Options.MaxDuration or
//     Options.MaxRequests. Stop waits until no request is in flight.
//  2. Requests + Skipped in the report is the number of ticks; a request that
//     could not be sent in time because all workers were busy is Skipped, not hidden.
//  3. Only addresses of this machine are accepted as targets.
package load
