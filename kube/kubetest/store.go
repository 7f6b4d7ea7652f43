package kubetest

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

type key struct{ ns, name string }

func (k key) compare(o key) int {
	return cmp.Or(cmp.Compare(k.ns, o.ns), cmp.Compare(k.name, o.name))
}

// entry is one stored version of one object. It is immutable: a change
// stores a new entry.
type entry struct {
	gr  schema.GroupResource
	key key
	rv  int64
	u   *unstructured.Unstructured

	// The two caches are filled under the cluster's lock.
	raw []byte
	obj runtime.Object
}

// encoded returns the entry's JSON at the version the client asked for.
func (e *entry) encoded(apiVersion string) []byte {
	if got := e.u.GetAPIVersion(); got != apiVersion {
		other := *e.u
		other.Object = make(map[string]any, len(e.u.Object))
		for k, v := range e.u.Object {
			other.Object[k] = v
		}
		other.Object["apiVersion"] = apiVersion
		return mustJSON(other.Object)
	}
	if e.raw == nil {
		e.raw = mustJSON(e.u.Object)
	}
	return e.raw
}

// change is one entry of the store's history.
type change struct {
	rv   int64
	at   time.Time
	kind watch.EventType
	cur  *entry // the object after the change; for a deletion its last state
	prev *entry // nil for a creation
}

// store keeps the objects and their history. The cluster's lock guards it.
type store struct {
	rv      int64
	objects map[schema.GroupResource]map[key]*entry
	history []change
	floor   int64 // changes up to this resourceVersion are forgotten
	limit   int
	changed chan struct{} // closed and replaced on every change

	// dependents finds objects by the uids of their owners; those without an
	// owner are found under "".
	dependents map[types.UID]map[place]struct{}
}

// place is where an object is stored.
type place struct {
	gr  schema.GroupResource
	key key
}

func newStore(limit int) store {
	return store{
		rv:      1,
		objects: map[schema.GroupResource]map[key]*entry{},
		limit:   limit,
		changed: make(chan struct{}),

		dependents: map[types.UID]map[place]struct{}{},
	}
}

func ownersOf(u *unstructured.Unstructured) []types.UID {
	refs := u.GetOwnerReferences()
	if len(refs) == 0 {
		return []types.UID{""}
	}
	uids := make([]types.UID, len(refs))
	for i := range refs {
		uids[i] = refs[i].UID
	}
	return uids
}

// index keeps dependents up to date; either entry may be nil.
func (s *store) index(prev, cur *entry) {
	if prev != nil {
		for _, uid := range ownersOf(prev.u) {
			delete(s.dependents[uid], place{prev.gr, prev.key})
			if len(s.dependents[uid]) == 0 {
				delete(s.dependents, uid)
			}
		}
	}
	if cur == nil {
		return
	}
	for _, uid := range ownersOf(cur.u) {
		if s.dependents[uid] == nil {
			s.dependents[uid] = map[place]struct{}{}
		}
		s.dependents[uid][place{cur.gr, cur.key}] = struct{}{}
	}
}

// owned lists the objects that name uid as an owner ("" for those that name
// none), of one kind or, with an empty gr, of all.
func (s *store) owned(uid types.UID, gr schema.GroupResource) []*entry {
	var out []*entry
	for p := range s.dependents[uid] {
		if gr.Resource == "" || p.gr == gr {
			out = append(out, s.get(p.gr, p.key))
		}
	}
	slices.SortFunc(out, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.gr.String(), b.gr.String()), a.key.compare(b.key))
	})
	return out
}

func (s *store) get(gr schema.GroupResource, k key) *entry { return s.objects[gr][k] }

// list returns the objects of a namespace ("" for all) ordered by namespace
// and name, as etcd does.
func (s *store) list(gr schema.GroupResource, ns string) []*entry {
	all := s.objects[gr]
	out := make([]*entry, 0, len(all))
	for k, e := range all {
		if ns == "" || k.ns == ns {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return a.key.compare(b.key) })
	return out
}

// put stores u as the next version of the object and returns the change.
func (s *store) put(gr schema.GroupResource, u *unstructured.Unstructured, now time.Time) change {
	k := key{u.GetNamespace(), u.GetName()}
	prev := s.objects[gr][k]
	s.rv++
	u.SetResourceVersion(strconv.FormatInt(s.rv, 10))
	cur := &entry{gr: gr, key: k, rv: s.rv, u: u}
	if s.objects[gr] == nil {
		s.objects[gr] = map[key]*entry{}
	}
	s.objects[gr][k] = cur
	s.index(prev, cur)
	kind := watch.Modified
	if prev == nil {
		kind = watch.Added
	}
	return s.record(change{rv: s.rv, at: now, kind: kind, cur: cur, prev: prev})
}

// drop removes the object; its last state gets a resourceVersion of its own,
// which watchers see.
func (s *store) drop(prev *entry, now time.Time) change {
	s.rv++
	u := prev.u.DeepCopy()
	u.SetResourceVersion(strconv.FormatInt(s.rv, 10))
	delete(s.objects[prev.gr], prev.key)
	s.index(prev, nil)
	cur := &entry{gr: prev.gr, key: prev.key, rv: s.rv, u: u}
	return s.record(change{rv: s.rv, at: now, kind: watch.Deleted, cur: cur, prev: prev})
}

func (s *store) record(ch change) change {
	s.history = append(s.history, ch)
	if len(s.history) > 2*s.limit {
		s.compact(len(s.history) - s.limit)
	}
	close(s.changed)
	s.changed = make(chan struct{})
	return ch
}

// compact forgets the oldest n changes.
func (s *store) compact(n int) {
	if n == 0 {
		return
	}
	s.floor = s.history[n-1].rv
	s.history = slices.Clone(s.history[n:])
}

// since returns the changes after rv; ok is false when some are forgotten.
func (s *store) since(rv int64) (changes []change, ok bool) {
	if rv < s.floor {
		return nil, false
	}
	i, _ := slices.BinarySearchFunc(s.history, rv+1, func(ch change, rv int64) int {
		return cmp.Compare(ch.rv, rv)
	})
	return s.history[i:], true
}

// asOf returns the objects of a kind as they were at the given time, as far
// as the history reaches back, and the resourceVersion of that moment.
func (s *store) asOf(gr schema.GroupResource, at time.Time) (map[key]*entry, int64) {
	past := make(map[key]*entry, len(s.objects[gr]))
	for k, e := range s.objects[gr] {
		past[k] = e
	}
	rv := s.rv
	for i := len(s.history) - 1; i >= 0 && s.history[i].at.After(at); i-- {
		ch := s.history[i]
		rv = ch.rv - 1
		if ch.cur.gr != gr {
			continue
		}
		if ch.prev == nil {
			delete(past, ch.cur.key)
		} else {
			past[ch.cur.key] = ch.prev
		}
	}
	return past, rv
}

// mustJSON encodes what was decoded from JSON, which cannot be refused.
func mustJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("kubetest: encode object: " + err.Error())
	}
	return raw
}
