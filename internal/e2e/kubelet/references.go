package kubelet

import (
	"context"
	"fmt"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// object is a ConfigMap or Secret that a pod refers to, with one key of it or
// with "" for the whole.
type object struct{ kind, name, key string }

// configured waits until every ConfigMap and Secret that the container needs is
// there, and reports a missing one as a genuine kubelet does.
func (c *container) configured(life context.Context) bool {
	for {
		volume, missing := c.firstMissing(life)
		switch {
		case life.Err() != nil:
			return false
		case missing == "":
			return true
		case volume != "":
			c.p.k.events.Eventf(c.p.first, v1.EventTypeWarning, "FailedMount", "MountVolume.SetUp failed for volume %q : %s", volume, missing)
			c.p.changed() // ContainerCreating
		default:
			c.event(v1.EventTypeWarning, "Failed", "Error: %s", missing)
			c.set(func(s *v1.ContainerStatus) { s.State = waiting("CreateContainerConfigError", missing) })
		}
		if !pause(life, 500*time.Millisecond) {
			return false
		}
	}
}

// firstMissing looks at the pod's volumes first, as a kubelet mounts them before
// it creates a container, then at the environment.
func (c *container) firstMissing(ctx context.Context) (volume, missing string) {
	for _, v := range c.p.first.Spec.Volumes {
		if strings.HasPrefix(v.Name, "kube-api-access-") {
			continue // the token that admission mounts: every namespace has what it needs
		}
		for _, o := range volumeObjects(v) {
			if missing := c.lookup(ctx, o); missing != "" {
				return v.Name, missing
			}
		}
	}
	for _, o := range envObjects(c.spec) {
		if missing := c.lookup(ctx, o); missing != "" {
			return "", missing
		}
	}
	return "", ""
}

// lookup returns "" when the object and key exist, or what is missing.
func (c *container) lookup(ctx context.Context, o object) string {
	namespace, found := c.p.first.Namespace, false
	var err error
	if o.kind == "configmap" {
		var m *v1.ConfigMap
		if m, err = c.p.k.client.CoreV1().ConfigMaps(namespace).Get(ctx, o.name, metav1.GetOptions{}); err == nil {
			_, text := m.Data[o.key]
			_, binary := m.BinaryData[o.key]
			found = text || binary
		}
	} else {
		var s *v1.Secret
		if s, err = c.p.k.client.CoreV1().Secrets(namespace).Get(ctx, o.name, metav1.GetOptions{}); err == nil {
			_, found = s.Data[o.key]
		}
	}
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("%s %q not found", o.kind, o.name)
	case err != nil:
		return err.Error()
	case o.key != "" && !found:
		kind := strings.NewReplacer("configmap", "ConfigMap", "secret", "Secret").Replace(o.kind)
		return fmt.Sprintf("couldn't find key %s in %s %s/%s", o.key, kind, namespace, o.name)
	}
	return ""
}

func volumeObjects(v v1.Volume) []object {
	var all []object
	add := func(kind, name string, optional *bool) {
		if optional == nil || !*optional {
			all = append(all, object{kind: kind, name: name})
		}
	}
	if m := v.ConfigMap; m != nil {
		add("configmap", m.Name, m.Optional)
	}
	if s := v.Secret; s != nil {
		add("secret", s.SecretName, s.Optional)
	}
	if v.Projected == nil {
		return all
	}
	for _, source := range v.Projected.Sources {
		if m := source.ConfigMap; m != nil {
			add("configmap", m.Name, m.Optional)
		}
		if s := source.Secret; s != nil {
			add("secret", s.Name, s.Optional)
		}
	}
	return all
}

func envObjects(c *v1.Container) []object {
	var all []object
	add := func(kind, name, key string, optional *bool) {
		if optional == nil || !*optional {
			all = append(all, object{kind, name, key})
		}
	}
	for _, from := range c.EnvFrom {
		if m := from.ConfigMapRef; m != nil {
			add("configmap", m.Name, "", m.Optional)
		}
		if s := from.SecretRef; s != nil {
			add("secret", s.Name, "", s.Optional)
		}
	}
	for _, env := range c.Env {
		if env.ValueFrom == nil {
			continue
		}
		if m := env.ValueFrom.ConfigMapKeyRef; m != nil {
			add("configmap", m.Name, m.Key, m.Optional)
		}
		if s := env.ValueFrom.SecretKeyRef; s != nil {
			add("secret", s.Name, s.Key, s.Optional)
		}
	}
	return all
}
