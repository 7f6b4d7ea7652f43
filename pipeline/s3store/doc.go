// Package s3store keeps the engine's records as objects in a bucket of MinIO,
// Amazon S3 or another server with conditional writes. Several processes may
// share a bucket and prefix; nothing else is needed, no database and no lock.
//
//	store, err := s3store.Open(ctx, s3store.Config{
//		Endpoint: "minio.example.com", Secure: true, Bucket: "shop-state", Prefix: "prod",
//		Credentials: credentials.NewEnvMinio(),
//	})
//
// # Guarantees
//
//  1. A Put is one PUT request with If-None-Match or If-Match, so the server
//     decides who wins. Open probes that the server honours both, and refuses one
//     that accepts the headers and ignores them.
//  2. A version is the object's ETag. Each write carries 128 random bits in its
//     body, so that the same value never has the same ETag twice.
//  3. A request is sent once. After a lost reply Put returns pipeline.ErrUnknown;
//     it never reports a conflict with its own first attempt, and it recognises
//     its own write when a proxy has repeated the request.
//  4. A Put that has returned is as durable as the server makes it. MinIO flushes
//     to its drives before it answers; with erasure coding, the loss of drives up
//     to the parity is survived.
//  5. Every object carries a checksum over its key and value. What does not match
//     is reported as pipeline.ErrCorrupt and never returned.
//  6. List is as exact as the server's; that of MinIO and Amazon S3 is. Set
//     Config.ListLags for one whose list lags behind.
//
// Values may have up to 16 MiB. A Put costs one round trip, List one per page
// and one per item. Throughput is the server's; there is no group commit.
//
// # Server
//
// The bucket must exist. The credentials need s3:GetObject, s3:PutObject,
// s3:DeleteObject on its objects and s3:ListBucket. Without versioning, nothing
// more is to be done. With versioning, old versions and delete markers pile up:
// add a lifecycle rule that expires noncurrent versions, for example after a
// day. Do not expire current objects, do not replicate the bucket in both
// directions (two sites would both accept a conditional write), and do not put a
// cache in front of it.
//
// MinIO holds a lock on an object from the head of a conditional PUT to the end of
// its body, and lets nobody else read or write the object meanwhile. A process that
// is suspended just then (SIGSTOP, a paused machine) would keep others from its
// records until its connection ends. So head and body of requests of up to 64 KiB
// leave in one piece, with one system call, or one for each 16 KiB if Config.Secure is
// set. A Transport of your own needs a WriteBufferSize of 72 KiB for that and, with
// TLS, DynamicRecordSizingDisabled.
//
// # Keys
//
// A key becomes an object name that sorts in the same order and that every
// server accepts: letters, digits and "-" stand for themselves, "/" becomes
// ".s/", other characters are escaped, and each name ends in "!": "x/rel-42" is
// "x.s/rel-42!". A key whose name would exceed 1,024 bytes with the prefix is
// refused; 250 bytes of any characters fit beside a prefix of 250.
//
// # Cancellation and errors
//
// All calls honour their context. A Put whose context ends while the request is
// under way returns an error that wraps pipeline.ErrUnknown and the context's.
// Answers that leave open whether something was written (5xx) are
// pipeline.ErrUnknown too; a connection that was never made is not.
//
// # Testing
//
// The tests run against a genuine server when GENNAKER_MINIO names it, as in
// "http://user:password@127.0.0.1:9000".
package s3store
