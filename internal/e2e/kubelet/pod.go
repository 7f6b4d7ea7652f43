package kubelet

import (
	"context"
	"encoding/json"
	"net/netip"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// pod is the worker of one pod.
type pod struct {
	k          *Kubelet
	first      *v1.Pod // as first seen; its spec and identity don't change
	ip         netip.Addr
	started    metav1.Time
	containers []*container
	updates    chan *v1.Pod  // the newest object that was not looked at yet
	dirty      chan struct{} // something in the status changed
	killed     chan struct{} // the object is gone

	latest  *v1.Pod      // only run and what it calls use these two
	written v1.PodStatus // what the API server has from us
}

func newPod(k *Kubelet, object *v1.Pod) *pod {
	p := &pod{
		k:       k,
		first:   object,
		latest:  object,
		ip:      k.o.Pods.Take(),
		started: metav1.Now(),
		updates: make(chan *v1.Pod, 1),
		dirty:   make(chan struct{}, 1),
		killed:  make(chan struct{}),
	}
	for i := range object.Spec.Containers {
		p.containers = append(p.containers, newContainer(p, &object.Spec.Containers[i]))
	}
	return p
}

// tell hands over a newer object. Only one goroutine calls it at a time.
func (p *pod) tell(object *v1.Pod) {
	select {
	case <-p.updates: // not looked at yet, and now out of date
	default:
	}
	p.updates <- object
}

// kill ends the worker without any grace. Call it once.
func (p *pod) kill() { close(p.killed) }

// changed asks for a status write.
func (p *pod) changed() {
	select {
	case p.dirty <- struct{}{}:
	default:
	}
}

// run runs the pod until its object is gone or ctx ends.
func (p *pod) run(ctx context.Context) {
	if over(p.first.Status.Phase) {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	var running sync.WaitGroup
	for _, c := range p.containers {
		running.Go(func() { c.run(ctx) })
	}
	wg.Go(running.Wait)
	ending := p.first.DeletionTimestamp != nil
	if ending {
		wg.Go(func() { p.end(ctx, p.first, &running) })
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.killed:
			return
		case object := <-p.updates:
			p.latest = object
			if object.DeletionTimestamp != nil && !ending {
				ending = true
				wg.Go(func() { p.end(ctx, object, &running) })
			}
			p.changed() // annotations and readiness gates count too
		case <-p.dirty:
			if !ending {
				p.writeStatus(ctx)
			}
		}
	}
}

// end lets the containers drain, then removes the object: the last word that the
// API server waits for.
func (p *pod) end(ctx context.Context, object *v1.Pod, running *sync.WaitGroup) {
	grace := 30 * time.Second
	if seconds := object.DeletionGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	for _, c := range p.containers {
		c.stop(grace)
	}
	running.Wait()
	zero := int64(0)
	for {
		// The success of the request ends this pod, which must not cut off the answer.
		request, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		err := p.k.client.CoreV1().Pods(object.Namespace).Delete(request, object.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &zero,
			Preconditions:      &metav1.Preconditions{UID: &object.UID},
		})
		cancel()
		if err == nil || apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return
		}
		if !pause(ctx, 100*time.Millisecond) {
			return
		}
	}
}

// writeStatus writes the status when it differs from what was written last.
func (p *pod) writeStatus(ctx context.Context) {
	status := p.status()
	if apiequality.Semantic.DeepEqual(status, p.written) {
		return
	}
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": p.first.UID},
		"status":   status,
	})
	if err == nil {
		// The end of the pod must not cut off a request that is under way.
		request, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		_, err = p.k.client.CoreV1().Pods(p.first.Namespace).Patch(request, p.first.Name,
			types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	}
	switch {
	case err == nil:
		p.written = status
	case apierrors.IsNotFound(err), apierrors.IsConflict(err): // gone, or another pod of that name by now
	default:
		if pause(ctx, 100*time.Millisecond) {
			p.changed()
		}
	}
}

func over(phase v1.PodPhase) bool { return phase == v1.PodSucceeded || phase == v1.PodFailed }
