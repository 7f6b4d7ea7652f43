// Package ociartifact speaks to OCI registries: the place where images live, and a store for everything else.
//
//	client, err := ociartifact.New(nil)                                                  // Docker's logins
//	digest, err := client.Digest(ctx, "registry.example.com/shop/web:1.4.2")             // ask once, pin for ever
//	result, err := client.Copy(ctx, "registry.example.com/shop/web@"+string(digest), "registry.example.com/prod/web:1.4.2", nil)
//	store, err := ociartifact.Open(ctx, client, "registry.example.com/shop/artifacts", nil)
//
// # Images
//
// [Client.Digest] and [Client.Resolve] turn a tag into a digest, [Client.Exists] asks whether a registry has an image, and
// [Client.Copy] brings one to another repository or registry with all its platforms and with what refers to it. At one
// registry nothing is sent: blobs are mounted. Referrers are found by the referrers API of the OCI distribution
// specification 1.1 and, where a registry lacks it, by that specification's tag schema; signatures, attestations and SBOMs that
// cosign keeps under tags of its own ("sha256-….sig", ".att", ".sbom") come with the image, too, at the price of a request for
// each tag that there might be. A tag of cosign's that names something else at the destination is left alone.
//
// # The store
//
// An object of the store is a blob and a manifest of artifact type [ObjectType] with a tag made of folder and hash:
//
//	blobs_sha256.9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//
// so it can be pulled by any OCI client, and is safe from garbage collection. Give a store a repository of its own. Delete
// removes tag and manifest, as far as the registry lets; the space is freed by the registry's garbage collection. A list
// reads the repository's tags and one manifest for each object.
//
// # Guarantees
//
//  1. Nothing is visible by a tag before all of it is there: manifests follow their blobs, the tag comes last.
//  2. What is read is verified by [artifact.Verify] or the portable store, manifests included; a changed byte at the source ends a
//     copy with artifact.ErrDigestMismatch. What is written is verified once more by the registry.
//  3. Connections that are cut are taken up, six times without progress at most. Downloads go on from the byte they were at;
//     uploads ask the registry what it has and send the rest. Registries of the distribution project, Harbor among them, can
//     say that only between chunks: after a cut inside of one, Copy sends that blob anew, and Put, whose source cannot be
//     read again, fails and may be repeated. What fails leaves an upload session, which is cancelled if the registry can be
//     reached, and is never visible.
//  4. One Put holds two chunks in memory ([StoreOptions.ChunkSize], 6 MiB), one Copy the manifests (at most 16 MiB, mostly a few
//     KiB) and 256 KiB of each of the three blobs that are copied at once.
//  5. A tag that names something else is not moved unless [CopyOptions.MoveTag] says so.
//  6. Logins are sent to the registry and its token service alone, not to where it redirects, and are in no error. An upload
//     that a registry sends to another host is refused.
//
// A registry keeps one copy of a blob for all repositories and does not look at it again: damage is found by every read,
// but putting the content again may not repair it. Run the registry's own check then.
//
// # Logins
//
// [DockerCredentials], the default, reads Docker's configuration with its credential helpers, as docker, podman and kubectl's
// users have it: passwords and robot accounts (Harbor), tokens (Docker Hub), and helpers such as docker-credential-ecr-login
// (Amazon ECR), -gcr or -acr. Basic authentication and both token protocols of the distribution project are spoken.
//
// # Errors
//
// Operations on images return an [Error], stores an artifact.StoreError. errors.Is finds artifact.ErrNotFound,
// artifact.ErrDigestMismatch, artifact.ErrConflict, [ErrDenied] and a context's cause; errors.As finds what the registry said,
// an errcode.ErrorResponse of oras-go. Requests that change nothing, or the same when they are repeated, are repeated after
// 408, 429, 5xx and broken connections, up to five times within about ten seconds.
//
// # The client library
//
// Package oras.land/oras-go/v2 is beneath. Compared with github.com/google/go-containerregistry, which is the more common one:
// both log in by Docker's configuration, both know indexes and referrers. oras-go lets single requests be sent with its
// logins, which resumable uploads need; it keeps the list of referrers at registries without the API for every manifest type
// of the specification; it refuses redirects that would leak a login; and it depends on three small modules, where
// go-containerregistry's logins bring Docker's own. go-containerregistry models images, for programs that build them: we
// move bytes by digest. Its registry in memory runs our tests, for it is the better fake. oras-go's Copy is not used, as it
// sends a blob anew after a cut connection and does not verify what it reads on the way; its throughput is our yardstick.
//
// # Testing
//
// The tests run on go-containerregistry's registry in memory, and on a genuine one in internal/e2e. For your own tests,
// httptest.NewServer(registry.New()) of that package and [Options.PlainHTTP] are enough.
package ociartifact
