package redisstore

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"

	"github.com/gennaker/gennaker/pipeline"
)

// A stored record is a header followed by the value:
//
//	bytes 0-31   version, hexadecimal
//	byte 32      format, valueFormat
//	bytes 33-36  CRC-32C of the key, the version and the value, big endian
const (
	versionSize = 32
	valueFormat = 1
	headerSize  = versionSize + 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key string, version, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(key))
	sum = crc32.Update(sum, castagnoli, version)
	return crc32.Update(sum, castagnoli, value)
}

// newRecord encodes a value under a new version.
func newRecord(key string, value []byte) (pipeline.Version, []byte) {
	var id [versionSize / 2]byte
	_, _ = rand.Read(id[:]) // never fails
	b := make([]byte, headerSize, headerSize+len(value))
	hex.Encode(b, id[:])
	b[versionSize] = valueFormat
	binary.BigEndian.PutUint32(b[versionSize+1:], checksum(key, b[:versionSize], value))
	return pipeline.Version(b[:versionSize]), append(b, value...)
}

// parse checks a record; the item's value is a part of b.
func parse(key string, b []byte) (pipeline.Item, error) {
	switch {
	case len(b) < headerSize:
		return pipeline.Item{}, fmt.Errorf("%w: record of %d bytes is cut short", pipeline.ErrCorrupt, len(b))
	case b[versionSize] != valueFormat:
		return pipeline.Item{}, fmt.Errorf("%w: record has format %d, this program knows %d", pipeline.ErrCorrupt, b[versionSize], valueFormat)
	case binary.BigEndian.Uint32(b[versionSize+1:]) != checksum(key, b[:versionSize], b[headerSize:]):
		return pipeline.Item{}, fmt.Errorf("%w: checksum of the record does not match", pipeline.ErrCorrupt)
	}
	return pipeline.Item{Key: key, Version: pipeline.Version(b[:versionSize]), Value: b[headerSize:]}, nil
}
