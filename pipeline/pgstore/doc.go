// Package pgstore keeps the engine's records in one table of PostgreSQL. Several
// processes may share it.
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	store, err := pgstore.Open(ctx, pool, pgstore.Options{})
//
// # Guarantees
//
//  1. A Put is one INSERT or UPDATE with the wanted version in its condition, so
//     that the server decides who wins, at any isolation level.
//  2. A version is 128 random bits, made by the writer, and never comes back, not
//     even after a failover that lost writes.
//  3. A Put that has returned survives the loss of power if the server's fsync is
//     on and synchronous_commit is not off, which Open asks the server;
//     otherwise Info.Durable is false. Whether it survives a failover is decided
//     by synchronous_standby_names: without it, the last transactions may be lost.
//  4. PutMany is one round trip and one transaction, with one flush. Its ops still
//     have outcomes of their own.
//  5. Every record carries a checksum over its key, version and value. What does
//     not match is reported as pipeline.ErrCorrupt and never returned.
//  6. List is exact, and one snapshot per call.
//
// Values may have up to 16 MiB.
//
// # Server
//
// PostgreSQL 12 or newer. Open creates the table if it does not exist, which
// needs the right to; the rest needs SELECT, INSERT, UPDATE and DELETE. Autovacuum
// must run, since every Put leaves a dead row. The pool belongs to the caller and
// may be used for other things. A pooler in transaction mode works if pgx is
// told not to use prepared statements.
//
// # Cancellation and errors
//
// All calls honour their context, also while they wait for a connection. A Put
// that is cancelled after it was sent returns an error that wraps
// pipeline.ErrUnknown and the context's; so does one whose connection broke.
//
// # Testing
//
// The tests run against a genuine server when GENNAKER_POSTGRES is its URL.
package pgstore
