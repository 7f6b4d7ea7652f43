package e2e

import (
	"bufio"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
)

func TestCrashLoopIsVisible(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1-crash", 1)
	p := b.podUntil("crashed twice", func(p *v1.Pod) bool {
		return waitingFor("CrashLoopBackOff")(p) && p.Status.ContainerStatuses[0].RestartCount >= 2
	})
	status := p.Status.ContainerStatuses[0]
	require.NotNil(t, status.LastTerminationState.Terminated)
	require.EqualValues(t, 1, status.LastTerminationState.Terminated.ExitCode)
	require.Equal(t, "Error", status.LastTerminationState.Terminated.Reason)
	require.False(t, ready(p))
	require.Equal(t, v1.PodRunning, p.Status.Phase)
	b.event("BackOff", "Back-off restarting failed container app in pod "+p.Name)

	for _, previous := range []bool{false, true} {
		text, err := b.logs(p.Name, &v1.PodLogOptions{Previous: previous})
		require.NoError(t, err)
		require.Contains(t, text, "starting app:v1-crash")
	}
	text, err := b.logs(p.Name, &v1.PodLogOptions{Previous: true})
	require.NoError(t, err)
	require.Contains(t, text, "panic: told to crash")
}

func TestBadImageIsVisible(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "registry.invalid/app:v1-imagepull", 1)
	p := b.podUntil("backs off", waitingFor("ImagePullBackOff"))
	require.Equal(t, v1.PodPending, p.Status.Phase)
	b.podUntil("fails to pull", waitingFor("ErrImagePull"))
	b.event("Failed", `Failed to pull image "registry.invalid/app:v1-imagepull"`)
	b.event("Failed", "Error: ErrImagePull")
	b.event("BackOff", "Back-off pulling image")
	_, err := b.logs(p.Name, &v1.PodLogOptions{})
	require.True(t, apierrors.IsBadRequest(err), err)
	require.ErrorContains(t, err, "is waiting to start")
}

func TestNeverReady(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1-neverready", 1)
	b.event("Unhealthy", "Readiness probe failed")
	p := b.podUntil("runs", func(p *v1.Pod) bool { return p.Status.Phase == v1.PodRunning })
	require.False(t, ready(p))
}

func TestReadyDelay(t *testing.T) {
	b := newBench(t)
	b.deploy("blue", "app:v1-startdelay_300ms-readydelay_3s", 1)
	b.podUntil("runs and isn't ready", func(p *v1.Pod) bool { return p.Status.Phase == v1.PodRunning && !ready(p) })
	p := b.podUntil("is ready", ready)
	started := p.Status.ContainerStatuses[0].State.Running.StartedAt.Time
	for _, c := range p.Status.Conditions {
		if c.Type == v1.PodReady {
			require.GreaterOrEqual(t, c.LastTransitionTime.Sub(started), 3*time.Second) // both are of whole seconds
		}
	}
}

func TestLogsCanBeFollowed(t *testing.T) {
	b := newBench(t)
	b.pod("one", v1.PodSpec{Containers: []v1.Container{webContainer("app:v1-drain_500ms")}})
	b.podUntil("is ready", ready)
	text, err := b.logs("one", &v1.PodLogOptions{})
	require.NoError(t, err)
	require.Contains(t, text, "listening on 10.244.")

	one := int64(1)
	text, err = b.logs("one", &v1.PodLogOptions{TailLines: &one, Timestamps: true})
	require.NoError(t, err)
	require.Regexp(t, `^\d{4}-\d\d-\d\dT\S+Z listening on \S+:8080\n$`, text)

	stream, err := b.client.CoreV1().Pods(b.namespace).GetLogs("one", &v1.PodLogOptions{Follow: true}).Stream(t.Context())
	require.NoError(t, err)
	defer stream.Close()
	lines := bufio.NewScanner(stream)
	require.True(t, lines.Scan())
	require.NoError(t, b.client.CoreV1().Pods(b.namespace).Delete(t.Context(), "one", metav1.DeleteOptions{}))
	var last string
	for lines.Scan() {
		last = lines.Text()
	}
	require.NoError(t, lines.Err())
	require.Equal(t, "ended", last, "the log goes on until the container's end")

	_, err = b.logs("one", &v1.PodLogOptions{Previous: true})
	require.Error(t, err)
}

