package ociartifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote/auth"

	"github.com/gennaker/gennaker/artifact"
)

// upload is one upload session of a blob. Nothing of it can be seen in the repository until commit.
type upload struct {
	repo     *repository
	location string
	at       int64 // how much the registry has confirmed
}

const abortTimeout = 30 * time.Second

// startUpload opens a session. With a mount, the registry is asked to take the blob from another repository of its own
// first; mounted reports that it did, and then there is no session.
func (r *repository) startUpload(ctx context.Context, mount url.Values) (u *upload, mounted bool, err error) {
	where := r.base + "/blobs/uploads/"
	if mount != nil {
		where += "?" + mount.Encode()
	}
	resp, err := r.do(ctx, http.MethodPost, where, nil, http.StatusAccepted, http.StatusCreated)
	if err != nil {
		return nil, false, err
	}
	defer finish(resp)
	if resp.StatusCode == http.StatusCreated && mount != nil {
		return nil, true, nil
	}
	u = &upload{repo: r}
	return u, false, u.moved(resp)
}

// moved notes where the session goes on. A registry may not send the login, or the content, to another host or in the clear.
func (u *upload) moved(resp *http.Response) error {
	at, err := resp.Location()
	if errors.Is(err, http.ErrNoLocation) && u.location != "" {
		return nil
	}
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	from := resp.Request.URL
	if at.Hostname() != from.Hostname() {
		return fmt.Errorf("upload: %s sends it to another host, %s", from.Host, at.Host)
	}
	if from.Scheme == "https" && at.Scheme != "https" {
		return fmt.Errorf("upload: %s sends it to %s without TLS", from.Host, at.Host)
	}
	if at.Port() == "" && from.Scheme == at.Scheme {
		at.Host = from.Host // Some registries forget their port.
	}
	u.location = at.String()
	return nil
}

// chunk adds to the session, and goes on after a cut connection with what the registry did not get.
func (u *upload) chunk(ctx context.Context, data []byte) error {
	end := u.at + int64(len(data))
	for attempt := 0; u.at < end; attempt++ {
		rest := data[int64(len(data))-(end-u.at):]
		before := u.at
		err := u.patch(ctx, rest)
		if err == nil {
			u.at = end
			return nil
		}
		if !isCut(err) && !isBusy(status(err)) || attempt >= retryMax {
			return err
		}
		if err := wait(ctx, attempt); err != nil {
			return err
		}
		got, askErr := u.confirmed(ctx)
		if askErr != nil {
			return errors.Join(err, askErr)
		}
		if got < before || got > end {
			return errors.Join(err, fmt.Errorf("%w: it has %d bytes, want %d to %d", errStale, got, before, end))
		}
		if u.at = got; got > before {
			attempt = 0
		}
	}
	return nil
}

func (u *upload) patch(ctx context.Context, data []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPatch, u.location, bytes.NewReader(data))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", octetStream)
	req.Header.Set("Content-Range", fmt.Sprintf("%d-%d", u.at, u.at+int64(len(data))-1))
	resp, err := send(u.repo.client.once, req, http.StatusAccepted)
	if err != nil {
		return err
	}
	finish(resp)
	return u.moved(resp)
}

// confirmed asks how much the registry has.
func (u *upload) confirmed(ctx context.Context) (int64, error) {
	resp, err := u.repo.do(ctx, http.MethodGet, u.location, nil, http.StatusNoContent)
	if err != nil {
		return 0, fmt.Errorf("%w: %v", errStale, err) // Its "not found" is not about what the caller asked for.
	}
	finish(resp)
	if err := u.moved(resp); err != nil {
		return 0, err
	}
	var first, last int64
	text := strings.TrimPrefix(resp.Header.Get("Range"), "bytes=")
	if _, err := fmt.Sscanf(text, "%d-%d", &first, &last); err != nil || first != 0 || last < 0 {
		return 0, fmt.Errorf("%w: it answers with range %q", errStale, text)
	}
	if last == 0 {
		return 0, nil // "0-0" stands for nothing; after a single byte it costs sending that again, which the registry refuses.
	}
	return last + 1, nil
}

// commit ends the session with the last of the content, which may be empty, and has the registry check the digest.
func (u *upload) commit(ctx context.Context, d artifact.Digest, body io.Reader, size int64) error {
	at, err := url.Parse(u.location)
	if err != nil {
		return err
	}
	query := at.Query()
	query.Set("digest", string(d))
	at.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, at.String(), body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", octetStream)
	resp, err := send(u.repo.client.once, req, http.StatusCreated, http.StatusNoContent)
	if err != nil {
		return err
	}
	finish(resp)
	return nil
}

// abort has the registry forget the session. A registry that cannot, or has done so already, is left alone: what it keeps is
// invisible, and it purges sessions of its own accord.
func (u *upload) abort(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodDelete, u.location, nil)
	if err != nil {
		return
	}
	if resp, err := send(u.repo.client.once, req, http.StatusNoContent, http.StatusOK, http.StatusAccepted); err == nil {
		finish(resp)
	}
}

// pushScope is what a token for uploads must allow.
func (r *repository) pushScope(ctx context.Context) context.Context {
	return r.scoped(ctx, auth.ActionPull, auth.ActionPush)
}

// hasBlob reports whether the repository has a blob.
func (r *repository) hasBlob(ctx context.Context, d artifact.Digest) (bool, error) {
	resp, err := r.do(ctx, http.MethodHead, r.base+"/blobs/"+string(d), nil, http.StatusOK)
	if status(err) == http.StatusNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	finish(resp)
	return true, nil
}
