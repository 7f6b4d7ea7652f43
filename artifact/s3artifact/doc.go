// Package s3artifact keeps an artifact store in a bucket of MinIO or another service that speaks S3, through minio-go.
//
//	client, err := minio.New("minio.example.com:9000", &minio.Options{Creds: credentials.NewEnvMinio(), Secure: true})
//	store, err := s3artifact.Open(ctx, client, "shop-artifacts", nil)
//
// # Layout
//
// An object's name is [Options.Prefix], folder and the SHA-256 of the content:
//
//	blobs/sha256/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//
// # Guarantees
//
//  1. Content is sent only up to its last part before its digest has been verified, and becomes visible with the request that
//     follows. Content of at most one part is sent in one request after it has been verified.
//  2. Each request carries the SHA-256 of its body, which the service checks and keeps, so nothing is changed on the way.
//  3. An object that is there, with the checksum that it would get, is not written again: objects are created on the condition
//     that they do not exist, so a bucket with versions gets none that is new. One that was replaced by something else is
//     repaired.
//  4. One Put holds two parts in memory ([Options.PartSize], 6 MiB unless told otherwise): one is sent while the next is read. It
//     can store 10,000 parts: 58 GiB.
//  5. A part whose connection is cut is sent again by minio-go. When the service stays away, Put fails, and the next Put of the
//     same content by the same store goes on with the parts that have arrived. A store remembers 100 such uploads for a day;
//     those that it forgets, and a second one of the same content, are aborted by the next Put of more than one part.
//  6. An upload that fails otherwise, or is cancelled, is aborted, within 30 seconds that its own context does not shorten. What a
//     killed process leaves is invisible, but is stored and billed until the service's own rule removes it: MinIO does so
//     after a day, elsewhere [ExpireUploads] makes the rule.
//
// The service must list and read after write, as MinIO and AWS do. Durability and versioning are those of the bucket. The
// client needs the rights to put, get, delete and list objects, to list the parts of uploads and abort them, and to list the bucket.
//
// # Errors
//
// A broken connection fails the operation; minio-go repeats requests by its own rules, of which [minio.Options.MaxRetries] is
// one. errors.As finds [minio.ErrorResponse] in what is returned.
package s3artifact
