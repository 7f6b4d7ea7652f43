// Package redisstore keeps the engine's records in Redis or Valkey. Several
// processes may share it.
//
//	store, err := redisstore.Open(ctx, redisstore.Config{
//		Server: &redis.UniversalOptions{Addrs: []string{"redis:6379"}}, Prefix: "shop",
//	})
//
// # Guarantees
//
//  1. A Put compares and sets in one script, so that the server decides who wins.
//  2. A version is 128 random bits, made by the writer, and never comes back, not
//     even after a failover that lost writes.
//  3. A request is sent once. After a lost reply Put returns pipeline.ErrUnknown;
//     it recognises its own write when the request has been repeated on the way.
//  4. Info.Durable is true if the server flushes its append-only file at every
//     write, which Open asks the server: "appendonly yes", "appendfsync always".
//     Otherwise a power loss may take the last second, or everything, with it,
//     and with that Info.Durable is false.
//  5. Every record carries a checksum over its key, version and value. What does
//     not match is reported as pipeline.ErrCorrupt and never returned.
//  6. List is exact within each page.
//
// Values may have up to 16 MiB. PutMany is pipelined: one round trip, and with
// "appendfsync always" one flush for all that arrive together.
//
// # Server
//
// Set appendonly yes, appendfsync always and maxmemory-policy noeviction; Open
// refuses a server that may evict records. Replication of Redis is asynchronous:
// a failover to a replica, by Sentinel or in a cluster, may lose writes that were
// acknowledged, whatever Info.Durable says. An execution then repeats what it
// forgot; effects that are found by their key are still not doubled. For
// certainty, restart the same server on the same disk instead of promoting a
// replica, or use another store. In a cluster, all records of a prefix are on
// one node. All records are in the two keys {prefix}:records and {prefix}:keys.
//
// # Cancellation and errors
//
// A context that has ended is noticed before a request is sent. A deadline ends
// the wait for the reply; a cancellation does not, the reply is awaited up to
// the client's read timeout (three seconds by default), so that the outcome is
// known. What the server answers with an error was not written; a connection that
// breaks leaves pipeline.ErrUnknown.
//
// # Testing
//
// The tests run against a genuine server when GENNAKER_REDIS names its address.
// They need a server for themselves.
package redisstore
