package artifact

import "fmt"

// Kind says what an artifact is. The constants are the kinds this library knows how to handle; a program may use kinds of
// its own, written as a lower-case word of at most 63 letters, digits and hyphens that starts with a letter.
type Kind string

// The kinds of artifact that the library's own packages produce and consume.
const (
	// KindImage is a container image or image index in an OCI registry. Its Location is a pinned reference
	// (repository@digest), its Digest that of the manifest or index, its Version the tag it was found under.
	KindImage Kind = "image"
	// KindChart is a packaged Helm chart. Its Digest is that of the archive or of its OCI manifest.
	KindChart Kind = "chart"
	// KindManifests is a bundle of rendered Kubernetes manifests. Its Digest is that of the bundle's bytes.
	KindManifests Kind = "manifests"
	// KindFile is any other file. Its Digest is that of its bytes, or empty when nobody has read them, as for a file that
	// a build server archives.
	KindFile Kind = "file"
	// KindCommit is a Git commit. Its Version is the full commit id, 40 or 64 hexadecimal digits, and is what pins it; its
	// Digest is empty, as Git's own ids are not SHA-256 digests of a stream of bytes.
	KindCommit Kind = "commit"
)

// maxKindLen is the longest kind accepted, in bytes.
const maxKindLen = 63

// Validate reports whether k is a well-formed kind, known to the library or not.
func (k Kind) Validate() error {
	if k == "" {
		return fmt.Errorf("%w: kind is empty; use one of image, chart, manifests, file, commit", ErrInvalid)
	}
	if len(k) > maxKindLen {
		return fmt.Errorf("%w: kind has %d bytes, at most %d are allowed", ErrInvalid, len(k), maxKindLen)
	}
	for i := range len(k) {
		c := k[i]
		if isLower(c) || i > 0 && (isDigit(c) || c == '-') {
			continue
		}
		return fmt.Errorf("%w: kind %q is not a lower-case word of letters, digits and hyphens", ErrInvalid, string(k))
	}
	return nil
}

// needsDigest reports whether an artifact of kind k is invalid without a digest. These are the kinds that run in a
// cluster: what is deployed must be, byte for byte, what was verified.
func (k Kind) needsDigest() bool {
	return k == KindImage || k == KindChart || k == KindManifests
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }
func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }
func isAlnum(c byte) bool { return isLower(c) || isUpper(c) || isDigit(c) }

func isLowerHex(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) && (s[i] < 'a' || s[i] > 'f') {
			return false
		}
	}
	return true
}
