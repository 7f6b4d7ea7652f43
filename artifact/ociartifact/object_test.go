package ociartifact

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/artifact/driver"
)

// Every key has a tag of its own that the distribution specification allows.
func TestTags(t *testing.T) {
	t.Parallel()
	hash := artifact.FromBytes(nil).Hex()
	folders := []string{"a", "a/b", "a-b", "ab", "a/b/", "evidence/sha256-" + hash, "evidence/sha256-" + hash[:63] + "0",
		strings.Repeat("a", maxTagFolder), strings.Repeat("a", maxTagFolder+1), strings.Repeat("a", 200)}
	seen := map[string]string{}
	for _, folder := range folders {
		tag := tagOf(driver.Key{Folder: folder, Hash: hash})
		require.Empty(t, seen[tag], folder)
		seen[tag] = folder
		_, err := artifact.ParseReference("shop/store:" + tag)
		require.NoError(t, err, folder)
	}
}

// FuzzReadObject holds the reader of manifests to what it promises for any manifest: that they are the key's.
func FuzzReadObject(f *testing.F) {
	key := driver.Key{Folder: "blobs/sha256", Hash: artifact.FromBytes(nil).Hex()}
	good, err := objectManifest(key, 7, time.Unix(0, 1))
	require.NoError(f, err)
	info, err := readObject(key, good)
	require.NoError(f, err)
	require.Equal(f, driver.Info{Key: key, Size: 7, ModTime: time.Unix(0, 1).UTC()}, info)
	_, err = readObject(driver.Key{Folder: "sets/sha256", Hash: key.Hash}, good)
	require.ErrorIs(f, err, errForeign)
	f.Add(good)
	f.Add([]byte(`{"artifactType":"` + ObjectType + `","layers":[{"size":-1}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, data []byte) {
		info, err := readObject(key, data)
		if err != nil {
			require.ErrorIs(t, err, errForeign)
			return
		}
		require.Equal(t, key, info.Key)
		require.GreaterOrEqual(t, info.Size, int64(0))
	})
}
