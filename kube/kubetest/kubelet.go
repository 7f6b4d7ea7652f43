package kubetest

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// stage is where in its life a pod's containers are.
type stage int

const (
	creating  stage = iota // the image is pulled, the container created
	pullError              // ErrImagePull: the pull was refused
	pullWait               // ImagePullBackOff
	running                // the process runs
	crashWait              // CrashLoopBackOff
	over                   // the process ended for good
)

const (
	firstBackOff = 10 * time.Second
	maxBackOff   = 5 * time.Minute
)

// podLife is what the kubelet knows about a pod that its status does not say.
type podLife struct {
	stage    stage
	until    time.Time // of the stage; zero for no end
	started  time.Time // of the running container
	backOff  time.Duration
	restarts int32
	last     *corev1.ContainerStateTerminated
	ip       string
	killing  bool
	probe    time.Time // next failing probe that is told
	probeGap time.Duration
}

// syncPod is the scheduler and the kubelet of a pod.
func (c *Cluster) syncPod(e *entry) {
	p := e.typed().(*corev1.Pod)
	if p.DeletionTimestamp != nil {
		c.terminate(e, p)
		return
	}
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return
	}
	if p.Spec.NodeName == "" {
		c.schedule(e, p)
		return
	}
	b := c.behavior(p)
	life := c.lives[p.UID]
	if life == nil {
		life = &podLife{until: now().Add(b.StartDelay)}
		c.lives[p.UID] = life
		c.podEvent(e, corev1.EventTypeNormal, "Pulling", "Pulling image %q", p.Spec.Containers[0].Image)
	}
	for !life.until.IsZero() && !life.until.After(now()) {
		c.step(e, p, life, b)
	}
	next := c.podStatus(e, p, life, b)
	if !life.until.IsZero() && (next.IsZero() || life.until.Before(next)) {
		next = life.until
	}
	if !next.IsZero() {
		c.visitPod(e.key, p.UID, next)
	}
}

func (c *Cluster) visitPod(k key, uid types.UID, at time.Time) {
	c.work.at(at, "life/"+string(uid), func() { c.work.reconcile(pods, k) })
}

func (c *Cluster) podEvent(e *entry, kind, reason, format string, args ...any) {
	c.event(e, kubeletManager, kind, reason, format, args...)
}

// step moves a pod to its next stage.
func (c *Cluster) step(e *entry, p *corev1.Pod, life *podLife, b Behavior) {
	image := p.Spec.Containers[0].Image
	at := life.until
	switch life.stage {
	case creating, pullWait:
		if b.BadImage {
			c.podEvent(e, corev1.EventTypeWarning, "Failed", "Failed to pull image %q: rpc error: code = NotFound desc = failed to pull and unpack image %q: not found", image, image)
			c.podEvent(e, corev1.EventTypeWarning, "Failed", "Error: ErrImagePull")
			life.stage, life.until = pullError, at.Add(time.Second)
			return
		}
		c.start(e, p, life, b, at)
	case pullError:
		life.backOff = nextBackOff(life.backOff)
		c.podEvent(e, corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", image)
		c.podEvent(e, corev1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
		life.stage, life.until = pullWait, at.Add(life.backOff)
	case running:
		c.exited(e, p, life, b, at)
	case crashWait:
		life.restarts++
		c.start(e, p, life, b, at)
	case over:
		life.until = time.Time{}
	}
}

func nextBackOff(d time.Duration) time.Duration {
	if d == 0 {
		return firstBackOff
	}
	return min(2*d, maxBackOff)
}

// start runs the container.
func (c *Cluster) start(e *entry, p *corev1.Pod, life *podLife, b Behavior, at time.Time) {
	if life.ip == "" {
		c.nextIP++
		life.ip = fmt.Sprintf("10.244.%d.%d", (c.nextIP+9)/250, (c.nextIP+9)%250+1)
	}
	for _, ctr := range p.Spec.Containers {
		c.podEvent(e, corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine", ctr.Image)
		c.podEvent(e, corev1.EventTypeNormal, "Created", "Container created")
		c.podEvent(e, corev1.EventTypeNormal, "Started", "Container started")
	}
	life.stage, life.started, life.until = running, at, time.Time{}
	life.probe, life.probeGap = at.Add(time.Second), firstBackOff
	if b.Crash || p.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		life.until = at.Add(b.RunFor)
	}
}

// exited handles the end of the container's process.
func (c *Cluster) exited(e *entry, p *corev1.Pod, life *podLife, b Behavior, at time.Time) {
	code := b.Exit
	if b.Crash && code == 0 {
		code = 1
	}
	reason := "Completed"
	if code != 0 {
		reason = "Error"
	}
	life.last = &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: reason, StartedAt: metav1.NewTime(life.started), FinishedAt: metav1.NewTime(at),
		ContainerID: containerID(p, life),
	}
	policy := p.Spec.RestartPolicy
	if policy == corev1.RestartPolicyNever || policy == corev1.RestartPolicyOnFailure && code == 0 {
		life.stage, life.until = over, time.Time{}
		return
	}
	if life.restarts == 0 {
		life.stage, life.until = crashWait, at // the first restart is at once
		return
	}
	life.backOff = nextBackOff(life.backOff)
	life.stage, life.until = crashWait, at.Add(life.backOff)
	c.podEvent(e, corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)",
		p.Spec.Containers[0].Name, p.Name, p.Namespace, p.UID)
}

