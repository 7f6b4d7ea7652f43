package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	gateway "sigs.k8s.io/gateway-api/pkg/client/clientset/versioned"
	"sigs.k8s.io/yaml"

	"github.com/gennaker/gennaker/internal/e2e/dataplane"
	"github.com/gennaker/gennaker/internal/e2e/tools"
)

// Addresses of the data plane: after those of the nodes.
const (
	IngressIP      = "192.168.77.201" // of every Ingress, port 80
	firstGatewayIP = "192.168.77.210"
)

// crdFiles are the resource definitions of the Gateway API that are installed, in
// config/crd/standard of its module.
func crdFiles() []string {
	return []string{"gatewayclasses", "gateways", "httproutes", "referencegrants"}
}

// gatewayModule finds the folder of the Gateway API's module while the components
// start: the go command takes a while.
func gatewayModule(ctx context.Context) func() (string, error) {
	type result struct {
		dir string
		err error
	}
	found := make(chan result, 1)
	go func() {
		dir, err := tools.Module(ctx, "sigs.k8s.io/gateway-api")
		found <- result{dir, err}
	}()
	return func() (string, error) {
		r := <-found
		return r.dir, r.err
	}
}

// startDataPlane installs the Gateway API, makes the two classes and starts the
// data plane.
func (c *Cluster) startDataPlane(ctx context.Context, module func() (string, error)) error {
	dir, err := module()
	if err != nil {
		return err
	}
	if err := c.installCRDs(ctx, dir); err != nil {
		return fmt.Errorf("gateway API: %w", err)
	}
	if err := c.createClasses(ctx); err != nil {
		return fmt.Errorf("data plane: %w", err)
	}
	d, err := dataplane.New(dataplane.Options{
		Config:    c.Config(DataPlane),
		IngressIP: netip.MustParseAddr(IngressIP),
		GatewayIP: netip.MustParseAddr(firstGatewayIP),
	})
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	c.nodes.Go(func() {
		if err := d.Run(c.life, func() { close(ready) }); err != nil {
			c.failed <- err
		}
	})
	select {
	case <-ready:
		return nil
	case err := <-c.failed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("data plane: %w", context.Cause(ctx))
	}
}

func (c *Cluster) createClasses(ctx context.Context) error {
	_, err := c.client.NetworkingV1().IngressClasses().Create(ctx, &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        dataplane.Class,
			Annotations: map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"},
		},
		Spec: networkingv1.IngressClassSpec{Controller: dataplane.ControllerName},
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	client, err := gateway.NewForConfig(c.Config(Admin))
	if err != nil {
		return err
	}
	class := &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: dataplane.Class},
		Spec:       gatewayv1.GatewayClassSpec{ControllerName: dataplane.ControllerName},
	}
	return retry(ctx, func() error {
		_, err := client.GatewayV1().GatewayClasses().Create(ctx, class, metav1.CreateOptions{})
		return err
	})
}

// installCRDs installs the genuine definitions of the Gateway API and waits until
// they are served.
func (c *Cluster) installCRDs(ctx context.Context, module string) error {
	client, err := dynamic.NewForConfig(c.Config(Admin))
	if err != nil {
		return err
	}
	crds := client.Resource(schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"})
	var names []string
	for _, kind := range crdFiles() {
		path := filepath.Join(module, "config", "crd", "standard", "gateway.networking.k8s.io_"+kind+".yaml")
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var object unstructured.Unstructured
		if err := yaml.Unmarshal(data, &object.Object); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if _, err := crds.Create(ctx, &object, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		names = append(names, object.GetName())
	}
	return retry(ctx, func() error {
		for _, name := range names {
			object, err := crds.Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if !established(object) {
				return fmt.Errorf("%s is not established", name)
			}
		}
		return nil
	})
}

func established(object *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, condition := range conditions {
		if m, ok := condition.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
			return true
		}
	}
	return false
}

// retry calls do until it succeeds: a new kind is served a moment after it is
// established.
func retry(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || apierrors.IsInvalid(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
