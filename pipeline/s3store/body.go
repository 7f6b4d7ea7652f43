package s3store

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/gennaker/gennaker/pipeline"
)

// An object is a header followed by the value:
//
//	bytes 0-3    magic, which ends in the format
//	bytes 4-19   write id, random
//	bytes 20-23  CRC-32C of the key, the write id and the value, big endian
const (
	magic      = "GNK\x01"
	headerSize = 24
)

type writeID [16]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(key string, id, value []byte) uint32 {
	sum := crc32.Update(0, castagnoli, []byte(key))
	sum = crc32.Update(sum, castagnoli, id)
	return crc32.Update(sum, castagnoli, value)
}

func newBody(key string, value []byte) (body []byte, id writeID) {
	_, _ = rand.Read(id[:]) // never fails
	body = make([]byte, headerSize, headerSize+len(value))
	copy(body, magic)
	copy(body[4:], id[:])
	binary.BigEndian.PutUint32(body[20:], checksum(key, id[:], value))
	return append(body, value...), id
}

// parseBody checks an object and returns its parts; value is a part of body.
func parseBody(key string, body []byte) (value []byte, id writeID, err error) {
	switch {
	case len(body) < headerSize:
		return nil, id, fmt.Errorf("%w: object of %d bytes is cut short", pipeline.ErrCorrupt, len(body))
	case !bytes.HasPrefix(body, []byte(magic)):
		return nil, id, fmt.Errorf("%w: object begins with %q, want %q", pipeline.ErrCorrupt, body[:4], magic)
	}
	copy(id[:], body[4:20])
	value = body[headerSize:]
	if binary.BigEndian.Uint32(body[20:]) != checksum(key, id[:], value) {
		return nil, id, fmt.Errorf("%w: checksum of the object does not match", pipeline.ErrCorrupt)
	}
	return value, id, nil
}
