package boltstore

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/gennaker/gennaker/pipeline"
)

// A stored value is a header followed by the bytes of the caller:
//
//	byte 0      format, valueFormat
//	bytes 1-8   version, big endian
//	bytes 9-12  CRC-32C of the key, the version and the bytes, big endian
const (
	valueFormat = 1
	headerSize  = 13
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key, version, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, key)
	sum = crc32.Update(sum, castagnoli, version)
	return crc32.Update(sum, castagnoli, value)
}

// encode appends the stored form of a value to b.
func encode(b, key, value []byte, version uint64) []byte {
	at := len(b)
	b = append(b, valueFormat)
	b = binary.BigEndian.AppendUint64(b, version)
	b = append(b, 0, 0, 0, 0)
	b = append(b, value...)
	binary.BigEndian.PutUint32(b[at+9:], checksum(key, b[at+1:at+9], value))
	return b
}

// decode checks a stored value and returns its parts; value is a part of b.
func decode(key, b []byte) (version pipeline.Version, value []byte, err error) {
	switch {
	case len(b) < headerSize:
		return "", nil, fmt.Errorf("%w: record of %d bytes is cut short", pipeline.ErrCorrupt, len(b))
	case b[0] != valueFormat:
		return "", nil, fmt.Errorf("%w: record has format %d, this program knows %d", pipeline.ErrCorrupt, b[0], valueFormat)
	case binary.BigEndian.Uint32(b[9:13]) != checksum(key, b[1:9], b[headerSize:]):
		return "", nil, fmt.Errorf("%w: checksum of the record does not match", pipeline.ErrCorrupt)
	}
	return versionOf(binary.BigEndian.Uint64(b[1:9])), b[headerSize:], nil
}

func versionOf(n uint64) pipeline.Version {
	return pipeline.Version(strconv.FormatUint(n, 10))
}
