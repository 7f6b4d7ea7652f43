package s3artifact

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/gennaker/gennaker/artifact/driver"
)

const (
	contentType  = "application/octet-stream"
	abortTimeout = 30 * time.Second
	maxParts     = 10_000
)

// Put implements [driver.Driver].
func (d *Driver) Put(ctx context.Context, key driver.Key, r io.Reader, size int64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	part := new(bytes.Buffer)
	if size > 0 {
		part.Grow(int(min(size, d.partSize)))
	}
	end, err := d.fill(part, r)
	if err != nil {
		return err
	}
	if end {
		return d.putWhole(ctx, d.name(key), part.Bytes())
	}
	return d.putParts(ctx, d.name(key), part, r)
}

// putWhole sends content of one part. Its checksum is named as such, too, which has the service keep it, and keeps minio-go
// from adding one of its own: that would contradict the SHA-256 of the request.
func (d *Driver) putWhole(ctx context.Context, name string, content []byte) error {
	hash := sha256.Sum256(content)
	opts := putOptions()
	opts.UserMetadata = map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(hash[:])}
	_, err := d.core.PutObject(ctx, d.bucket, name, bytes.NewReader(content), int64(len(content)), "", hex.EncodeToString(hash[:]), opts)
	return err
}

// fill reads the next part and reports whether it is the last one, that is, whether r has ended with io.EOF. A last part may
// be empty.
func (d *Driver) fill(part *bytes.Buffer, r io.Reader) (end bool, err error) {
	part.Reset()
	_, err = io.CopyN(part, r, d.partSize)
	if err == io.EOF {
		return true, nil
	}
	return false, err
}

// putParts sends the part that was read already and what follows.
func (d *Driver) putParts(ctx context.Context, name string, part *bytes.Buffer, r io.Reader) error {
	upload, err := d.core.NewMultipartUpload(ctx, d.bucket, name, putOptions())
	if err != nil {
		return err
	}
	parts, err := d.sendParts(ctx, name, upload, part, r)
	if err == nil {
		_, err = d.core.CompleteMultipartUpload(ctx, d.bucket, name, upload, parts, minio.PutObjectOptions{})
	}
	if err != nil {
		return errors.Join(err, d.abort(ctx, name, upload))
	}
	return nil
}

func (d *Driver) sendParts(ctx context.Context, name, upload string, part *bytes.Buffer, r io.Reader) ([]minio.CompletePart, error) {
	var parts []minio.CompletePart
	for end := false; ; {
		if part.Len() > 0 {
			number := len(parts) + 1
			if number > maxParts {
				return nil, fmt.Errorf("content has more than %d parts of %d bytes; open the store with a larger part size", maxParts, d.partSize)
			}
			sent, err := d.sendPart(ctx, name, upload, number, part.Bytes())
			if err != nil {
				return nil, err
			}
			parts = append(parts, minio.CompletePart{PartNumber: number, ETag: sent.ETag})
		}
		if end {
			return parts, nil
		}
		var err error
		if end, err = d.fill(part, r); err != nil {
			return nil, err
		}
	}
}

func (d *Driver) sendPart(ctx context.Context, name, upload string, number int, part []byte) (minio.ObjectPart, error) {
	hash := sha256.Sum256(part)
	opts := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(hash[:]), DisableContentSha256: true}
	return d.core.PutObjectPart(ctx, d.bucket, name, upload, number, bytes.NewReader(part), int64(len(part)), opts)
}

// abort gives the parts back, also when the upload has failed because its context ended.
func (d *Driver) abort(ctx context.Context, name, upload string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := d.core.AbortMultipartUpload(ctx, d.bucket, name, upload)
	if err == nil || minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		return nil // An upload that is gone was completed, whatever became of the reply.
	}
	return fmt.Errorf("abort the upload: %w", err)
}

// putOptions make minio-go send the SHA-256 that it is given, over HTTP as well as HTTPS, in place of its chunked signature.
func putOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{ContentType: contentType, DisableContentSha256: true}
}
