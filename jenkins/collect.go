package jenkins

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/gennaker/gennaker/artifact"
)

// collect makes the artifact set of a build that succeeded. Files that are missing are ErrFileMissing; they may come yet.
func (j *job) collect(ctx context.Context, h Handle, info buildInfo) (artifact.Set, error) {
	b := j.c.Build(h.Job, h.Build)
	b.urgent = true
	var all []artifact.Artifact
	for _, img := range j.opts.Images {
		a, err := j.image(ctx, b, img, info.files())
		if err != nil {
			return artifact.Set{}, err
		}
		all = append(all, a)
	}
	files, err := j.files(ctx, b, info.files())
	if err != nil {
		return artifact.Set{}, err
	}
	all = append(all, files...)
	for i, a := range all {
		a = a.WithMetadata(MetaJob, h.Job).WithMetadata(MetaBuild, strconv.FormatInt(h.Build, 10)).WithMetadata(MetaURL, info.URL)
		if t := info.tests(); t != nil {
			a = a.WithMetadata(MetaTests, t.String())
		}
		if h.Ambiguous {
			a = a.WithMetadata(MetaAmbiguous, "true")
		}
		all[i] = a
	}
	set, err := artifact.NewSet(all...)
	if err != nil {
		return artifact.Set{}, b.fileError("(all)", err, "set Image.Name to keep images apart")
	}
	return set, nil
}

func (j *job) image(ctx context.Context, b Build, img Image, files []string) (artifact.Artifact, error) {
	found := matchFiles(files, img.Path)
	if len(found) == 0 {
		return artifact.Artifact{}, b.fileError(img.Path, ErrFileMissing, "let the build archive it; it archived "+list(files))
	}
	if len(found) > 1 {
		return artifact.Artifact{}, b.fileError(img.Path, errors.Join(ErrFormat, errors.New("several files match: "+list(found))), "give each image a Path of its own")
	}
	data, err := b.read(ctx, found[0])
	if err != nil {
		return artifact.Artifact{}, err
	}
	if len(data) == 0 {
		return artifact.Artifact{}, b.fileError(found[0], errEmpty, "")
	}
	a, err := img.artifact(data)
	switch {
	case errors.Is(err, artifact.ErrNoDigest):
		return a, b.fileError(found[0], err, noDigestAdvice)
	case err != nil:
		return a, b.fileError(found[0], err, "")
	}
	return a, j.confirm(ctx, b, found[0], a)
}

func (j *job) files(ctx context.Context, b Build, files []string) ([]artifact.Artifact, error) {
	var all []artifact.Artifact
	seen := map[string]bool{}
	for _, pattern := range j.opts.Files {
		found := matchFiles(files, pattern)
		if len(found) == 0 {
			return nil, b.fileError(pattern, ErrFileMissing, "let the build archive it; it archived "+list(files))
		}
		for _, f := range found {
			if seen[f] {
				continue
			}
			seen[f] = true
			digest, size, err := b.Download(ctx, f, io.Discard, j.opts.MaxFile)
			if err != nil {
				return nil, err
			}
			a := artifact.Artifact{
				Kind: artifact.KindFile, Name: fileName(f), Digest: digest, Location: j.c.r.base.String() + filePath(b.Job, b.Number, f),
			}
			all = append(all, a.WithMetadata("size", strconv.FormatInt(size, 10)))
		}
	}
	return all, nil
}

// fileName is a path as the name of an artifact, which has no spaces.
func fileName(path string) string {
	if strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return strings.ReplaceAll(url.PathEscape(path), "%2F", "/")
	}
	return path
}

// list shows a few names.
func list(names []string) string {
	const few = 5
	switch {
	case len(names) == 0:
		return "nothing"
	case len(names) > few:
		return strings.Join(names[:few], ", ") + " and " + strconv.Itoa(len(names)-few) + " more"
	}
	return strings.Join(names, ", ")
}