func containerID(p *corev1.Pod, life *podLife) string {
	return fmt.Sprintf("containerd://%s-%d", p.UID, life.restarts)
}

// terminate lets a pod drain, and removes it.
func (c *Cluster) terminate(e *entry, p *corev1.Pod) {
	life := c.lives[p.UID]
	var grace time.Duration
	if s := p.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	end := now()
	if life != nil && life.stage == running {
		if !life.killing {
			life.killing = true
			life.until = now().Add(min(c.behavior(p).Drain, grace))
			c.podEvent(e, corev1.EventTypeNormal, "Killing", "Stopping container %s", p.Spec.Containers[0].Name)
		}
		end = life.until
	}
	if end.After(now()) {
		c.visitPod(e.key, p.UID, end)
		return
	}
	delete(c.lives, p.UID)
	if len(p.Finalizers) > 0 {
		c.endPod(e, p)
		return
	}
	zero := int64(0)
	_, _ = c.remove(c.registry.any(pods), e, metav1.DeleteOptions{GracePeriodSeconds: &zero})
}

// endPod marks a pod that a finalizer keeps as finished.
func (c *Cluster) endPod(e *entry, p *corev1.Pod) {
	if p.Status.Phase == corev1.PodFailed || p.Status.Phase == corev1.PodSucceeded {
		return
	}
	p = p.DeepCopy()
	p.Status.Phase = corev1.PodFailed
	setPodCondition(p, corev1.PodReady, corev1.ConditionFalse, "PodFailed", "")
	_ = c.save(pods, p, "status", kubeletManager)
	if grace := p.DeletionGracePeriodSeconds; grace != nil && *grace > 0 {
		zero := int64(0)
		_, _ = c.remove(c.registry.any(pods), c.store.get(pods, e.key), metav1.DeleteOptions{GracePeriodSeconds: &zero})
	}
}

// podStatus writes what the kubelet reports and returns when that will change
// by itself, zero for never.
func (c *Cluster) podStatus(e *entry, p *corev1.Pod, life *podLife, b Behavior) (next time.Time) {
	was := p
	p = p.DeepCopy()
	s := &p.Status
	s.ObservedGeneration = p.Generation
	if s.StartTime == nil {
		at := metav1.NewTime(now())
		s.StartTime = &at
	}
	if n := c.store.get(nodes, key{"", p.Spec.NodeName}); n != nil {
		s.HostIP = n.typed().(*corev1.Node).Status.Addresses[0].Address
		s.HostIPs = []corev1.HostIP{{IP: s.HostIP}}
	}
	if life.ip != "" {
		s.PodIP, s.PodIPs = life.ip, []corev1.PodIP{{IP: life.ip}}
	}
	ready, next := c.readiness(e, life, b)
	s.Phase = life.phase()
	s.ContainerStatuses = nil
	for i := range p.Spec.Containers {
		s.ContainerStatuses = append(s.ContainerStatuses, life.container(p, &p.Spec.Containers[i], ready))
	}
	podConditions(p, life, ready)
	if !apiequality.Semantic.DeepEqual(was.Status, p.Status) {
		_ = c.save(pods, p, "status", kubeletManager)
	}
	return next
}

// readiness probes the pod.
func (c *Cluster) readiness(e *entry, life *podLife, b Behavior) (ready bool, next time.Time) {
	if life.stage != running || b.Crash && b.RunFor == 0 {
		return false, time.Time{}
	}
	at := life.started.Add(b.ReadyDelay)
	switch {
	case b.NeverReady:
		if !life.probe.After(now()) {
			c.podEvent(e, corev1.EventTypeWarning, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
			life.probe = now().Add(life.probeGap)
			life.probeGap = nextBackOff(life.probeGap)
		}
		return false, life.probe
	case at.After(now()):
		return false, at
	case b.Unready:
		return false, time.Time{}
	case b.Flap > 0:
		n := now().Sub(at) / b.Flap
		return n%2 == 0, at.Add((n + 1) * b.Flap)
	}
	return true, time.Time{}
}
