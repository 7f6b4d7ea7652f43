package kubelet

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestBehaviourOfAnnotationsAndTag(t *testing.T) {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		"testcluster/ready-delay": "9s", "testcluster/drain": "1s", "testcluster/unready": "true", "other/key": "x",
	}}}
	pod.Spec.RestartPolicy = v1.RestartPolicyAlways
	c := &v1.Container{
		Image:          "localhost:5000/app:v2-readydelay_10s-err_20-rc1@sha256:abc",
		Lifecycle:      &v1.Lifecycle{PreStop: &v1.LifecycleHandler{Sleep: &v1.SleepAction{Seconds: 2}}},
		ReadinessProbe: &v1.Probe{InitialDelaySeconds: 5},
	}
	have, err := behaviourOf(pod, c)
	require.NoError(t, err)
	require.Equal(t, behaviour{readyDelay: 10 * time.Second, drain: 3 * time.Second, errPercent: 20}, have)
}

func TestJobsEnd(t *testing.T) {
	pod := &v1.Pod{Spec: v1.PodSpec{RestartPolicy: v1.RestartPolicyNever}}
	have, err := behaviourOf(pod, &v1.Container{Image: "job:v1-runfor_2s-exit_3"})
	require.NoError(t, err)
	require.Equal(t, behaviour{ends: true, runFor: 2 * time.Second, exitCode: 3}, have)
	have, err = behaviourOf(pod, &v1.Container{Image: "job"})
	require.NoError(t, err)
	require.Equal(t, behaviour{ends: true}, have)
	have, err = behaviourOf(pod, &v1.Container{Image: "web", Ports: []v1.ContainerPort{{ContainerPort: 80}}})
	require.NoError(t, err)
	require.False(t, have.ends)
}

func TestBadBehaviourIsRefused(t *testing.T) {
	for annotation, value := range map[string]string{"drain": "soon", "drian": "1s", "exit": "x"} {
		pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"testcluster/" + annotation: value}}}
		_, err := behaviourOf(pod, &v1.Container{Image: "app:v1"})
		require.ErrorContains(t, err, annotation)
	}
}

func TestReference(t *testing.T) {
	for image, want := range map[string]imageRef{
		"app":                       {"app", "", ""},
		"app:v1":                    {"app", "v1", ""},
		"host:5000/app":             {"host:5000/app", "", ""},
		"host:5000/a/b:v1":          {"host:5000/a/b", "v1", ""},
		"host:5000/app@sha256:abc":  {"host:5000/app", "", "sha256:abc"},
		"host/app:v1-x@sha256:abcd": {"host/app", "v1-x", "sha256:abcd"},
	} {
		require.Equal(t, want, reference(image), image)
	}
	require.Equal(t, "v1", reference("host/app:v1-x@sha256:abcd").version())
	require.Equal(t, "sha256:abcd", reference("host/app@sha256:abcd").version())
	require.Equal(t, "host/app@sha256:abcd", reference("host/app:v1@sha256:abcd").id())
	require.Regexp(t, "^app@sha256:[0-9a-f]{64}$", reference("app:v1").id())
	require.NotEqual(t, reference("app:v1").id(), reference("app:v2").id())
}

func TestPhase(t *testing.T) {
	running := v1.ContainerStatus{State: v1.ContainerState{Running: &v1.ContainerStateRunning{}}}
	ended := func(code int32) v1.ContainerStatus {
		return v1.ContainerStatus{State: v1.ContainerState{Terminated: &v1.ContainerStateTerminated{ExitCode: code}}}
	}
	creating := v1.ContainerStatus{State: waiting("ContainerCreating", "")}
	looping := v1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(1).State}
	for _, c := range []struct {
		policy v1.RestartPolicy
		states []v1.ContainerStatus
		want   v1.PodPhase
	}{
		{v1.RestartPolicyAlways, []v1.ContainerStatus{running, creating}, v1.PodPending},
		{v1.RestartPolicyAlways, []v1.ContainerStatus{running, looping}, v1.PodRunning},
		{v1.RestartPolicyAlways, []v1.ContainerStatus{ended(0)}, v1.PodRunning},
		{v1.RestartPolicyOnFailure, []v1.ContainerStatus{ended(1)}, v1.PodRunning},
		{v1.RestartPolicyOnFailure, []v1.ContainerStatus{ended(0)}, v1.PodSucceeded},
		{v1.RestartPolicyNever, []v1.ContainerStatus{ended(0), running}, v1.PodRunning},
		{v1.RestartPolicyNever, []v1.ContainerStatus{ended(0), ended(0)}, v1.PodSucceeded},
		{v1.RestartPolicyNever, []v1.ContainerStatus{ended(0), ended(2)}, v1.PodFailed},
	} {
		require.Equal(t, c.want, phase(c.policy, c.states), "%+v", c)
	}
}

func TestLogBufferDropsTheOldest(t *testing.T) {
	b := newLogBuffer()
	for i := range maxLogLines + 5 {
		b.printf("%d", i)
	}
	lines, next, closed, _ := b.after(0)
	require.Len(t, lines, maxLogLines)
	require.Equal(t, "5", lines[0].text)
	require.False(t, closed)
	_, _, _, changed := b.after(next)
	b.printf("more")
	<-changed
	lines, _, _, _ = b.after(next)
	require.Len(t, lines, 1)
	require.Equal(t, "more", lines[0].text)
}
