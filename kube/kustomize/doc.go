// Package kustomize builds Manifests of package kube from kustomization files.
//
// # Model
//
// [Build] copies a file system into memory, lets Kustomize's own library build
// one directory of it, and returns the objects:
//
//	//go:embed deploy
//	var files embed.FS
//
//	app := kube.App{..., Manifests: kustomize.Build(files, "deploy/overlays/prod")}
//
// What follows is as with every other manifest: images are bound to artifacts
// by name, ConfigMaps and Secrets are versioned by content. A generator's own
// name suffix is therefore not needed (generatorOptions.disableNameSuffixHash);
// it does no harm.
//
// # Guarantees
//
//  1. A build is a function of the file system: nothing is fetched, cloned,
//     executed or read from disk. Remote bases and files, Helm charts, and
//     generators, transformers and validators, which may be programs, are
//     refused by name before anything is built.
//  2. A file outside the directory that refers to it is refused, as kustomize
//     build does by default; bases and components may lie anywhere in the file
//     system.
//  3. At most [MaxFiles] files and [MaxBytes] bytes are copied.
//
// # Errors
//
// Build returns no error: what is wrong is in Manifests.Err, as a
// *kube.ManifestError, and is reported with everything else by App.Validate.
//
// # Testing
//
// Use fstest.MapFS, or the embedded files themselves.
package kustomize
