package boltstore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"go.etcd.io/bbolt"

	"github.com/gennaker/gennaker/pipeline"
)

// The parts of bbolt's file format that verify reads (bbolt internal/common,
// page.go and bucket.go). Numbers are in the byte order of the machine. A page
// begins with id (8), flags (2), count (2) and overflow (4); elements of 16 bytes
// follow. An element of a branch is pos (4), key size (4) and page (8); one of a
// leaf is flags (4), pos (4), key size (4) and value size (4). pos counts from
// the element itself.
const (
	pageHeader  = 16
	elementSize = 16
	branchPage  = 0x01
	leafPage    = 0x02
	freePage    = 0x10
	bucketLeaf  = 0x01
	rootSize    = 16

	// Offsets in a meta page, after its header: magic, version, page size and
	// flags (4 each), root bucket (16), free list, high water mark, transaction
	// and checksum (8 each).
	metaFreelist = pageHeader + 32
	metaTx       = metaFreelist + 16
	metaEnd      = metaTx + 16
)

// verifier walks the trees of a file. bbolt checks nothing of what it follows:
// one damaged number makes it allocate gigabytes, descend for ever, or overwrite
// a page that is in use, and none of these is a panic that can be caught.
type verifier struct {
	file     io.ReaderAt
	pageSize int64
	pages    uint64 // pages from here on are not part of the file
	used     []bool
}

// verify reads the headers and keys of all pages, not the values, which carry a
// checksum of their own. A gigabyte of records takes a fraction of a second when
// the file is cached, and the engine reads all of it at the start anyway.
func verify(file io.ReaderAt, tx *bbolt.Tx) error {
	size := int64(tx.DB().Info().PageSize)
	v := &verifier{file: file, pageSize: size, pages: uint64(tx.Size() / size)}
	v.used = make([]bool, v.pages)
	v.used[0], v.used[1] = true, true // the two meta pages
	if err := v.page(uint64(tx.Cursor().Bucket().RootPage()), nil, nil); err != nil {
		return err
	}
	return v.free(uint64(tx.ID()))
}

// free checks that the list of free pages of the transaction has no page that is
// in use, which the next commit would overwrite.
func (v *verifier) free(tx uint64) error {
	order := binary.NativeEndian
	var meta, head [metaEnd]byte
	for i := range int64(2) {
		if _, err := v.file.ReadAt(meta[:], i*v.pageSize); err != nil {
			return err
		}
		if order.Uint64(meta[metaTx:]) == tx {
			break
		}
	}
	id := order.Uint64(meta[metaFreelist:])
	if id >= v.pages {
		return damaged("the list of free pages is page %d of %d", id, v.pages)
	}
	at := int64(id) * v.pageSize
	if _, err := v.file.ReadAt(head[:], at); err != nil {
		return err
	}
	overflow := uint64(order.Uint32(head[12:]))
	if order.Uint64(head[:]) != id || order.Uint16(head[8:]) != freePage {
		return damaged("page %d is not the list of free pages", id)
	}
	if err := v.claim(id, overflow); err != nil {
		return err
	}
	list := make([]byte, int64(overflow+1)*v.pageSize)
	if _, err := v.file.ReadAt(list, at); err != nil {
		return err
	}
	list = list[pageHeader:]
	count := uint64(order.Uint16(head[10:]))
	if count == 0xffff { // the number did not fit
		count, list = order.Uint64(list), list[8:]
	}
	if count > uint64(len(list)/8) {
		return damaged("the list of free pages has %d entries", count)
	}
	for i := range count {
		if err := v.claim(order.Uint64(list[i*8:]), 0); err != nil {
			return err
		}
	}
	return nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: the structure of the file is damaged: %s", pipeline.ErrCorrupt, fmt.Sprintf(format, args...))
}

// claim marks a page and its overflow as used.
func (v *verifier) claim(id, overflow uint64) error {
	if id >= v.pages || overflow >= v.pages-id {
		return damaged("page %d+%d of %d", id, overflow, v.pages)
	}
	for i := id; i <= id+overflow; i++ {
		if v.used[i] {
			return damaged("page %d is used twice", i)
		}
		v.used[i] = true
	}
	return nil
}

