package kubelet

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// container is one container of a pod, through all its restarts.
type container struct {
	p       *pod
	spec    *v1.Container
	image   imageRef
	b       behaviour
	invalid error
	told    chan struct{} // closed when it is told to end
	once    sync.Once
	grace   atomic.Int64 // how long it may drain, a time.Duration
	served  atomic.Int64 // requests

	mu       sync.Mutex
	state    v1.ContainerStatus
	logs     *logBuffer // of the run that is on or was last
	previous *logBuffer // of the run before
}

func newContainer(p *pod, spec *v1.Container) *container {
	c := &container{p: p, spec: spec, image: reference(spec.Image), told: make(chan struct{})}
	c.b, c.invalid = behaviourOf(p.first, spec)
	started := false
	c.state = v1.ContainerStatus{
		Name: spec.Name, Image: spec.Image, Started: &started,
		State: waiting("ContainerCreating", ""),
	}
	return c
}

func waiting(reason, message string) v1.ContainerState {
	return v1.ContainerState{Waiting: &v1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// stop tells the container to end within the grace time. It doesn't wait.
func (c *container) stop(grace time.Duration) {
	c.once.Do(func() {
		c.grace.Store(int64(grace))
		close(c.told)
	})
}

// snapshot returns the status as it is now.
func (c *container) snapshot() v1.ContainerStatus {
	c.mu.Lock()
	defer c.mu.Unlock()
	return *c.state.DeepCopy()
}

// set changes the status and has it written.
func (c *container) set(change func(*v1.ContainerStatus)) {
	c.mu.Lock()
	change(&c.state)
	c.mu.Unlock()
	c.p.changed()
}

// run runs the container, with restarts, until it is told to end, ended for good
// or ctx ends.
func (c *container) run(ctx context.Context) {
	// Told to end counts as the end of everything that may still be waiting.
	life, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		select {
		case <-c.told:
			cancel()
		case <-life.Done():
		}
	}()
	defer func() {
		cancel()
		<-watched
	}()
	if c.prepare(life) {
		c.restart(ctx, life)
	}
}

// prepare gets as far as a container that could be started, or life ends first.
func (c *container) prepare(life context.Context) bool {
	if c.invalid != nil {
		c.set(func(s *v1.ContainerStatus) { s.State = waiting("CreateContainerError", c.invalid.Error()) })
		c.event(v1.EventTypeWarning, "Failed", "Error: %v", c.invalid)
		return false
	}
	if c.b.imagePull {
		c.pullFails(life)
		return false
	}
	if !c.configured(life) {
		return false
	}
	if c.b.startDelay > 0 {
		c.p.changed() // ContainerCreating
	}
	if !pause(life, c.b.startDelay) {
		return false
	}
	c.event(v1.EventTypeNormal, "Pulled", "Container image %q already present on machine", c.spec.Image)
	c.event(v1.EventTypeNormal, "Created", "Container created")
	return true
}

// pullFails reports failing pulls until life ends.
func (c *container) pullFails(life context.Context) {
	cause := fmt.Sprintf("failed to pull and unpack image %q: %s: not found", c.spec.Image, c.spec.Image)
	for delay := c.p.k.o.Backoff; ; delay = c.longer(delay) {
		c.event(v1.EventTypeNormal, "Pulling", "Pulling image %q", c.spec.Image)
		c.event(v1.EventTypeWarning, "Failed", "Failed to pull image %q: %s", c.spec.Image, cause)
		c.event(v1.EventTypeWarning, "Failed", "Error: ErrImagePull")
		c.set(func(s *v1.ContainerStatus) { s.State = waiting("ErrImagePull", cause) })
		if !pause(life, delay/4) {
			return
		}
		c.event(v1.EventTypeNormal, "BackOff", "Back-off pulling image %q", c.spec.Image)
		c.event(v1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
		c.set(func(s *v1.ContainerStatus) {
			s.State = waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", c.spec.Image, cause))
		})
		if !pause(life, delay) {
			return
		}
	}
}

// longer is the next delay of a back-off.
func (c *container) longer(delay time.Duration) time.Duration {
	return min(2*delay, 10*c.p.k.o.Backoff)
}

// restart runs the container again and again as its restart policy wants it.
func (c *container) restart(ctx, life context.Context) {
	for delay, runs := c.p.k.o.Backoff, 1; ; runs++ {
		code := c.serve(ctx, life)
		if life.Err() != nil {
			return
		}
		policy := c.p.first.Spec.RestartPolicy
		c.ended(code)
		if policy == v1.RestartPolicyNever || policy == v1.RestartPolicyOnFailure && code == 0 {
			return
		}
		if runs > 1 { // the first restart comes at once
			c.backOff(delay)
			if !pause(life, delay) {
				return
			}
			delay = c.longer(delay)
		}
		c.again()
	}
}

// ended notes that a run ended by itself.
func (c *container) ended(code int32) {
	c.set(func(s *v1.ContainerStatus) {
		end := &v1.ContainerStateTerminated{ExitCode: code, Reason: "Completed", FinishedAt: metav1.Now()}
		if code != 0 {
			end.Reason = "Error"
		}
		if s.State.Running != nil {
			end.StartedAt = s.State.Running.StartedAt
		}
		end.ContainerID = s.ContainerID
		started := false
		s.State, s.Ready, s.Started = v1.ContainerState{Terminated: end}, false, &started
	})
}

// backOff notes that the restart has to wait.
func (c *container) backOff(delay time.Duration) {
	object := c.p.first
	name := fmt.Sprintf("%s in pod %s_%s(%s)", c.spec.Name, object.Name, object.Namespace, object.UID)
	c.event(v1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s", name)
	c.set(func(s *v1.ContainerStatus) {
		s.LastTerminationState = s.State
		s.State = waiting("CrashLoopBackOff", fmt.Sprintf("back-off %s restarting failed container=%s", delay, name))
	})
}

// again counts a restart and turns its logs over.
func (c *container) again() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state.State.Terminated != nil {
		c.state.LastTerminationState = c.state.State
	}
	c.state.RestartCount++
	c.previous = c.logs
}

// event records an event about the container.
func (c *container) event(kind, reason, format string, args ...any) {
	object := c.p.first
	c.p.k.events.Eventf(&v1.ObjectReference{
		APIVersion: "v1", Kind: "Pod", Namespace: object.Namespace, Name: object.Name, UID: object.UID,
		ResourceVersion: object.ResourceVersion, FieldPath: fmt.Sprintf("spec.containers{%s}", c.spec.Name),
	}, kind, reason, format, args...)
}
