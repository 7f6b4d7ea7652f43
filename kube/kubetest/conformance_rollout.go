package kubetest

import (
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func rollingUpdate(s *suite) {
	d := s.rolledOut(s.create(s.deploy("app", "app:v1", 4)))
	s.equal("revision", "1", d.Annotations[annRevision])
	d = s.rolledOut(s.setImage("app", "app:v2"))
	s.equal("generation", int64(2), d.Generation)
	s.equal("revision", "2", d.Annotations[annRevision])
	s.eventually("Progressing is complete", func() (bool, string) {
		c := conditionOf(s.get("app"), appsv1.DeploymentProgressing)
		return c.Status == corev1.ConditionTrue && c.Reason == "NewReplicaSetAvailable", fmt.Sprintf("%+v", c)
	})
	c := conditionOf(s.get("app"), appsv1.DeploymentAvailable)
	s.equal("Available", "MinimumReplicasAvailable", c.Reason)
	sets := s.replicaSets("app")
	s.equal("old replicas", int32(0), *sets["app:v1"].Spec.Replicas)
	s.equal("new replicas", int32(4), *sets["app:v2"].Spec.Replicas)
	hash := sets["app:v2"].Labels["pod-template-hash"]
	s.equal("name of the ReplicaSet", "app-"+hash, sets["app:v2"].Name)
	for _, p := range s.podList("pod-template-hash=" + hash) {
		s.check(podReady(&p) != nil, "pod %s is not ready", p.Name)
		s.equal("owner", sets["app:v2"].UID, p.OwnerReferences[0].UID)
	}
	s.hasEvent("Deployment", "ScalingReplicaSet", "Scaled up replica set "+sets["app:v2"].Name)
	s.hasEvent("ReplicaSet", "SuccessfulCreate", "Created pod: ")
}

func recreateUpdate(s *suite) {
	d := s.deploy("app", "app:v1", 2)
	d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	s.rolledOut(s.create(d))
	s.rolledOut(s.setImage("app", "app:v2"))
	sets := s.replicaSets("app")
	s.equal("old replicas", int32(0), *sets["app:v1"].Spec.Replicas)
	s.equal("new replicas", int32(2), *sets["app:v2"].Spec.Replicas)
}

func rollback(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	first := s.replicaSets("app")["app:v1"]
	s.rolledOut(s.setImage("app", "app:v2"))
	s.rolledOut(s.setImage("app", "app:v1"))
	again := s.replicaSets("app")["app:v1"]
	s.equal("the ReplicaSet is used again", first.UID, again.UID)
	s.equal("revision", "3", again.Annotations[annRevision])
	s.equal("history", "1", again.Annotations[annHistory])
}

func pausedUpdate(s *suite) {
	s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	apps := s.client.AppsV1().Deployments(s.ns)
	_, err := apps.Patch(s.ctx, "app", types.MergePatchType, []byte(`{"spec":{"paused":true}}`), metav1.PatchOptions{})
	s.ok(err)
	d := s.setImage("app", "app:v2")
	s.eventually("the pause is reported", func() (bool, string) {
		got := s.get("app")
		return got.Status.ObservedGeneration >= d.Generation && conditionOf(got, appsv1.DeploymentProgressing).Reason == "DeploymentPaused", fmt.Sprintf("%+v", got.Status)
	})
	_, started := s.replicaSets("app")["app:v2"]
	s.check(!started, "a paused Deployment rolled out")
	d, err = apps.Patch(s.ctx, "app", types.MergePatchType, []byte(`{"spec":{"paused":false}}`), metav1.PatchOptions{})
	s.ok(err)
	s.rolledOut(d)
	s.equal("new replicas", int32(1), *s.replicaSets("app")["app:v2"].Spec.Replicas)
}

// waitingFor waits for a pod whose container waits for one of the reasons.
func (s *suite) waitingFor(selector string, reasons ...string) corev1.Pod {
	s.t.Helper()
	var found corev1.Pod
	s.eventually("a container waiting: "+strings.Join(reasons, " or "), func() (bool, string) {
		var seen []string
		for _, p := range s.podList(selector) {
			for _, c := range p.Status.ContainerStatuses {
				if c.State.Waiting == nil {
					continue
				}
				for _, r := range reasons {
					if c.State.Waiting.Reason == r {
						found = p
						return true, ""
					}
				}
				seen = append(seen, c.State.Waiting.Reason)
			}
		}
		return false, strings.Join(seen, ", ")
	})
	return found
}

func badImage(s *suite) {
	d := s.deploy("app", "app:v1", 2)
	d.Spec.ProgressDeadlineSeconds = pointer[int32](3)
	s.rolledOut(s.create(d))
	s.setImage("app", "app:v2-imagepull")
	p := s.waitingFor("app=app", "ErrImagePull", "ImagePullBackOff")
	s.equal("phase", corev1.PodPending, p.Status.Phase)
	s.eventually("the deadline passes", func() (bool, string) {
		c := conditionOf(s.get("app"), appsv1.DeploymentProgressing)
		return c.Status == corev1.ConditionFalse && c.Reason == "ProgressDeadlineExceeded", fmt.Sprintf("%+v", c)
	})
	got := s.get("app")
	s.equal("the old version serves", corev1.ConditionTrue, conditionOf(got, appsv1.DeploymentAvailable).Status)
	s.equal("old pods stay", int32(2), *s.replicaSets("app")["app:v1"].Spec.Replicas)
}

func crashLoop(s *suite) {
	s.create(s.deploy("app", "app:v1-crash", 1))
	p := s.waitingFor("app=app", "CrashLoopBackOff")
	s.check(p.Status.ContainerStatuses[0].RestartCount > 0, "no restart was counted")
	last := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
	s.check(last != nil && last.ExitCode != 0, "last termination: %+v", last)
	s.eventually("Available is false", func() (bool, string) {
		c := conditionOf(s.get("app"), appsv1.DeploymentAvailable)
		return c.Status == corev1.ConditionFalse, fmt.Sprintf("%+v", c)
	})
}

func unschedulable(s *suite) {
	d := s.deploy("app", "app:v1", 1)
	d.Spec.Template.Spec.NodeSelector = map[string]string{"no-such-label": "anywhere"}
	s.create(d)
	s.eventually("PodScheduled is false", func() (bool, string) {
		for _, p := range s.podList("app=app") {
			if c := podCondition(&p, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == "Unschedulable" {
				return strings.Contains(c.Message, "nodes are available"), c.Message
			}
		}
		return false, "no such pod"
	})
	s.hasEvent("Pod", "FailedScheduling", "nodes are available")
}

func scaleSubresource(s *suite) {
	apps := s.client.AppsV1().Deployments(s.ns)
	s.rolledOut(s.create(s.deploy("app", "app:v1", 1)))
	scale, err := apps.GetScale(s.ctx, "app", metav1.GetOptions{})
	s.ok(err)
	s.equal("replicas", int32(1), scale.Spec.Replicas)
	s.equal("selector", "app=app", scale.Status.Selector)
	scale.Spec.Replicas = 3
	_, err = apps.UpdateScale(s.ctx, "app", scale, metav1.UpdateOptions{FieldManager: "scaler"})
	s.ok(err)
	d := s.get("app")
	s.equal("generation", int64(2), d.Generation)
	owned := false
	for _, f := range d.ManagedFields {
		owned = owned || f.Manager == "scaler" && f.Subresource == "scale" && strings.Contains(f.FieldsV1.GetRawString(), "f:replicas")
	}
	s.check(owned, "the scaler does not own the replicas: %+v", d.ManagedFields)
	d = s.rolledOut(d)
	s.equal("pods", int32(3), d.Status.ReadyReplicas)
	_, err = apps.UpdateScale(s.ctx, "app", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: s.ns, ResourceVersion: "1"}, Spec: autoscalingv1.ScaleSpec{Replicas: 1},
	}, metav1.UpdateOptions{})
	s.refused(err, 409, metav1.StatusReasonConflict)
}

func historyLimit(s *suite) {
	d := s.deploy("app", "app:v1", 1)
	d.Spec.RevisionHistoryLimit = pointer[int32](1)
	s.rolledOut(s.create(d))
	for _, image := range []string{"app:v2", "app:v3", "app:v4"} {
		s.rolledOut(s.setImage("app", image))
	}
	s.eventually("old ReplicaSets go", func() (bool, string) {
		sets := s.replicaSets("app")
		_, kept := sets["app:v3"]
		return len(sets) == 2 && kept, fmt.Sprint(len(sets))
	})
}
