package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxBackup bounds what a backup unpacks to: the API server takes no object
// larger than 3 MiB.
const maxBackup = 4 << 20

// maxSpent bounds how many backups a release remembers that it may not delete.
const maxSpent = 100

// backupName is the Secret in which a release keeps the former state of a
// ConfigMap or Secret, so that no value enters a record. It is one of its own each time
// that a key is used.
func (a App) backupName(h *Handle, o Object) string {
	return "gennaker-" + a.Name + "-" + hash([]any{h.Key, h.Since.UnixNano(), o})
}

func (a App) backupRef(o Object, name string) Object {
	return Object{APIVersion: "v1", Kind: "Secret", Namespace: o.Namespace, Name: name}
}

// backUp keeps the present state of an object that u is about to change. A
// backup that exists is from this release before a crash and stays as it is.
func (a App) backUp(ctx context.Context, h *Handle, u *unstructured.Unstructured, name string) error {
	ref := a.backupRef(objectOf(u), name)
	if have, err := a.Cluster.get(ctx, ref); err != nil || have != nil {
		return err
	}
	live, err := a.Cluster.get(ctx, objectOf(u))
	if err != nil {
		return err
	}
	if live == nil {
		return &DriftError{Object: objectOf(u), Fields: []string{"the object is gone"}}
	}
	dry, err := a.applyOwn(ctx, u, true)
	if err != nil {
		return err
	}
	data, err := inverse(live, dry, a.owner())
	if err != nil {
		return err
	}
	return a.keep(ctx, h, ref, data)
}

// backUpWhole keeps a ConfigMap or Secret that is about to be deleted. One that
// is gone was kept before.
func (a App) backUpWhole(ctx context.Context, h *Handle, w Write) error {
	ref := a.backupRef(w.Object, w.Backup)
	if have, err := a.Cluster.get(ctx, ref); err != nil || have != nil {
		return err
	}
	live, err := a.Cluster.get(ctx, w.Object)
	if err != nil || live == nil {
		return err
	}
	data, err := json.Marshal(portable(live).Object)
	if err != nil {
		return fmt.Errorf("%s: encode: %w", w.Object, err)
	}
	return a.keep(ctx, h, ref, data)
}

// keep writes a backup.
func (a App) keep(ctx context.Context, h *Handle, ref Object, data []byte) error {
	packed, err := pack(data)
	if err != nil {
		return err
	}
	s := &unstructured.Unstructured{Object: map[string]any{
		"type": "gennaker.dev/backup",
		"data": map[string]any{"object": base64.StdEncoding.EncodeToString(packed)},
	}}
	s.SetAPIVersion("v1")
	s.SetKind("Secret")
	s.SetName(ref.Name)
	s.SetNamespace(ref.Namespace)
	setLabel(s, LabelApp, a.Name)
	setAnnotation(s, AnnotationRelease, h.Key)
	_, _, err = a.Cluster.create(ctx, s, a.owner())
	return err
}

// backedUp reads a backup; nil if there is none, because the object was never
// written.
func (a App) backedUp(ctx context.Context, o Object, name string) (json.RawMessage, error) {
	s, err := a.Cluster.get(ctx, a.backupRef(o, name))
	if err != nil || s == nil {
		return nil, err
	}
	packed, err := base64.StdEncoding.DecodeString(str(s.Object, "data", "object"))
	if err != nil {
		return nil, fmt.Errorf("%s: data.object: %w: it is not base64", objectOf(s), ErrInvalid)
	}
	data, err := unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("%s: data.object: %w", objectOf(s), err)
	}
	return data, nil
}

// backups lists the backups that a release has made, or may have.
func (h *Handle) backups(a App) []Object {
	var out []Object
	for _, w := range h.writes() {
		if w.Backup != "" {
			out = append(out, a.backupRef(w.Object, w.Backup))
		}
	}
	return out
}

// spent lists the backups that are of no use once another release has the App:
// nothing leads back any more to what was before the one that has it now.
func (c claim) spent(a App) []Object {
	var h Handle
	if json.Unmarshal([]byte(c.Handle), &h) != nil {
		return nil
	}
	out := h.Spent
	if !h.restored() {
		out = slices.Concat(out, h.backups(a))
	}
	return out[max(0, len(out)-maxSpent):]
}

// collectBackups deletes what is spent when a release ends, and its own backups if
// it was taken back. What cannot be deleted keeps nothing waiting: the handle names it
// for the next release.
func (a App) collectBackups(ctx context.Context, h *Handle) {
	if h.restored() {
		for _, o := range h.backups(a) {
			if !holds(h.Spent, o) {
				h.Spent = slices.Concat(h.Spent, []Object{o})
			}
		}
	}
	for len(h.Spent) > 0 && a.Cluster.remove(ctx, h.Spent[0], "") == nil {
		h.Spent = h.Spent[1:]
	}
}
