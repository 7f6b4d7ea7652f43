package artifact

import (
	"context"
	"iter"
)

// listPage is how many objects are asked for at a time: what S3 and its relatives return at most.
const listPage = 1000

// List returns the stored content in ascending order of digests, a page at a time. Content that is stored or removed
// meanwhile may or may not be seen. An error, which is a [StoreError], ends the sequence.
func (s *Store) List(ctx context.Context) iter.Seq2[Info, error] {
	return s.list(ctx, "blobs", blobFolder)
}

// ListSets returns the stored sets as [Store.List] returns content.
func (s *Store) ListSets(ctx context.Context) iter.Seq2[Info, error] {
	return s.list(ctx, "sets", setFolder)
}

func (s *Store) list(ctx context.Context, noun, folder string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for after := ""; ; {
			page, err := s.driver.List(ctx, folder, after, listPage)
			if err != nil {
				yield(Info{}, &StoreError{Op: "list", Object: noun, Err: ended(ctx, err)})
				return
			}
			for _, i := range page {
				obj := object{digest: Digest(digestPrefix + i.Key.Hash)}
				if !yield(obj.info(i), nil) {
					return
				}
			}
			if len(page) < listPage {
				return
			}
			after = page[len(page)-1].Key.Hash
		}
	}
}
