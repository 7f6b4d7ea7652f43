package kubetest_test

import (
	"context"
	"fmt"
	"time"

	"github.com/gennaker/gennaker/kube/kubetest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

func Example() {
	k := kubetest.New(kubetest.Options{})
	defer k.Close()
	client, err := kubernetes.NewForConfig(k.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	apps := client.AppsV1().Deployments("default")
	watch, err := apps.Watch(ctx, metav1.ListOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer watch.Stop()
	if _, err := apps.Create(ctx, deployment("shop", "shop:v1", 3), metav1.CreateOptions{}); err != nil {
		fmt.Println(err)
		return
	}
	for range watch.ResultChan() {
		d, err := apps.Get(ctx, "shop", metav1.GetOptions{})
		if err == nil && d.Status.AvailableReplicas == 3 {
			break
		}
	}
	pods, err := client.CoreV1().Pods("default").List(ctx, metav1.ListOptions{LabelSelector: "app=shop"})
	fmt.Println(len(pods.Items), "pods serve, error", err)
	// Output: 3 pods serve, error <nil>
}

func ExampleCluster_Inject() {
	k := kubetest.New(kubetest.Options{})
	defer k.Close()
	client, err := kubernetes.NewForConfig(k.Config())
	if err != nil {
		fmt.Println(err)
		return
	}
	remove := k.Inject(kubetest.Fault{Verb: "get", Resource: "services", Code: 503})
	_, err = client.CoreV1().Services("default").Get(context.Background(), "shop", metav1.GetOptions{})
	fmt.Println(err)
	remove()
	_, err = client.CoreV1().Services("default").Get(context.Background(), "shop", metav1.GetOptions{})
	fmt.Println(err)
	// Output:
	// apiserver is shutting down
	// services "shop" not found
}
