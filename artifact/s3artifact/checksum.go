package s3artifact

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/minio/minio-go/v7"
)

const (
	checksumHeader    = "x-amz-checksum-sha256"
	checksumAlgorithm = "x-amz-checksum-algorithm"
)

// checksum is the SHA-256 of the body of a request.
type checksum [sha256.Size]byte

func checksumOf(body []byte) checksum { return sha256.Sum256(body) }

func (c checksum) hex() string    { return hex.EncodeToString(c[:]) }
func (c checksum) base64() string { return base64.StdEncoding.EncodeToString(c[:]) }

// composite is the checksum that a service keeps of an object of several parts: that of their checksums, and their number.
// See "Checking object integrity" in Amazon's documentation of S3.
func composite(parts []minio.CompletePart) string {
	all := sha256.New()
	for _, part := range parts {
		sum, err := base64.StdEncoding.DecodeString(part.ChecksumSHA256)
		if err != nil {
			return ""
		}
		all.Write(sum)
	}
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(all.Sum(nil)), len(parts))
}
