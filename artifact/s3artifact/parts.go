package s3artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/minio/minio-go/v7"
)

const (
	abortTimeout = 30 * time.Second
	maxParts     = 10_000
)

// upload is content on its way, part by part. Nothing of it can be seen before it is complete.
type upload struct {
	driver *Driver
	name   string
	id     string
	there  map[int]minio.ObjectPart // what an earlier Put has sent
	parts  []minio.CompletePart
	size   int64
}

// putParts sends the part that was read already and what follows. One part is sent while the next is read.
func (d *Driver) putParts(ctx context.Context, name string, part []byte, r io.Reader) error {
	u, err := d.begin(ctx, name)
	if err != nil {
		return err
	}
	if readErr, sendErr := d.parts.Send(ctx, part, r, u.send); readErr != nil || sendErr != nil {
		return u.failed(ctx, readErr, sendErr)
	}
	if err := u.complete(ctx); err != nil {
		return u.failed(ctx, nil, err)
	}
	return nil
}

// begin starts an upload, or goes on with the one that a Put of this object had to leave when its connection was cut.
func (d *Driver) begin(ctx context.Context, name string) (*upload, error) {
	u := &upload{driver: d, name: name, there: make(map[int]minio.ObjectPart)}
	id, dropped := d.left.take(name, time.Now())
	if u.id = id; id != "" {
		if u.sent(ctx) == nil {
			d.drop(ctx, dropped)
			return u, nil
		}
		clear(u.there) // It is gone, and so is what it had.
	}
	d.drop(ctx, dropped)
	opts := putOptions()
	opts.UserMetadata = map[string]string{checksumAlgorithm: "SHA256"}
	var err error
	u.id, err = d.core.NewMultipartUpload(ctx, d.bucket, name, opts)
	return u, err
}

// sent asks which parts the service has.
func (u *upload) sent(ctx context.Context) error {
	for marker := 0; ; {
		page, err := u.driver.core.ListObjectParts(ctx, u.driver.bucket, u.name, u.id, marker, 1000)
		if err != nil {
			return err
		}
		for _, part := range page.ObjectParts {
			u.there[part.PartNumber] = part
		}
		if !page.IsTruncated || page.NextPartNumberMarker <= marker {
			return nil
		}
		marker = page.NextPartNumberMarker
	}
}

// send sends the next part, unless the service has it.
func (u *upload) send(ctx context.Context, part []byte) error {
	number, sum := len(u.parts)+1, checksumOf(part)
	if number > maxParts {
		return fmt.Errorf("content has more than %d parts of %d bytes; open the store with a larger part size", maxParts, u.driver.parts.Size())
	}
	etag := ""
	if old, ok := u.there[number]; ok && old.Size == int64(len(part)) && old.ChecksumSHA256 == sum.base64() {
		etag = old.ETag
	} else {
		// The signature covers the checksum, and the checksum the part: a signed SHA-256 of the body would only have the
		// service compute it once more.
		opts := minio.PutObjectPartOptions{DisableContentSha256: true, CustomHeader: http.Header{}}
		opts.CustomHeader.Set(checksumHeader, sum.base64())
		sent, err := u.driver.core.PutObjectPart(ctx, u.driver.bucket, u.name, u.id, number, bytes.NewReader(part), int64(len(part)), opts)
		if err != nil {
			return err
		}
		etag = sent.ETag
	}
	u.parts = append(u.parts, minio.CompletePart{PartNumber: number, ETag: etag, ChecksumSHA256: sum.base64()})
	u.size += int64(len(part))
	return nil
}

// complete makes the parts an object, or gives them back when there is one already. When the answer is lost, the object itself says what became of it.
func (u *upload) complete(ctx context.Context) error {
	d, sum := u.driver, composite(u.parts)
	written, err := d.create(ctx, u.name, u.size, sum, func(opts minio.PutObjectOptions) error {
		_, err := d.core.CompleteMultipartUpload(ctx, d.bucket, u.name, u.id, u.parts, opts)
		if minio.ToErrorResponse(err).Code == minio.NoSuchUpload && d.holds(ctx, u.name, u.size, sum) {
			return nil
		}
		return err
	})
	if err == nil && !written {
		return u.abort(ctx)
	}
	return err
}

// failed ends an upload that cannot go on. When the service was lost, the upload is kept for the next Put of this object by
// this driver; otherwise its parts are given back, also when it failed because its context ended.
func (u *upload) failed(ctx context.Context, readErr, sendErr error) error {
	err := sendErr
	if readErr != nil {
		err = readErr // Sending was cancelled for it.
	}
	if readErr == nil && ctx.Err() == nil && isCut(sendErr) {
		u.driver.left.keep(u.name, u.id, time.Now())
		return err
	}
	return errors.Join(err, u.abort(ctx))
}

func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := u.driver.core.AbortMultipartUpload(ctx, u.driver.bucket, u.name, u.id)
	if err == nil || minio.ToErrorResponse(err).Code == minio.NoSuchUpload {
		return nil // An upload that is gone was completed, whatever became of the reply.
	}
	return fmt.Errorf("abort the upload: %w", err)
}