// page checks a page and those below it, whose keys must be from low on and
// before high; nil is no bound.
func (v *verifier) page(id uint64, low, high []byte) error {
	if id >= v.pages {
		return damaged("page %d of %d", id, v.pages)
	}
	b := make([]byte, v.pageSize)
	at := int64(id) * v.pageSize
	if _, err := v.file.ReadAt(b, at); err != nil {
		return err
	}
	order := binary.NativeEndian
	flags, count, overflow := order.Uint16(b[8:]), int(order.Uint16(b[10:])), uint64(order.Uint32(b[12:]))
	if got := order.Uint64(b); got != id || flags != branchPage && flags != leafPage {
		return damaged("page %d says it is page %d of type %#x", id, got, flags)
	}
	if err := v.claim(id, overflow); err != nil {
		return err
	}
	if flags == branchPage && count == 0 {
		return damaged("page %d is an empty branch", id)
	}
	run := io.NewSectionReader(v.file, at, int64(overflow+1)*v.pageSize)
	if int64(pageHeader+count*elementSize) > run.Size() {
		return damaged("page %d has %d elements", id, count)
	}
	elements := b
	if n := pageHeader + count*elementSize; n > len(b) {
		elements = make([]byte, n)
		if _, err := run.ReadAt(elements, 0); err != nil {
			return err
		}
	}
	return v.elements(id, flags == leafPage, elements, count, run, low, high)
}

// elements checks the elements of one page.
func (v *verifier) elements(id uint64, leaf bool, b []byte, count int, run *io.SectionReader, low, high []byte) error {
	keys, err := v.keys(id, leaf, b, count, run)
	if err != nil {
		return err
	}
	for i, key := range keys {
		if low != nil && bytes.Compare(key, low) < 0 || i > 0 && bytes.Compare(key, keys[i-1]) <= 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged("key %.60q on page %d is out of order", key, id)
		}
		next := high
		if i+1 < count {
			next = keys[i+1]
		}
		e := b[pageHeader+i*elementSize:]
		order := binary.NativeEndian
		switch {
		case !leaf:
			err = v.page(order.Uint64(e[8:]), key, next)
		case order.Uint32(e) == bucketLeaf:
			err = v.bucket(id, int64(pageHeader+i*elementSize)+int64(order.Uint32(e[4:]))+int64(order.Uint32(e[8:])), int(order.Uint32(e[12:])), run)
		case order.Uint32(e) != 0:
			err = damaged("element %d of page %d has flags %#x", i, id, order.Uint32(e))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// keys checks the bounds of the elements of a page and returns their keys.
func (v *verifier) keys(id uint64, leaf bool, b []byte, count int, run *io.SectionReader) ([][]byte, error) {
	keys := make([][]byte, count)
	for i := range keys {
		order := binary.NativeEndian
		at := pageHeader + i*elementSize
		pos, size, value := order.Uint32(b[at:]), order.Uint32(b[at+4:]), uint32(0)
		if leaf {
			pos, size, value = order.Uint32(b[at+4:]), order.Uint32(b[at+8:]), order.Uint32(b[at+12:])
		}
		begin := int64(at) + int64(pos)
		if size == 0 || size > bbolt.MaxKeySize || begin < int64(pageHeader+count*elementSize) || begin+int64(size)+int64(value) > run.Size() {
			return nil, damaged("element %d of page %d is out of bounds", i, id)
		}
		if end := begin + int64(size); end <= int64(len(b)) {
			keys[i] = b[begin:end]
			continue
		}
		keys[i] = make([]byte, size)
		if _, err := run.ReadAt(keys[i], begin); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// bucket follows the root of a bucket, which is stored like a value. The pages
// of a small bucket are inside of the value; Open checks that such a bucket is
// empty or ours, and its element bounds are the value's.
func (v *verifier) bucket(id uint64, at int64, size int, run *io.SectionReader) error {
	if size < rootSize {
		return damaged("a bucket on page %d is cut short", id)
	}
	b := make([]byte, size)
	if _, err := run.ReadAt(b, at); err != nil {
		return err
	}
	order := binary.NativeEndian
	if root := order.Uint64(b); root != 0 {
		return v.page(root, nil, nil)
	}
	inline := b[rootSize:]
	if len(inline) < pageHeader || order.Uint16(inline[8:]) != leafPage {
		return damaged("a bucket on page %d has no pages", id)
	}
	count := int(order.Uint16(inline[10:]))
	if pageHeader+count*elementSize > len(inline) {
		return damaged("a bucket on page %d has %d elements", id, count)
	}
	within := io.NewSectionReader(bytes.NewReader(inline), 0, int64(len(inline)))
	return v.elements(id, true, inline, count, within, nil, nil)
}
