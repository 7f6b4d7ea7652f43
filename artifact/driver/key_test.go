package driver_test

import (
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/artifact/driver"
)

const hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func TestKeyValidate(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"a", "blobs/sha256", "evidence/sha256-" + hash, "0-a-", strings.Repeat("a", 200)} {
		require.NoError(t, driver.Key{Folder: folder, Hash: hash}.Validate(), folder)
	}
	for _, folder := range []string{"", "/", "a/", "/a", "a//b", "..", "a/../b", "-a", "A", "a_b", "a b", "é", hash, "a/" + hash, strings.Repeat("a", 201)} {
		require.ErrorContains(t, driver.Key{Folder: folder, Hash: hash}.Validate(), "folder", folder)
	}
	for _, bad := range []string{"", hash[1:], hash + "0", strings.ToUpper(hash), "g" + hash[1:]} {
		require.ErrorContains(t, driver.Key{Folder: "a", Hash: bad}.Validate(), "hash", bad)
	}
}

// A valid key is a path that leads nowhere else, in the file system of any system.
func FuzzKey(f *testing.F) {
	f.Add("blobs/sha256", hash)
	f.Add("../a", "..")
	f.Fuzz(func(t *testing.T, folder, hash string) {
		key := driver.Key{Folder: folder, Hash: hash}
		if key.Validate() != nil {
			return
		}
		name := key.String()
		require.Equal(t, path.Clean(name), name)
		require.False(t, strings.ContainsAny(name, `\:._`+"\x00") || strings.HasPrefix(name, "/"), name)
		require.Equal(t, strings.ToLower(name), name)
	})
}
