package dataplane

import (
	"context"
	"errors"
	"fmt"

	networkingv1 "k8s.io/api/networking/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// writeIngressStatus writes the address into every Ingress that lacks it.
func (d *DataPlane) writeIngressStatus(ctx context.Context, table *ingressTable) error {
	want := []networkingv1.IngressLoadBalancerIngress{{IP: d.o.IngressIP.String()}}
	var failed []error
	for _, object := range table.objects {
		if apiequality.Semantic.DeepEqual(object.Status.LoadBalancer.Ingress, want) {
			continue
		}
		changed := object.DeepCopy()
		changed.Status.LoadBalancer.Ingress = want
		_, err := d.core.NetworkingV1().Ingresses(object.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("ingress %s/%s: %w", object.Namespace, object.Name, err))
		}
	}
	return errors.Join(failed...)
}
