package kubetest

import (
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Behavior is how a pod lives. The zero value is a pod that starts and turns
// ready at once, serves until it is deleted, and then goes at once; the pod
// of a Job succeeds at once.
//
// A pod's annotation "testcluster/KEY" and its image's tag suffix "-KEY" or
// "-KEY_VALUE" set the same, in this order of precedence over Options.Pods:
// start-delay, ready-delay, drain, run-for (durations such as 2s), exit (a
// number), imagepull, crash, neverready, unready, unschedulable, flap. In a
// tag the keys have no dashes: "app:v2-readydelay_1s-drain_2s".
type Behavior struct {
	Unschedulable bool          // no node takes it
	BadImage      bool          // the image cannot be pulled
	StartDelay    time.Duration // from scheduled to running: pulling and creating
	ReadyDelay    time.Duration // from running to ready
	NeverReady    bool          // the readiness probe fails for ever
	Unready       bool          // not ready now; as an annotation it may change
	Flap          time.Duration // readiness changes every so often; zero is steady
	Crash         bool          // exits with code 1 (or Exit) after RunFor, again and again
	RunFor        time.Duration // how long a Job's or a crashing container runs
	Exit          int32         // exit code of a Job's or crashing container
	Drain         time.Duration // from deletion to gone; the grace period bounds it
	Log           []string      // what the container writes; nil means one line
	PreviousLog   []string      // what the container before the last restart wrote
}

// annotationPrefix starts the annotations that choose a behaviour.
const annotationPrefix = "testcluster/"

// behavior is what options, image tags and annotations say about a pod.
func (c *Cluster) behavior(p *corev1.Pod) Behavior {
	b := c.opts.Pods(p)
	for _, ctr := range p.Spec.Containers {
		for _, part := range tagParts(ctr.Image) {
			name, value, _ := strings.Cut(part, "_")
			b.set(name, value)
		}
	}
	for k, v := range p.Annotations {
		if name, ok := strings.CutPrefix(k, annotationPrefix); ok {
			b.set(strings.ReplaceAll(name, "-", ""), v)
		}
	}
	return b
}

// tagParts returns what follows the first dash of an image's tag.
func tagParts(image string) []string {
	image, _, _ = strings.Cut(image, "@")
	_, tag, ok := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	if !ok {
		return nil
	}
	return strings.Split(tag, "-")[1:]
}

// set applies one key. Values that do not parse are no behaviour: a tag may
// well contain dashes of its own.
func (b *Behavior) set(name, value string) {
	on := value != "false" && value != "0"
	switch name {
	case "unschedulable":
		b.Unschedulable = on
	case "imagepull":
		b.BadImage = on
	case "crash":
		b.Crash = on
	case "neverready":
		b.NeverReady = on
	case "unready":
		b.Unready = on
	case "startdelay":
		setDuration(&b.StartDelay, value)
	case "readydelay":
		setDuration(&b.ReadyDelay, value)
	case "flap":
		setDuration(&b.Flap, value)
	case "runfor":
		setDuration(&b.RunFor, value)
	case "drain":
		setDuration(&b.Drain, value)
	case "exit":
		if n, err := strconv.ParseInt(value, 10, 32); err == nil {
			b.Exit = int32(n)
		}
	}
}

func setDuration(d *time.Duration, value string) {
	if v, err := time.ParseDuration(value); err == nil && v >= 0 {
		*d = v
	}
}
