package kubetest

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// DefaultManagerEvery is how often a Manager without Every acts.
const DefaultManagerEvery = 10 * time.Second

// A Manager is a second field manager at work, such as a GitOps controller that
// keeps an object as its repository says, or a person with "kubectl edit".
type Manager struct {
	Name   string                     // the field manager, required
	Object *unstructured.Unstructured // the fields it wants, with apiVersion, kind and metadata; required
	Every  time.Duration              // between two applies; zero means DefaultManagerEvery
	Times  int                        // ends after that many; zero means never
	Force  bool                       // takes fields from others; without it a conflict changes nothing
	Edit   bool                       // merges by an update instead of applying: it takes the fields and lets go of none
}

// Employ lets a Manager work until stop is called or the cluster is closed. It
// acts first after Every, and skips a turn in which its object is not there
// (Edit) or refused. What it did is in the objects' managedFields; a kind that
// the cluster does not serve makes Employ panic, which is a mistake in a test.
func (c *Cluster) Employ(m Manager) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Name == "" || m.Object == nil {
		panic("kubetest: a Manager needs a Name and an Object")
	}
	res := c.registry.kind(m.Object.GetAPIVersion(), m.Object.GetKind())
	if res == nil {
		panic(fmt.Sprintf("kubetest: manager %s: the cluster does not serve %s of %s", m.Name, m.Object.GetKind(), m.Object.GetAPIVersion()))
	}
	if m.Every <= 0 {
		m.Every = DefaultManagerEvery
	}
	m.Object = m.Object.DeepCopy()
	c.employed++
	w := &managerWork{c: c, m: m, res: res, id: fmt.Sprintf("manager/%d", c.employed)}
	w.plan()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		w.over = true
	}
}

// managerWork is a Manager at work. The cluster's lock guards it.
type managerWork struct {
	c    *Cluster
	m    Manager
	res  *resource
	id   string
	done int
	over bool
}

func (w *managerWork) plan() { w.c.work.at(now().Add(w.m.Every), w.id, w.act) }

func (w *managerWork) act() {
	if w.over || w.m.Times > 0 && w.done >= w.m.Times {
		return
	}
	w.done++
	k := key{w.m.Object.GetNamespace(), w.m.Object.GetName()}
	if w.m.Edit {
		if e := w.c.store.get(w.res.gr(), k); e != nil {
			u := e.u.DeepCopy()
			lay(u.Object, w.m.Object.DeepCopy().Object)
			_, _ = w.c.update(w.res, k, u, write{manager: w.m.Name})
		}
	} else {
		_, _, _ = w.c.apply(w.res, k, w.m.Object.DeepCopy(), w.m.Force, write{manager: w.m.Name})
	}
	w.plan()
}

// lay puts the fields of b over those of a.
func lay(a, b map[string]any) {
	for k, v := range b {
		sub, isMap := v.(map[string]any)
		if old, ok := a[k].(map[string]any); ok && isMap {
			lay(old, sub)
			continue
		}
		a[k] = v
	}
}
