// Package dirartifact keeps an artifact store in a folder of a local file system: for one machine, and for several
// processes on it.
//
//	store, err := dirartifact.Open("/var/lib/shop/artifacts", nil)
//
// # Layout
//
// An object is one plain file, named by the SHA-256 of its content and spread over 256 folders by its first two digits:
//
//	blobs/sha256/9f/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
//
// So sha256sum can check the folder, and rsync can copy it. Files of other names are ignored. Symbolic links are not
// followed out of the folder, and an object that is not a regular file is an error.
//
// # Guarantees
//
//  1. An object is written to a temporary file below ".tmp", synced, renamed into place, and its folder synced. It is visible
//     completely or not at all, also after a crash or a power failure, and durable when Put has returned nil.
//  2. Any number of processes may use the folder at once. Writers of one object do not disturb each other.
//  3. What a crashed process left below ".tmp" is removed by [Open] once nothing has been written to it for an hour. A Put
//     whose source is silent for longer than that fails if another process opens the folder meanwhile; it stores nothing.
//
// Files are created with mode 0640 and folders with mode 0750, reduced by the umask. On Windows, which cannot sync a
// folder, a power failure may undo the last Puts; it never leaves a part of an object. A network file system is as good as
// its rename and fsync.
package dirartifact
