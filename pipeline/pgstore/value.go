package pgstore

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"github.com/gennaker/gennaker/pipeline"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, version string, value []byte) int64 {
	sum := crc32.Update(0, castagnoli, []byte(key))
	sum = crc32.Update(sum, castagnoli, []byte(version))
	return int64(crc32.Update(sum, castagnoli, value))
}

func newVersion() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

// row is one record as it is in the table.
type row struct {
	Key, Version string
	Value        []byte
	Checksum     int64
}

func (r row) item() (pipeline.Item, error) {
	if checksum(r.Key, r.Version, r.Value) != r.Checksum {
		return pipeline.Item{}, fmt.Errorf("%w: checksum of the record does not match", pipeline.ErrCorrupt)
	}
	return pipeline.Item{Key: r.Key, Version: pipeline.Version(r.Version), Value: r.Value}, nil
}
