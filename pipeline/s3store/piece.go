package s3store

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"
)

const (
	// onePiece is how long the body of a request may be that is sent in one piece.
	// Almost every record is smaller: what is larger than pipeline.BlobThreshold is
	// kept beside it.
	onePiece = 64 << 10
	// writeBuffer also has room for the head.
	writeBuffer = onePiece + 8<<10
)

// inOnePiece is a way to the server on which a body leaves together with its head.
// net/http sends the head by itself unless it sees that the body is in memory, which
// it cannot, since minio-go wraps every body.
type inOnePiece struct{ http.RoundTripper }

func (p inOnePiece) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.ContentLength <= 0 || r.ContentLength > onePiece {
		return p.RoundTripper.RoundTrip(r)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	if closeErr := r.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, fmt.Errorf("body of the request: %w", err)
	}
	whole := r.WithContext(r.Context()) // a copy: a RoundTripper leaves what it was given as it is
	whole.Body = io.NopCloser(bytes.NewReader(body))
	return p.RoundTripper.RoundTrip(whole)
}

// defaultTransport is minio-go's, which sends four KiB with a system call, and with
// TLS at first little more than one.
func defaultTransport(secure bool) (http.RoundTripper, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, err
	}
	t.WriteBufferSize = writeBuffer
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.DynamicRecordSizingDisabled = true
	}
	return t, nil
}