func TestGracePeriodEndsADrain(t *testing.T) {
	b := newBench(t)
	grace := int64(1)
	b.pod("slow", v1.PodSpec{
		TerminationGracePeriodSeconds: &grace,
		Containers:                    []v1.Container{webContainer("app:v1-drain_10m")},
	})
	b.podUntil("is ready", ready)
	start := time.Now()
	require.NoError(t, b.client.CoreV1().Pods(b.namespace).Delete(t.Context(), "slow", metav1.DeleteOptions{}))
	b.podsUntil("gone", func(pods []v1.Pod) bool { return len(pods) == 0 })
	require.GreaterOrEqual(t, time.Since(start), time.Second)
	require.Less(t, time.Since(start), time.Minute)
}

func TestJobs(t *testing.T) {
	b := newBench(t)
	b.job("good", "job:v1-runfor_300ms")
	b.job("bad", "job:v1-exit_3")
	b.jobUntil("good", batchv1.JobComplete)
	b.jobUntil("bad", batchv1.JobFailed)
	p := b.podUntil("failed", func(p *v1.Pod) bool { return p.Status.Phase == v1.PodFailed })
	require.EqualValues(t, 3, p.Status.ContainerStatuses[0].State.Terminated.ExitCode)
}

// job makes a Job of one pod that has one try.
func (b *bench) job(name, image string, changes ...func(*v1.PodSpec)) {
	b.t.Helper()
	zero := int32(0)
	spec := v1.PodSpec{RestartPolicy: v1.RestartPolicyNever, Containers: []v1.Container{{Name: "job", Image: image}}}
	for _, change := range changes {
		change(&spec)
	}
	_, err := b.client.BatchV1().Jobs(b.namespace).Create(b.t.Context(), &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{BackoffLimit: &zero, Template: v1.PodTemplateSpec{Spec: spec}},
	}, metav1.CreateOptions{})
	require.NoError(b.t, err)
}

// jobUntil waits until the Job has the condition.
func (b *bench) jobUntil(name string, want batchv1.JobConditionType) {
	b.t.Helper()
	b.eventually(func() error {
		job, err := b.client.BatchV1().Jobs(b.namespace).Get(b.t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		for _, c := range job.Status.Conditions {
			if c.Type == want && c.Status == v1.ConditionTrue {
				return nil
			}
		}
		return fmt.Errorf("job %s is not yet %s: %+v", name, want, job.Status)
	})
}

func TestMissingConfigMapHoldsThePod(t *testing.T) {
	b := newBench(t)
	withEnv := webContainer("app:v1")
	withEnv.EnvFrom = []v1.EnvFromSource{{ConfigMapRef: &v1.ConfigMapEnvSource{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}}}}
	b.pod("env", v1.PodSpec{Containers: []v1.Container{withEnv}})
	b.pod("volume", v1.PodSpec{
		Containers: []v1.Container{webContainer("app:v1")},
		Volumes: []v1.Volume{{Name: "settings", VolumeSource: v1.VolumeSource{
			ConfigMap: &v1.ConfigMapVolumeSource{LocalObjectReference: v1.LocalObjectReference{Name: "settings"}},
		}}},
	})
	b.podUntil("lacks its environment", waitingFor("CreateContainerConfigError"))
	b.event("Failed", `configmap "settings" not found`)
	b.event("FailedMount", `MountVolume.SetUp failed for volume "settings" : configmap "settings" not found`)
	_, err := b.client.CoreV1().ConfigMaps(b.namespace).Create(t.Context(),
		&v1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}, Data: map[string]string{"a": "b"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	b.podsUntil("both ready", func(pods []v1.Pod) bool {
		return len(pods) == 2 && ready(&pods[0]) && ready(&pods[1])
	})
}

func TestAuditLogCountsByUser(t *testing.T) {
	b := newBench(t)
	mark, err := b.cluster.Mark()
	require.NoError(t, err)
	b.pod("one", v1.PodSpec{Containers: []v1.Container{webContainer("app:v1")}})
	requests, err := b.cluster.Requests(mark, cluster.Tester)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"create pods": 1}, cluster.Count(requests))
	require.Equal(t, 201, requests[0].Code)

	b.podUntil("is ready", ready)
	requests, err = b.cluster.Requests(mark, "system:node:n1")
	require.NoError(t, err)
	require.Equal(t, 1, cluster.Count(requests)["patch pods/status"], "a pod that is ready at once costs one status write")
}
