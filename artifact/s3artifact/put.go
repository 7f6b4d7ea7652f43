package s3artifact

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"

	"github.com/gennaker/gennaker/artifact/driver"
)

// Put implements [driver.Driver].
func (d *Driver) Put(ctx context.Context, key driver.Key, r io.Reader, size int64) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	first, end, err := d.parts.First(r, size)
	if err != nil {
		return err
	}
	if end {
		return d.putWhole(ctx, d.name(key), first)
	}
	return d.putParts(ctx, d.name(key), first, r)
}

// putWhole sends content of one part. Its checksum is named as such, too, which has the service keep it, and keeps minio-go
// from adding one of its own: that would contradict the SHA-256 of the request.
func (d *Driver) putWhole(ctx context.Context, name string, content []byte) error {
	sum := checksumOf(content)
	put := func(opts minio.PutObjectOptions) error {
		opts.UserMetadata = map[string]string{checksumHeader: sum.base64()}
		_, err := d.core.PutObject(ctx, d.bucket, name, bytes.NewReader(content), int64(len(content)), "", sum.hex(), opts)
		return err
	}
	_, err := d.create(ctx, name, int64(len(content)), sum.base64(), put)
	return err
}

// create makes an object with a request that only creates. When there is one already it stays, if it is what would be
// written: so no version is added to a bucket that keeps them. One that is damaged is replaced. Services that do not know
// the condition write in any case. written says whether anything was.
func (d *Driver) create(ctx context.Context, name string, size int64, checksum string, put func(minio.PutObjectOptions) error) (written bool, err error) {
	once := putOptions()
	once.SetMatchETagExcept("*")
	err = put(once)
	if code := minio.ToErrorResponse(err).Code; err == nil || code != minio.PreconditionFailed && code != minio.NotImplemented {
		return true, err
	}
	if d.holds(ctx, name, size, checksum) {
		return false, nil
	}
	return true, put(putOptions())
}

// holds reports whether the service says that it has that object with that checksum. If in doubt, it has not.
func (d *Driver) holds(ctx context.Context, name string, size int64, checksum string) bool {
	info, err := d.core.StatObject(ctx, d.bucket, name, minio.StatObjectOptions{Checksum: true})
	return err == nil && info.Size == size && info.ChecksumSHA256 == checksum
}

// isCut reports whether an operation failed because the service could not be reached or was not well, so that its effect may
// be there, and what it did so far is worth keeping.
func isCut(err error) bool {
	var said minio.ErrorResponse
	if errors.As(err, &said) {
		return said.StatusCode >= http.StatusInternalServerError
	}
	return err != nil
}

// putOptions make minio-go send the SHA-256 that it is given, over HTTP as well as HTTPS, in place of its chunked signature.
func putOptions() minio.PutObjectOptions {
	return minio.PutObjectOptions{ContentType: contentType, DisableContentSha256: true}
}

const contentType = "application/octet-stream"
