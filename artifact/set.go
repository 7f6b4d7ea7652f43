package artifact

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// A Set is an immutable collection of artifacts that move together, at most one of each kind and name. The zero Set is the
// empty set and is ready to use. Sets are safe for concurrent use; compare them with [Set.Equal] or by their digests.
type Set struct {
	items  []Artifact // ordered by kind and name; never changed; nil when empty
	digest Digest     // "" when empty, so that every empty Set is the zero Set
}

// maxSetBytes bounds the canonical JSON of a set.
const maxSetBytes = 4 << 20

// NewSet returns the set of the given artifacts, in any order. An artifact given twice counts once. The error is a
// [SetError] that lists every artifact that is not valid (see [Artifact.Validate]) and every kind and name claimed by two
// different artifacts ([ErrConflict]). The canonical JSON of a set has at most 4 MiB.
func NewSet(artifacts ...Artifact) (Set, error) {
	var errs []error
	sorted := make([]Artifact, 0, len(artifacts))
	for _, a := range artifacts {
		if err := a.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		sorted = append(sorted, a.clone())
	}
	slices.SortStableFunc(sorted, compare)
	items := sorted[:0]
	for _, a := range sorted {
		n := len(items)
		switch {
		case n == 0 || compare(items[n-1], a) != 0:
			items = append(items, a)
		case !items[n-1].Equal(a):
			errs = append(errs, conflict(items[n-1], a))
		}
	}
	if len(errs) > 0 {
		return Set{}, &SetError{Err: errors.Join(errs...)}
	}
	return seal(items)
}

// seal makes a set of items that are valid, ordered and not shared.
func seal(items []Artifact) (Set, error) {
	if len(items) == 0 {
		return Set{}, nil
	}
	canonical := appendSet(nil, items)
	if len(canonical) > maxSetBytes {
		return Set{}, &SetError{Err: fmt.Errorf("%w: it has %d bytes as JSON, at most %d are allowed", ErrInvalid, len(canonical), maxSetBytes)}
	}
	return Set{items: items, digest: FromBytes(canonical)}, nil
}

func conflict(a, b Artifact) error {
	return &ArtifactError{Kind: a.Kind, Name: clip(a.Name), Err: fmt.Errorf(
		"%w: given as %s and, differently, as %s; give one of them another name", ErrConflict, describe(a), describe(b))}
}

func describe(a Artifact) string {
	if a.Digest != "" {
		return string(a.Digest)
	}
	return fmt.Sprintf("version %q", a.Version)
}

func search(items []Artifact, kind Kind, name string) (int, bool) {
	return slices.BinarySearchFunc(items, Artifact{Kind: kind, Name: name}, compare)
}

// compare orders artifacts by what makes them unique in a set.
func compare(a, b Artifact) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name))
}

// Digest returns the content address of the set: the SHA-256 of its canonical JSON (see [Set.Canonical]). It covers every
// field of every artifact. The empty set has a digest, too.
func (s Set) Digest() Digest {
	if s.digest == "" {
		return FromBytes(appendSet(nil, nil))
	}
	return s.digest
}

// Len returns the number of artifacts.
func (s Set) Len() int { return len(s.items) }

// IsZero reports whether the set is empty. It makes the omitzero option of encoding/json work.
func (s Set) IsZero() bool { return len(s.items) == 0 }

// All returns the artifacts, ordered by kind and name. What it yields are copies.
func (s Set) All() iter.Seq[Artifact] {
	return func(yield func(Artifact) bool) {
		for _, a := range s.items {
			if !yield(a.clone()) {
				return
			}
		}
	}
}

// OfKind returns the artifacts of one kind, ordered by name.
func (s Set) OfKind(kind Kind) iter.Seq[Artifact] {
	return func(yield func(Artifact) bool) {
		for _, a := range s.items {
			if a.Kind == kind && !yield(a.clone()) {
				return
			}
		}
	}
}

// Find returns the artifact of that kind and name.
func (s Set) Find(kind Kind, name string) (Artifact, bool) {
	i, ok := search(s.items, kind, name)
	if !ok {
		return Artifact{}, false
	}
	return s.items[i].clone(), true
}

// With returns the set with the given artifacts added, each in place of the one of the same kind and name, if there is
// one. The errors are those of [NewSet].
func (s Set) With(artifacts ...Artifact) (Set, error) {
	keep := slices.DeleteFunc(slices.Clone(s.items), func(old Artifact) bool {
		return slices.ContainsFunc(artifacts, func(a Artifact) bool { return a.Kind == old.Kind && a.Name == old.Name })
	})
	return NewSet(append(keep, artifacts...)...)
}

// Merge returns the union of s and others. A kind and name that two of the sets give to different artifacts is an error,
// as in [NewSet]; use [Set.With] to replace.
func (s Set) Merge(others ...Set) (Set, error) {
	all := slices.Clone(s.items)
	for _, o := range others {
		all = append(all, o.items...)
	}
	return NewSet(all...)
}

// Equal reports whether both sets hold equal artifacts.
func (s Set) Equal(other Set) bool { return s.Digest() == other.Digest() }

// String returns the set on one line for people, as in "{image shop/api:1.4.2@sha256:9f86d081884c, image shop/web}". It is
// not meant to be parsed.
func (s Set) String() string {
	parts := make([]string, len(s.items))
	for i, a := range s.items {
		parts[i] = a.String()
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
