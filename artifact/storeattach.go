package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/gennaker/gennaker/artifact/driver"
)

// An attachment is a small document about a set or about other content, such as signed evidence: it is kept beside its
// subject, under its own digest, and can be listed by the digest of the subject. Like all content it is never changed; a
// program that knows more attaches another document.

// Attach stores data as an attachment of the content or set that subject names, and returns its digest. kind is what
// attachments are listed by, a lower-case word such as "evidence". The subject itself need not be in this store. Attaching
// the same data again changes nothing. The errors are those of [Store.Put], and [ErrTooMany] when the subject has
// [MaxAttachments] of that kind already.
func (s *Store) Attach(ctx context.Context, subject Digest, kind string, data []byte) (Digest, error) {
	obj, err := attachment(subject, kind, FromBytes(data))
	if err != nil {
		return "", obj.error("put", err)
	}
	if err := s.room(ctx, obj); err != nil {
		return "", obj.error("put", ended(ctx, err))
	}
	if err := s.put(ctx, obj, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		return "", err
	}
	return obj.digest, nil
}

// MaxAttachments is how many attachments of one kind [Store.Attach] gives a subject. Programs that attach at the same moment
// may exceed it by their number; a list of twice as many is refused.
const MaxAttachments = 1000

// room reports whether the subject may have this attachment, too.
func (s *Store) room(ctx context.Context, obj object) error {
	page, err := s.driver.List(ctx, obj.folder, "", MaxAttachments)
	if err != nil || len(page) < MaxAttachments || slices.ContainsFunc(page, func(i driver.Info) bool { return i.Key.Hash == obj.digest.Hex() }) {
		return err
	}
	if _, err := s.driver.Stat(ctx, driver.Key{Folder: obj.folder, Hash: obj.digest.Hex()}); !errors.Is(err, driver.ErrNotFound) {
		return err // It is there, behind the first page, or nobody knows.
	}
	return fmt.Errorf("%w: %d of them; a new set, or a newer word in place of many, is the way out", ErrTooMany, MaxAttachments)
}

// Attachment returns the attachment of digest d, verified. The limit and the errors are those of [Store.ReadAll].
func (s *Store) Attachment(ctx context.Context, subject Digest, kind string, d Digest, limit int64) ([]byte, error) {
	obj, err := attachment(subject, kind, d)
	if err != nil {
		return nil, obj.error("get", err)
	}
	if limit <= 0 {
		limit = 32 << 20
	}
	return s.readAll(ctx, obj, limit)
}

// Attachments returns the attachments of a subject, of one kind, as [Store.List] returns content. It ends with [ErrTooMany]
// after twice [MaxAttachments].
func (s *Store) Attachments(ctx context.Context, subject Digest, kind string) iter.Seq2[Info, error] {
	obj, err := attachment(subject, kind, subject)
	if err != nil {
		return func(yield func(Info, error) bool) { yield(Info{}, obj.error("list", err)) }
	}
	noun := kind + " of " + string(subject)
	return func(yield func(Info, error) bool) {
		n := 0
		for info, err := range s.list(ctx, noun, obj.folder) {
			if n++; n > 2*MaxAttachments {
				yield(Info{}, &StoreError{Op: "list", Object: noun, Err: fmt.Errorf("%w: more than %d", ErrTooMany, 2*MaxAttachments)})
				return
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// attachment names the object, and says what is wrong with its subject or kind.
func attachment(subject Digest, kind string, d Digest) (object, error) {
	obj := object{noun: "attachment of " + clip(string(subject)) + ":", digest: d}
	if err := subject.check(); err != nil {
		return obj, fmt.Errorf("subject: %w", err)
	}
	if kind == "" || len(kind) > maxKindLen || strings.Trim(kind, "abcdefghijklmnopqrstuvwxyz") != "" || kind == "blobs" || kind == "sets" {
		return obj, fmt.Errorf("%w: kind %q: want a lower-case word that is not \"blobs\" or \"sets\"", ErrInvalid, clip(kind))
	}
	obj.folder = kind + "/sha256-" + subject.Hex()
	return obj, nil
}
