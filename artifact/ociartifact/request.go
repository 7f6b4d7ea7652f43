package ociartifact

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
)

const (
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	dockerIndex    = "application/vnd.docker.distribution.manifest.list.v2+json"
	octetStream    = "application/octet-stream"
	contentDigest  = "Docker-Content-Digest"
	// maxManifest is what the distribution specification has registries accept.
	maxManifest = 4 << 20
)

var manifestTypes = strings.Join([]string{ocispec.MediaTypeImageIndex, ocispec.MediaTypeImageManifest, dockerIndex, dockerManifest,
	"application/vnd.oci.artifact.manifest.v1+json"}, ", ")

// do sends a request without a body, and repeats it when that may help. Answers that are none of the statuses given are
// errors. The caller closes the body.
func (r *repository) do(ctx context.Context, method, url string, header http.Header, want ...int) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return nil, err
	}
	for key, values := range header {
		req.Header[key] = values
	}
	return send(r.client.retrying, req, want...)
}

func send(client *auth.Client, req *http.Request, want ...int) (*http.Response, error) {
	resp, err := client.Do(req)
	if err != nil {
		return nil, withoutQuery(err)
	}
	for _, status := range want {
		if resp.StatusCode == status {
			return resp, nil
		}
	}
	defer resp.Body.Close()
	return nil, failure(resp)
}

// finish reads what is left of a small answer, so that its connection can be used again, and closes it.
func finish(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // What it says does not matter any more.
	_ = resp.Body.Close()
}

// manifest returns a manifest by tag or digest, verified, and its descriptor.
func (r *repository) manifest(ctx context.Context, reference string) (ocispec.Descriptor, []byte, error) {
	ctx = r.scoped(ctx, auth.ActionPull)
	resp, err := r.do(ctx, http.MethodGet, r.base+"/manifests/"+reference, http.Header{"Accept": {manifestTypes}}, http.StatusOK)
	if err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	defer resp.Body.Close()
	want := artifact.Digest(reference)
	if want.Validate() != nil {
		// By tag, the registry says which manifest it is; if it does not, there is nothing to hold it to.
		want = artifact.Digest(resp.Header.Get(contentDigest))
	}
	var data bytes.Buffer
	if _, err := data.ReadFrom(io.LimitReader(resp.Body, maxManifest+1)); err != nil {
		return ocispec.Descriptor{}, nil, err
	}
	if data.Len() > maxManifest {
		return ocispec.Descriptor{}, nil, fmt.Errorf("%w: manifest of more than %d bytes", artifact.ErrTooLarge, maxManifest)
	}
	if want == "" {
		want = artifact.FromBytes(data.Bytes())
	}
	if _, err := io.Copy(io.Discard, artifact.Verify(ctx, bytes.NewReader(data.Bytes()), want, nil)); err != nil {
		return ocispec.Descriptor{}, nil, fmt.Errorf("manifest %s: %w", reference, err)
	}
	mediaType, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	return ocispec.Descriptor{
		MediaType: strings.TrimSpace(mediaType), Digest: digestOf(want), Size: int64(data.Len()),
	}, data.Bytes(), nil
}

// putManifest stores a manifest under a tag or its digest.
func (r *repository) putManifest(ctx context.Context, reference, mediaType string, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, r.base+"/manifests/"+reference, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", mediaType)
	resp, err := send(r.client.retrying, req, http.StatusCreated, http.StatusOK, http.StatusAccepted)
	if err != nil {
		return err
	}
	finish(resp)
	return nil
}

// deleteManifest removes a tag or a manifest; gone reports whether the registry did it, or has none.
func (r *repository) deleteManifest(ctx context.Context, reference string) (gone bool, err error) {
	resp, err := r.do(ctx, http.MethodDelete, r.base+"/manifests/"+reference, nil, http.StatusAccepted, http.StatusOK, http.StatusNoContent)
	if status(err) == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	finish(resp)
	return true, nil
}
