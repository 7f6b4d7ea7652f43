package pipeline

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// BlobThreshold is how many bytes of an input, an output, a handle, an item or a
// step are kept in the record itself. A larger one has a key of its own, which is
// written once, before the first record that refers to it.
const BlobThreshold = 16 << 10

// blobFormat is what a reader of a record with blobs must know.
const blobFormat = 2

// blobRef says that a payload of the record is kept elsewhere.
type blobRef struct {
	At  string `json:"at"` // as in record.payloads
	Key string `json:"key"`
}

// blobName is what the key of a blob tells: whose it is, the revision of the
// first record that refers to it, and its content. No two writes share a key.
// So a blob of revision n that the execution's record of revision n or later
// does not refer to is garbage for good: no record can come to refer to it.
type blobName struct {
	execution string
	rev       uint64
	sum       string
}

func newBlobKey(execution string, rev uint64, content []byte) string {
	sum := sha256.Sum256(content)
	return fmt.Sprintf("%s%s/%d-%s-%s", blobPrefix, execution, rev, rand.Text(), hex.EncodeToString(sum[:]))
}

func parseBlobKey(key string) (blobName, error) {
	execution, rest, ok := strings.Cut(strings.TrimPrefix(key, blobPrefix), "/")
	part := strings.Split(rest, "-")
	if !ok || !strings.HasPrefix(key, blobPrefix) || len(part) != 3 || len(part[2]) != hex.EncodedLen(sha256.Size) {
		return blobName{}, fmt.Errorf("%q is not the key of a blob", key)
	}
	rev, err := strconv.ParseUint(part[0], 10, 64)
	return blobName{execution, rev, part[2]}, err
}

// payloads visits every payload that may be a blob, with the place where it is.
// What visit returns takes its place, unless that is nil.
func (r *record) payloads(visit func(at string, p json.RawMessage) json.RawMessage) {
	set := func(at string, p *json.RawMessage) {
		if q := visit(at, *p); q != nil {
			*p = q
		}
	}
	set("input", &r.Input)
	set("output", &r.Output)
	for i := range r.Stages {
		s := &r.Stages[i]
		at := "stages/" + strconv.Itoa(i) + "/"
		set(at+"input", &s.Input)
		set(at+"output", &s.Output)
		set(at+"handle", &s.Handle)
		if s.Override != nil {
			o := *s.Override
			set(at+"override", &o.Output)
			s.Override = &o
		}
		for k := range s.Items {
			if q := visit(at+"items/"+strconv.Itoa(k), s.Items[k].Value); q != nil {
				s.Items = slices.Clone(s.Items)
				s.Items[k].Value = q
			}
		}
		for _, name := range slices.Sorted(maps.Keys(s.Steps)) {
			if q := visit(at+"steps/"+name, s.Steps[name]); q != nil {
				s.Steps = maps.Clone(s.Steps)
				s.Steps[name] = q
			}
		}
	}
}

// offload stores the large payloads of a record that have not been stored yet and
// returns the record as it is to be written. The record itself stays whole.
func (e *Embedded) offload(ctx context.Context, r *record) (*record, error) {
	c := r.clone()
	c.Blobs = nil
	known := map[*byte]string{}
	var err error
	c.payloads(func(at string, p json.RawMessage) json.RawMessage {
		if len(p) <= BlobThreshold || err != nil {
			return nil
		}
		key := r.blobs[&p[0]]
		if key == "" {
			key = known[&p[0]]
		}
		if key == "" {
			key = newBlobKey(r.ID, r.Rev, p)
			err = e.putBlob(ctx, key, p)
		}
		known[&p[0]] = key
		c.Blobs = append(c.Blobs, blobRef{at, key})
		return json.RawMessage("null")
	})
	if err != nil {
		return nil, err
	}
	r.blobs = known
	if len(c.Blobs) > 0 {
		c.MinReader = max(c.MinReader, blobFormat)
	}
	return c, nil
}

// putBlob writes a blob whose key nobody else has.
func (e *Embedded) putBlob(ctx context.Context, key string, p []byte) error {
	for try := 1; ; try++ {
		_, err := e.commit.put(ctx, Op{Key: key, Value: p})
		switch {
		case err == nil, try > 1 && errors.Is(err, ErrConflict): // an earlier try has landed
			return nil
		case errors.Is(err, ErrConflict): // a client below the store has repeated the write
			item, err := e.store.Get(ctx, key)
			if err == nil && string(item.Value) == string(p) {
				return nil
			}
			return fmt.Errorf("blob: %w", errors.Join(err, ErrUnknown))
		case !errors.Is(err, ErrUnknown) || try == unknownTries || ctx.Err() != nil:
			return fmt.Errorf("blob: %w", err)
		}
	}
}

// inline reads the payloads that are blobs back into the record.
func (e *Embedded) inline(ctx context.Context, r *record) error {
	if len(r.Blobs) == 0 {
		return nil
	}
	refs := make(map[string]string, len(r.Blobs))
	for _, ref := range r.Blobs {
		refs[ref.At] = ref.Key
	}
	read := map[string]json.RawMessage{}
	r.blobs = map[*byte]string{}
	var err error
	r.payloads(func(at string, _ json.RawMessage) json.RawMessage {
		key, ok := refs[at]
		if !ok || err != nil {
			return nil
		}
		delete(refs, at)
		p := read[key]
		if p == nil {
			if p, err = e.getBlob(ctx, r.ID, key); err != nil {
				return nil
			}
			read[key] = p
		}
		r.blobs[&p[0]] = key
		return p
	})
	if err == nil && len(refs) > 0 {
		err = &RecordError{Key: execPrefix + r.ID, Err: ErrCorrupt, Problem: "has a blob for a place that it does not have; restore it from a backup or delete it"}
	}
	r.Blobs = nil
	if r.MinReader == blobFormat { // needed only for what is written with blobs
		r.MinReader = recordFormat
	}
	return err
}

// getBlob reads a blob and checks that it is what its key says.
func (e *Embedded) getBlob(ctx context.Context, execution, key string) (json.RawMessage, error) {
	bad := func(problem string) error {
		return &RecordError{Key: key, Err: ErrCorrupt, Problem: problem + "; restore it from a backup or delete the execution"}
	}
	name, err := parseBlobKey(key)
	if err != nil || name.execution != execution {
		return nil, bad("is no blob of this execution")
	}
	item, err := e.store.Get(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil, errors.Join(bad("is a blob that is missing"), ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(item.Value)
	if hex.EncodeToString(sum[:]) != name.sum || !json.Valid(item.Value) {
		return nil, bad("is a blob that is not what was written")
	}
	return item.Value, nil
}
