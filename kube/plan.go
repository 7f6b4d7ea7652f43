package kube

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// maxPlan bounds the plan inside the claim, in bytes of base64: a ConfigMap
// holds 1 MiB, of which the handle may take a half.
const maxPlan = 384 << 10

// plan is what a process that has neither the program nor its manifests needs
// to finish a release or to take it back: the rendered objects without the
// values of Secrets, and the App's own settings.
type plan struct {
	Before   []map[string]any `json:"before"`
	Workload map[string]any   `json:"workload"`
	After    []map[string]any `json:"after"`
	Fronts   []front          `json:"fronts"`
	Version  string           `json:"version"`
	Replicas int              `json:"replicas"`
	Digest   string           `json:"digest"`
	Configs  []Object         `json:"configs"`

	Env            string        `json:"env"`
	Owner          string        `json:"owner"`
	TakeFields     bool          `json:"takeFields"`
	IngressAddress bool          `json:"ingressAddress"`
	Timeout        time.Duration `json:"timeout"`
	Patience       Patience      `json:"patience"`
	History        int           `json:"history"`

	Router       plannedRouter `json:"router,omitzero"`
	Preview      string        `json:"preview,omitempty"`
	PreviewFront *front        `json:"previewFront,omitempty"`
}

// plannedRouter is an App's Router as it is recorded.
type plannedRouter struct {
	Kind string `json:"kind"` // of the Router
	Name string `json:"name"`
}

func (p plannedRouter) router() Router {
	switch p.Kind {
	case "HTTPRoute":
		return HTTPRoute{Name: p.Name}
	case "Ingress":
		return Ingress{Name: p.Name}
	case "IngressSwitch":
		return IngressSwitch{Name: p.Name}
	}
	return nil
}

func (a App) plan(r *rendered) plan {
	p := plan{
		Workload: r.workload.Object, Fronts: r.fronts, Version: r.version, Replicas: r.replicas, Digest: r.digest,
		Env: a.Env, Owner: a.Owner, TakeFields: a.TakeFields, IngressAddress: a.IngressAddress,
		Timeout: a.Timeout, Patience: a.Patience, History: a.History,
		Preview: a.Preview, PreviewFront: r.preview,
	}
	if a.Router != nil {
		entry := a.Router.entry(a)
		p.Router = plannedRouter{entry.Kind, entry.Name}
		if _, ok := a.Router.(IngressSwitch); ok {
			p.Router.Kind = "IngressSwitch"
		}
	}
	for _, u := range r.before {
		p.Before = append(p.Before, valueless(u).Object)
	}
	for _, u := range r.after {
		p.After = append(p.After, valueless(u).Object)
	}
	for o := range r.configs {
		p.Configs = append(p.Configs, o)
	}
	return p
}

// valueless is a Secret without its values, and any other object as it is.
func valueless(u *unstructured.Unstructured) *unstructured.Unstructured {
	if !objectOf(u).is("", "Secret") {
		return u
	}
	u = u.DeepCopy()
	delete(u.Object, "data")
	return u
}

// rendered gives back what was rendered.
func (p plan) rendered() *rendered {
	r := &rendered{
		workload: &unstructured.Unstructured{Object: p.Workload}, fronts: p.Fronts,
		version: p.Version, replicas: p.Replicas, digest: p.Digest, configs: map[Object]bool{}, preview: p.PreviewFront,
	}
	for _, o := range p.Before {
		r.before = append(r.before, &unstructured.Unstructured{Object: o})
	}
	for _, o := range p.After {
		r.after = append(r.after, &unstructured.Unstructured{Object: o})
	}
	for _, o := range p.Configs {
		r.configs[o] = true
	}
	return r
}

// app is the App as far as the plan knows it.
func (p plan) app(c *Cluster, of Orphan) App {
	a := App{
		Cluster: c, Env: p.Env, Namespace: of.Namespace, Name: of.App, Owner: p.Owner, TakeFields: p.TakeFields,
		IngressAddress: p.IngressAddress, Timeout: p.Timeout, Patience: p.Patience, History: p.History,
		Router: p.Router.router(), Preview: p.Preview,
	}
	for _, o := range append(append([]map[string]any{p.Workload}, p.Before...), p.After...) {
		a.Manifests.docs = append(a.Manifests.docs, document{source: "the record", object: &unstructured.Unstructured{Object: o}})
	}
	return a
}

// encode returns the plan for the claim; empty if it is too large to be kept.
func (p plan) encode() (string, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return "", fmt.Errorf("record the plan: %w", err)
	}
	packed, err := pack(data)
	if err != nil || base64.StdEncoding.EncodedLen(len(packed)) > maxPlan {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(packed), nil
}

func decodePlan(text string) (plan, error) {
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return plan{}, fmt.Errorf("%w: it is not base64", ErrInvalid)
	}
	data, err := unpack(packed)
	if err != nil {
		return plan{}, err
	}
	var p plan
	var objects map[string]any
	if err := json.Unmarshal(data, &p); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if err := decodeJSON(data, &objects); err != nil {
		return plan{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	// Untyped objects have whole numbers as int64, which encoding/json has not.
	p.Workload = asTree(objects["workload"])
	p.Before, p.After = items(objects, "before"), items(objects, "after")
	return p, nil
}

func pack(data []byte) ([]byte, error) {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(data); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unpack(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: it is not gzip", ErrInvalid)
	}
	data, err := io.ReadAll(io.LimitReader(r, maxBackup))
	if err != nil {
		return nil, fmt.Errorf("%w: it is cut off", ErrInvalid)
	}
	return data, nil
}
