package kube

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// awaitNeeds waits for what must be there before an object is written. A
// webhook that nobody answers would refuse, or delay, every request that it is
// about, those of this release included: each Service that a webhook
// configuration names must have a ready address first.
func (a App) awaitNeeds(ctx context.Context, h *Handle, u *unstructured.Unstructured) (string, bool, error) {
	if objectOf(u).gvk().Group != "admissionregistration.k8s.io" {
		return "", true, nil
	}
	for _, hook := range items(u.Object, "webhooks") {
		ns, name := str(hook, "clientConfig", "service", "namespace"), str(hook, "clientConfig", "service", "name")
		if name == "" {
			continue
		}
		if detail, ok, err := a.awaitAddress(ctx, h, objectOf(u), ns, name); err != nil || !ok {
			return detail, ok, err
		}
	}
	return "", true, nil
}

// awaitAddress waits until a Service has a ready address.
func (a App) awaitAddress(ctx context.Context, h *Handle, about Object, ns, service string) (string, bool, error) {
	w := a.observe(h, about)
	defer w.close()
	k, err := w.add(ctx, Object{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice", Namespace: ns},
		selection{labels: "kubernetes.io/service-name=" + service})
	if err != nil {
		return "", false, err
	}
	return w.until(ctx, func(ctx context.Context) (Readiness, time.Time, error) {
		list, err := k.list(ctx, 0)
		if err != nil {
			return Readiness{}, time.Time{}, err
		}
		for _, s := range list {
			for _, e := range items(s.Object, "endpoints") {
				if answers(e) {
					return ready(), time.Time{}, nil
				}
			}
		}
		return waiting("Service %s/%s, which it calls, has no ready address yet", ns, service), time.Time{}, nil
	})
}

// awaitEffect waits for what the cluster does about an object: pods cannot be
// made in a new namespace before it has its default ServiceAccount (admission
// plugin ServiceAccount).
func (a App) awaitEffect(ctx context.Context, h *Handle, u *unstructured.Unstructured, made Write) (string, bool, error) {
	if !objectOf(u).is("", "Namespace") || !made.created() {
		return "", true, nil
	}
	w := a.observe(h, objectOf(u))
	defer w.close()
	k, err := w.add(ctx, Object{APIVersion: "v1", Kind: "ServiceAccount", Namespace: u.GetName()}, one("default"))
	if err != nil {
		return "", false, err
	}
	return w.until(ctx, func(ctx context.Context) (Readiness, time.Time, error) {
		list, err := k.list(ctx, 0)
		switch {
		case err != nil:
			return Readiness{}, time.Time{}, err
		case len(list) == 0:
			return waiting("it has no default ServiceAccount yet"), time.Time{}, nil
		}
		return ready(), time.Time{}, nil
	})
}

// served is how long a kind may take to be served after its definition is
// established: other API servers and the aggregator learn of it later
// (apiextensions-apiserver waits 5 s for them where there are several).
const served = 30 * time.Second

// applyServed applies an object. If its definition came with this release, the
// API server may not serve it everywhere at once: this is the one wait for which
// there is nothing to watch, so it asks again, at growing intervals.
func (a App) applyServed(ctx context.Context, u *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	end, wait := time.Now().Add(served), 50*time.Millisecond
	for {
		out, err := a.applyOwn(ctx, u, false)
		if err == nil || !a.defined(u) || !notServed(err) || time.Now().After(end) {
			return out, err
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, context.Cause(ctx)
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// notServed reports whether the API server does not serve a kind. Applying an
// object that is not there makes it, so a 404 is about the kind or the namespace.
func notServed(err error) bool {
	var unknown *UnknownKindError
	if errors.As(err, &unknown) {
		return true
	}
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	d := status.Status().Details
	return d == nil || d.Kind != "namespaces"
}

// defined reports whether the manifests hold the definition of an object's kind.
func (a App) defined(u *unstructured.Unstructured) bool {
	for _, d := range a.Manifests.docs {
		if d.object.GetKind() == "CustomResourceDefinition" && str(d.object.Object, "spec", "names", "kind") == u.GetKind() &&
			str(d.object.Object, "spec", "group") == u.GroupVersionKind().Group {
			return true
		}
	}
	return false
}
