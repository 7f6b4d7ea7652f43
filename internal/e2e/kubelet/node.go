package kubelet

import (
	"context"
	"runtime"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// leaseSeconds is how long a renewed lease keeps the node ready; the node
// controller's grace period is longer, so one lost renewal harms nothing.
const leaseSeconds = 40

// register makes the Node object. It goes on trying while the API server is not
// ready for it.
func (k *Kubelet) register(ctx context.Context) error {
	for {
		_, err := k.client.CoreV1().Nodes().Create(ctx, k.node(), metav1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

func (k *Kubelet) node() *v1.Node {
	now := metav1.Now()
	resources := v1.ResourceList{
		v1.ResourceCPU:              resource.MustParse("64"),
		v1.ResourceMemory:           resource.MustParse("256Gi"),
		v1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
		v1.ResourcePods:             resource.MustParse("1000"),
	}
	condition := func(kind v1.NodeConditionType, status v1.ConditionStatus, reason, message string) v1.NodeCondition {
		return v1.NodeCondition{Type: kind, Status: status, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: k.o.Node, Labels: map[string]string{
			v1.LabelHostname:   k.o.Node,
			v1.LabelOSStable:   runtime.GOOS,
			v1.LabelArchStable: runtime.GOARCH,
		}},
		Status: v1.NodeStatus{
			Capacity:    resources,
			Allocatable: resources,
			Conditions: []v1.NodeCondition{
				condition(v1.NodeReady, v1.ConditionTrue, "KubeletReady", "kubelet is posting ready status"),
				condition(v1.NodeMemoryPressure, v1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
				condition(v1.NodeDiskPressure, v1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
				condition(v1.NodePIDPressure, v1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			},
			Addresses: []v1.NodeAddress{
				{Type: v1.NodeInternalIP, Address: k.o.IP.String()},
				{Type: v1.NodeHostName, Address: k.o.Node},
			},
			DaemonEndpoints: v1.NodeDaemonEndpoints{KubeletEndpoint: v1.DaemonEndpoint{Port: Port}},
			NodeInfo: v1.NodeSystemInfo{
				KubeletVersion:          "v1.37.2",
				ContainerRuntimeVersion: "process://1",
				OperatingSystem:         runtime.GOOS,
				Architecture:            runtime.GOARCH,
			},
		},
	}
}

// renewLease keeps the node ready until ctx ends.
func (k *Kubelet) renewLease(ctx context.Context) {
	leases := k.client.CoordinationV1().Leases(v1.NamespaceNodeLease)
	for {
		now := metav1.NowMicro()
		seconds := int32(leaseSeconds)
		wait := 10 * time.Second
		lease, err := leases.Get(ctx, k.o.Node, metav1.GetOptions{})
		if err == nil {
			lease.Spec.RenewTime = &now
			_, err = leases.Update(ctx, lease, metav1.UpdateOptions{})
		} else if apierrors.IsNotFound(err) {
			lease = &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Name: k.o.Node, Namespace: v1.NamespaceNodeLease},
				Spec:       coordinationv1.LeaseSpec{HolderIdentity: &k.o.Node, LeaseDurationSeconds: &seconds, RenewTime: &now},
			}
			_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
		}
		if err != nil {
			wait = 200 * time.Millisecond // the lease's namespace is made a moment after the API server's start
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// pause waits and reports whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
