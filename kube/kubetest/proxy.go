package kubetest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
)

// proxy answers for a pod or for a Service's ready pods, as a pod of the test
// cluster does: with its image and its name.
func (c *Cluster) proxy(cl *call) (*answer, error) {
	name := proxied(cl.name)
	if cl.res.gr() == pods {
		e := c.store.get(pods, key{cl.ns, name})
		if e == nil {
			return nil, apierrors.NewNotFound(pods, name)
		}
		return c.podAnswer(podOf(e)), nil
	}
	e := c.store.get(cl.res.gr(), key{cl.ns, name})
	if e == nil {
		return nil, apierrors.NewNotFound(cl.res.gr(), name)
	}
	sel := labels.SelectorFromSet(e.typed().(*corev1.Service).Spec.Selector)
	var ready []*corev1.Pod
	for _, pe := range c.store.list(pods, cl.ns) {
		p := podOf(pe)
		if !sel.Empty() && sel.Matches(labels.Set(p.Labels)) && p.DeletionTimestamp == nil && servesTraffic(p) {
			ready = append(ready, p)
		}
	}
	if len(ready) == 0 {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", cl.name))
	}
	c.proxies++
	return c.podAnswer(ready[c.proxies%len(ready)]), nil
}

// proxied is the name within [scheme:]name[:port].
func proxied(s string) string {
	switch parts := strings.Split(s, ":"); len(parts) {
	case 2:
		return parts[0]
	case 3:
		return parts[1]
	}
	return s
}

func servesTraffic(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func (c *Cluster) podAnswer(p *corev1.Pod) *answer {
	image := p.Spec.Containers[0].Image
	return &answer{
		code: http.StatusOK, body: fmt.Appendf(nil, "%s %s\n", image, p.Name),
		header: http.Header{"Content-Type": {"text/plain"}, "X-Image": {image}, "X-Pod": {p.Name}},
	}
}
