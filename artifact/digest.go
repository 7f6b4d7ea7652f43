package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
)

// A Digest is the SHA-256 of some content, written "sha256:" and 64 lower-case hexadecimal digits, as in the OCI image
// specification. The empty Digest means that there is none; it is not the digest of empty content.
//
// SHA-256 is the only algorithm: one content has one Digest, so digests can be compared with ==.
type Digest string

const (
	digestPrefix = "sha256:"
	digestHexLen = 2 * sha256.Size
	digestLen    = len(digestPrefix) + digestHexLen
)

// ParseDigest returns s as a Digest, or a [DigestError] when it is not one.
func ParseDigest(s string) (Digest, error) {
	d := Digest(s)
	if err := d.Validate(); err != nil {
		return "", err
	}
	return d, nil
}

// FromBytes returns the digest of b.
func FromBytes(b []byte) Digest {
	sum := sha256.Sum256(b)
	return digestOf(sum[:])
}

// FromReader reads r to its end, in constant memory, and returns the digest of what it read. The error is the reader's
// own.
func FromReader(r io.Reader) (Digest, error) {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return "", err
	}
	return digestOf(h.Sum(nil)), nil
}

func digestOf(sum []byte) Digest { return Digest(digestPrefix + hex.EncodeToString(sum)) }

// Validate returns a [DigestError] unless d is "sha256:" and 64 lower-case hexadecimal digits. It wraps [ErrNoDigest] when
// d is empty and [ErrInvalid] otherwise.
func (d Digest) Validate() error {
	if reason := d.check(); reason != nil {
		return &DigestError{Text: clip(string(d)), Err: reason}
	}
	return nil
}

// check returns the reason alone, for errors that already quote the digest.
func (d Digest) check() error {
	if d == "" {
		return fmt.Errorf("%w: want sha256:<64 hexadecimal digits>", ErrNoDigest)
	}
	algorithm, digits, ok := strings.Cut(string(d), ":")
	switch {
	case !ok:
		return fmt.Errorf("%w: want sha256:<64 hexadecimal digits>", ErrInvalid)
	case algorithm != "sha256":
		return fmt.Errorf("%w: algorithm %q is not supported; use sha256", ErrInvalid, clip(algorithm))
	case len(digits) != digestHexLen:
		return fmt.Errorf("%w: %d hexadecimal digits, want %d", ErrInvalid, len(digits), digestHexLen)
	case !isLowerHex(digits):
		return fmt.Errorf("%w: want lower-case hexadecimal digits", ErrInvalid)
	}
	return nil
}

// Hex returns the hexadecimal digits without the algorithm, or "" when d is not valid.
func (d Digest) Hex() string {
	if len(d) != digestLen {
		return ""
	}
	return string(d[len(digestPrefix):])
}

// Short returns the algorithm and the first 12 hexadecimal digits: enough to recognise a digest in a line of text, not
// enough to identify content. What is not a digest comes back as it is.
func (d Digest) Short() string {
	if len(d) != digestLen {
		return string(d)
	}
	return string(d[:len(digestPrefix)+12])
}

// String returns the digest in full.
func (d Digest) String() string { return string(d) }
