package driver

import (
	"fmt"
	"strings"
)

// A Key names an object. Keys are safe as file names, as URL paths and as object names in every backend, and differ in more
// than letter case.
type Key struct {
	// Folder is one or more parts joined by "/", at most 200 bytes. A part is lower-case letters, digits and hyphens, starts
	// with a letter or digit, and is not itself a hash, so that no object has the name of a folder; write "sha256-<hash>".
	Folder string
	// Hash is the SHA-256 of the content as 64 lower-case hexadecimal digits.
	Hash string
}

const (
	maxFolderLen = 200
	hashLen      = 64
)

// String returns folder and hash joined by "/".
func (k Key) String() string { return k.Folder + "/" + k.Hash }

// Validate reports whether the key has the form described at its fields. A driver that is given an invalid key returns this
// error and touches nothing.
func (k Key) Validate() error {
	if err := ValidateFolder(k.Folder); err != nil {
		return err
	}
	if !IsHash(k.Hash) {
		return fmt.Errorf("key %q: the hash is not 64 lower-case hexadecimal digits", k)
	}
	return nil
}

// ValidateFolder reports whether folder has the form described at [Key].
func ValidateFolder(folder string) error {
	if len(folder) > maxFolderLen {
		return fmt.Errorf("folder of %d bytes: at most %d are allowed", len(folder), maxFolderLen)
	}
	for part := range strings.SplitSeq(folder, "/") {
		if part == "" || part[0] == '-' || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return fmt.Errorf("folder %q: want parts of lower-case letters, digits and hyphens, joined by \"/\"", folder)
		}
		if IsHash(part) {
			return fmt.Errorf("folder %q: a part is a hash; write sha256-%s", folder, part)
		}
	}
	return nil
}

// IsHash reports whether s is 64 lower-case hexadecimal digits.
func IsHash(s string) bool {
	return len(s) == hashLen && strings.Trim(s, "0123456789abcdef") == ""
}
