package kube

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxBackup bounds what a backup unpacks to: the API server takes no object
// larger than 3 MiB.
const maxBackup = 4 << 20

// backupName is the Secret in which a release keeps the former state of a
// ConfigMap or Secret, so that no value enters a record.
func (a App) backupName(key string, o Object) string {
	return "gennaker-" + a.Name + "-" + hash([]any{key, o})
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
