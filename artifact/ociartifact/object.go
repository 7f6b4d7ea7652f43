package ociartifact

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

const (
	// ObjectType is the artifact type of the manifests by which a store keeps its objects.
	ObjectType       = "application/vnd.gennaker.object.v1"
	folderAnnotation = "dev.gennaker.folder"
	// maxTagFolder is the longest folder that has room in a tag beside a hash.
	maxTagFolder = 62
)

// tagPrefix is what the tags of a folder's objects begin with. A tag has no slash and at most 128 bytes, so a slash becomes
// an underscore, which no folder has, and a long folder its hash.
func tagPrefix(folder string) string {
	if len(folder) > maxTagFolder {
		sum := sha256.Sum256([]byte(folder))
		return "_" + hex.EncodeToString(sum[:16]) + "."
	}
	return strings.ReplaceAll(folder, "/", "_") + "."
}

func tagOf(key driver.Key) string { return tagPrefix(key.Folder) + key.Hash }

func blobOf(key driver.Key) artifact.Digest { return artifact.Digest("sha256:" + key.Hash) }

// objectManifest is the manifest that keeps an object of that size: it makes the blob known by a tag, and safe from the
// registry's garbage collection.
func objectManifest(key driver.Key, size int64, now time.Time) ([]byte, error) {
	return json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: ObjectType,
		Config:       ocispec.DescriptorEmptyJSON,
		Layers:       []ocispec.Descriptor{{MediaType: octetStream, Digest: digestOf(blobOf(key)), Size: size}},
		Annotations: map[string]string{
			ocispec.AnnotationCreated: now.UTC().Format(time.RFC3339Nano),
			folderAnnotation:          key.Folder,
		},
	})
}

// readObject reads the manifest of an object.
func readObject(key driver.Key, data []byte) (driver.Info, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(data, &m); err != nil {
		return driver.Info{}, fmt.Errorf("%w: %w", errForeign, err)
	}
	if m.ArtifactType != ObjectType || len(m.Layers) != 1 || m.Annotations[folderAnnotation] != key.Folder ||
		m.Layers[0].Digest != digestOf(blobOf(key)) || m.Layers[0].Size < 0 {
		return driver.Info{}, errForeign
	}
	created, err := time.Parse(time.RFC3339Nano, m.Annotations[ocispec.AnnotationCreated])
	if err != nil {
		return driver.Info{}, fmt.Errorf("%w: %w", errForeign, err)
	}
	return driver.Info{Key: key, Size: m.Layers[0].Size, ModTime: created}, nil
}

var errForeign = errors.New("the tag does not name an object of a store; somebody else uses it")

// putObject makes a blob that is there an object.
func (d *Driver) putObject(ctx context.Context, key driver.Key, size int64) error {
	data, err := objectManifest(key, size, time.Now())
	if err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		if err := d.putConfig(ctx); err != nil {
			return err
		}
		err := d.repo.putManifest(ctx, tagOf(key), ocispec.MediaTypeImageManifest, data)
		// The registry may have collected the config, which no manifest referred to.
		if attempt > 0 || status(err) != http.StatusBadRequest && status(err) != http.StatusNotFound {
			return err
		}
		d.config.Store(false)
	}
}

// putConfig stores the empty config that all objects share, once.
func (d *Driver) putConfig(ctx context.Context) error {
	if d.config.Load() {
		return nil
	}
	empty := ocispec.DescriptorEmptyJSON
	if err := d.repo.putWhole(ctx, artifact.Digest(empty.Digest), empty.Data); err != nil {
		return err
	}
	d.config.Store(true)
	return nil
}
