package kubelet

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

// annotationPrefix starts the annotations that choose what a pod does.
const annotationPrefix = "testcluster/"

// behaviour is what one container does.
type behaviour struct {
	startDelay, readyDelay, drain, latency, runFor time.Duration
	neverReady, crash, imagePull                   bool
	errPercent                                     int
	ends                                           bool // by itself, after runFor
	exitCode                                       int32
}

// behaviourOf reads the annotations of the pod, then the container's image tag
// and spec. An error names the key whose value cannot be used.
func behaviourOf(pod *v1.Pod, c *v1.Container) (behaviour, error) {
	b := behaviour{}
	for key, value := range pod.Annotations {
		if name, ok := strings.CutPrefix(key, annotationPrefix); ok {
			known, err := b.set(strings.ReplaceAll(name, "-", ""), value)
			if err != nil {
				return b, err
			}
			if !known {
				return b, fmt.Errorf("annotation %s: unknown key", key)
			}
		}
	}
	parts := strings.Split(reference(c.Image).tag, "-")
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "_")
		if _, err := b.set(key, value); err != nil {
			return b, err
		}
	}
	if probe := c.ReadinessProbe; probe != nil {
		b.readyDelay = max(b.readyDelay, time.Duration(probe.InitialDelaySeconds)*time.Second)
	}
	if c.Lifecycle != nil && c.Lifecycle.PreStop != nil && c.Lifecycle.PreStop.Sleep != nil {
		b.drain += time.Duration(c.Lifecycle.PreStop.Sleep.Seconds) * time.Second
	}
	if pod.Spec.RestartPolicy != v1.RestartPolicyAlways && len(c.Ports) == 0 {
		b.ends = true
	}
	return b, nil
}

// set applies one key, written without dashes, and says whether it knows the key:
// a tag such as v2-rc1 is just a tag.
func (b *behaviour) set(key, value string) (known bool, err error) {
	switch key {
	case "startdelay":
		b.startDelay, err = time.ParseDuration(value)
	case "readydelay":
		b.readyDelay, err = time.ParseDuration(value)
	case "drain":
		b.drain, err = time.ParseDuration(value)
	case "latency":
		b.latency, err = time.ParseDuration(value)
	case "runfor":
		b.runFor, err = time.ParseDuration(value)
		b.ends = true
	case "exit":
		var code int
		code, err = strconv.Atoi(value)
		b.exitCode, b.ends = int32(code), true
	case "err":
		b.errPercent, err = strconv.Atoi(value)
	case "neverready":
		b.neverReady = value != "false"
	case "crash":
		b.crash = value != "false"
	case "imagepull":
		b.imagePull = value != "false"
	case "unready": // read from the pod whenever it changes
	default:
		return false, nil
	}
	if err != nil {
		return true, fmt.Errorf("behaviour %s %q: %w", key, value, err)
	}
	return true, nil
}

// imageRef is an image reference taken apart.
type imageRef struct{ repository, tag, digest string }

// reference splits "host:5000/app:v1@sha256:…".
func reference(image string) imageRef {
	r := imageRef{}
	r.repository, r.digest, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(r.repository, ':'); i > strings.LastIndexByte(r.repository, '/') {
		r.repository, r.tag = r.repository[:i], r.repository[i+1:]
	}
	return r
}

// version is what X-Version says.
func (r imageRef) version() string {
	if r.tag == "" {
		return r.digest
	}
	version, _, _ := strings.Cut(r.tag, "-")
	return version
}

// id is the imageID of a container's status: the digest that was asked for, or
// one made from the reference, so that equal images have equal ids.
func (r imageRef) id() string {
	digest := r.digest
	if digest == "" {
		digest = "sha256:"
		for i := range 4 {
			h := fnv.New64a()
			fmt.Fprintf(h, "%d %s:%s", i, r.repository, r.tag)
			digest += fmt.Sprintf("%016x", h.Sum64())
		}
	}
	return r.repository + "@" + digest
}
