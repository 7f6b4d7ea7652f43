package artifact

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits on the fields of an artifact, in bytes. They bound what a set costs wherever it is recorded.
const (
	maxNameLen     = 512
	maxVersionLen  = 256
	maxLocationLen = 2048
	maxKeyLen      = 128
	maxMetadataLen = 64 << 10
)

// Validate returns nil when a may be part of a [Set], and otherwise an [ArtifactError] with every reason found. It wraps
// [ErrNoDigest] when an image, a chart or manifests carry no digest, and [ErrInvalid] for everything else. The rules are
// those documented at the fields.
func (a Artifact) Validate() error {
	err := errors.Join(
		a.Kind.Validate(),
		checkText("name", a.Name, maxNameLen),
		a.checkName(),
		checkText("version", a.Version, maxVersionLen),
		a.checkDigest(),
		a.checkCommit(),
		checkText("location", a.Location, maxLocationLen),
		checkCredentials(a.Location),
		a.checkImageLocation(),
		checkMetadata(a.Metadata),
	)
	if err != nil {
		return &ArtifactError{Kind: a.Kind, Name: clip(a.Name), Err: err}
	}
	return nil
}

func (a Artifact) checkName() error {
	switch {
	case a.Name == "":
		return fmt.Errorf("%w: name is empty", ErrInvalid)
	case strings.ContainsFunc(a.Name, unicode.IsSpace):
		return fmt.Errorf("%w: name contains a space", ErrInvalid)
	}
	return nil
}

func (a Artifact) checkDigest() error {
	if a.Digest != "" {
		return a.Digest.Validate()
	}
	if a.Kind.needsDigest() {
		return fmt.Errorf("%w: what is deployed must be pinned; record the digest that the build or the registry reports", ErrNoDigest)
	}
	return nil
}

func (a Artifact) checkCommit() error {
	if a.Kind != KindCommit {
		return nil
	}
	if n := len(a.Version); n != 40 && n != 64 || !isLowerHex(a.Version) {
		return fmt.Errorf("%w: version %q is not a full commit id (40 or 64 hexadecimal digits); resolve the branch or tag first",
			ErrInvalid, clip(a.Version))
	}
	return nil
}

// checkImageLocation refuses an image whose location would fetch something else than its digest says.
func (a Artifact) checkImageLocation() error {
	if a.Kind != KindImage || a.Location == "" {
		return nil
	}
	ref, err := ParseReference(a.Location)
	if err != nil {
		return fmt.Errorf("location: %w", err)
	}
	if ref.Digest() != a.Digest {
		return fmt.Errorf("%w: location %q is not pinned to the artifact's digest %s", ErrInvalid, clip(a.Location), a.Digest.Short())
	}
	return nil
}

// checkText refuses what cannot be shown on one line or cannot be written as JSON and read back unchanged.
func checkText(field, s string, limit int) error {
	switch {
	case len(s) > limit:
		return fmt.Errorf("%w: %s has %d bytes, at most %d are allowed", ErrInvalid, field, len(s), limit)
	case !utf8.ValidString(s):
		return fmt.Errorf("%w: %s is not UTF-8", ErrInvalid, field)
	case strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) }):
		return fmt.Errorf("%w: %s contains a character that cannot be seen", ErrInvalid, field)
	}
	return nil
}

// checkCredentials refuses locations that carry a secret. The message does not repeat the location for that reason.
func checkCredentials(location string) error {
	if !strings.Contains(location, "://") {
		return nil
	}
	u, err := url.Parse(location)
	if err != nil {
		return fmt.Errorf("%w: location is not a URL", ErrInvalid)
	}
	_, password := u.User.Password()
	// Over http a user name alone is often an access token; over ssh it is "git".
	token := u.User != nil && (u.Scheme == "http" || u.Scheme == "https")
	if password || token {
		return fmt.Errorf("%w: location carries credentials; remove what stands before the @", ErrInvalid)
	}
	return nil
}

func checkMetadata(metadata map[string]string) error {
	total := 0
	for key, value := range metadata {
		total += len(key) + len(value)
		if !isMetadataKey(key) {
			return fmt.Errorf("%w: metadata key %q: want 1 to %d ASCII letters, digits or any of ._/-", ErrInvalid, clip(key), maxKeyLen)
		}
		if !utf8.ValidString(value) {
			return fmt.Errorf("%w: metadata %q is not UTF-8", ErrInvalid, key)
		}
	}
	if total > maxMetadataLen {
		return fmt.Errorf("%w: metadata has %d bytes, at most %d are allowed", ErrInvalid, total, maxMetadataLen)
	}
	return nil
}

// isMetadataKey keeps keys to ASCII so that their sort order, which the set's digest depends on, is the same in bytes, in
// UTF-16 and in every language.
func isMetadataKey(key string) bool {
	if key == "" || len(key) > maxKeyLen {
		return false
	}
	for i := range len(key) {
		if !isAlnum(key[i]) && !strings.ContainsRune("._/-", rune(key[i])) {
			return false
		}
	}
	return true
}
