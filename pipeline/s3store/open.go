package s3store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/gennaker/gennaker/pipeline"
)

// ErrUnfit says that the server does not honour conditional writes, without
// which two processes would overwrite each other.
var ErrUnfit = errors.New("the server ignores conditional writes")

// maxValue is the limit of all stores of this library, so that an execution can
// move between them.
const maxValue = 16 << 20

// Config says where the records are. Endpoint, Bucket and Credentials are
// required.
type Config struct {
	Endpoint    string // host or host:port, without a scheme
	Secure      bool   // use HTTPS
	Region      string // empty means that the server is asked
	Bucket      string // must exist
	Prefix      string // of all object names; a "/" is added. Empty means the whole bucket
	Credentials *credentials.Credentials
	// Transport is the way to the server; nil means minio-go's default, with larger
	// buffers: see the package about processes that are suspended.
	Transport http.RoundTripper
	// Parallel is how many objects List fetches at the same time. 0 means 16.
	Parallel int
	// ListLags says that the server's lists may miss recent objects.
	ListLags bool
}

func (c Config) check() error {
	var errs []error
	if c.Endpoint == "" {
		errs = append(errs, errors.New("Config.Endpoint is empty"))
	}
	if c.Bucket == "" {
		errs = append(errs, errors.New("Config.Bucket is empty"))
	}
	if c.Credentials == nil {
		errs = append(errs, errors.New("Config.Credentials is nil"))
	}
	if c.Parallel < 0 {
		errs = append(errs, fmt.Errorf("Config.Parallel is %d", c.Parallel))
	}
	for segment := range strings.SplitSeq(strings.TrimSuffix(c.Prefix, "/"), "/") {
		if segment == "" && c.Prefix != "" || segment == "." || segment == ".." {
			errs = append(errs, fmt.Errorf("Config.Prefix %q has a segment %q", c.Prefix, segment))
		}
	}
	return errors.Join(errs...)
}

// Open connects to the server and probes, with an object that it deletes again,
// that the server honours conditional writes; if not, the error wraps ErrUnfit.
// An error wraps the server's answer, a minio.ErrorResponse, if there was one.
func Open(ctx context.Context, c Config) (*Store, error) {
	s := &Store{bucket: c.Bucket, parallel: c.Parallel, lags: c.ListLags}
	if s.parallel == 0 {
		s.parallel = 16
	}
	if c.Prefix != "" {
		s.prefix = strings.TrimSuffix(c.Prefix, "/") + "/"
	}
	err := c.check()
	if err == nil && c.Transport == nil {
		c.Transport, err = defaultTransport(c.Secure)
	}
	if err == nil {
		s.client, err = minio.New(c.Endpoint, &minio.Options{
			Creds: c.Credentials, Secure: c.Secure, Region: c.Region, Transport: inOnePiece{c.Transport},
			// A repeated request would meet the result of the first one, and take
			// it for a conflict.
			MaxRetries: 1,
		})
	}
	if err == nil {
		err = s.probe(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("s3 store %s/%s at %s: open: %w", c.Bucket, c.Prefix, c.Endpoint, err)
	}
	return s, nil
}

// probe makes one write of each kind. The name of its object cannot be that of a
// key, so that no List shows it.
func (s *Store) probe(ctx context.Context) (err error) {
	name := s.prefix + "(probe-" + rand.Text()
	defer func() {
		undo := s.client.RemoveObject(context.WithoutCancel(ctx), s.bucket, name, minio.RemoveObjectOptions{})
		if err == nil {
			err = undo
		}
	}()
	put := func(body, match string) (pipeline.Version, error) {
		return s.send(ctx, name, []byte(body), pipeline.Version(match))
	}
	first, err := put("first", "")
	if err != nil {
		return err
	}
	if _, err := put("second", ""); !isConflict(err) {
		return unfit("If-None-Match", err)
	}
	second, err := put("second", string(first))
	if err != nil {
		return err
	}
	if second == first {
		return fmt.Errorf("%w: the ETag does not change with the content", ErrUnfit)
	}
	if _, err := put("third", string(first)); !isConflict(err) {
		return unfit("If-Match", err)
	}
	body, version, err := s.fetch(ctx, name)
	switch {
	case err != nil:
		return err
	case string(body) != "second" || version != second:
		return fmt.Errorf("%w: read %q with ETag %s after writing \"second\" with ETag %s", ErrUnfit, body, version, second)
	}
	return nil
}

func unfit(header string, err error) error {
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %s had no effect", ErrUnfit, header)
}
