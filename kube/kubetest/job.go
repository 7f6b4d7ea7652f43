package kubetest

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const jobComponent = "job-controller"

// syncJob is the Job controller.
func (c *Cluster) syncJob(e *entry) {
	j := e.typed().(*batchv1.Job)
	if j.DeletionTimestamp != nil {
		return
	}
	if done := jobFinished(j); done != nil {
		c.expire(e, j, done)
		return
	}
	j = j.DeepCopy()
	s := &j.Status
	s.Active, s.Succeeded, s.Failed = 0, 0, 0
	s.Ready, s.Terminating = new(int32), new(int32)
	var active []*corev1.Pod
	var lastFailure time.Time
	var retries int32 // containers restarted inside their pods, with OnFailure
	for _, p := range c.claimPods(j, j.Spec.Selector, "Job", "batch/v1") {
		switch {
		case p.Status.Phase == corev1.PodSucceeded:
			s.Succeeded++
		case p.Status.Phase == corev1.PodFailed || p.DeletionTimestamp != nil:
			s.Failed++
			lastFailure = laterOf(lastFailure, finishedAt(p))
		default:
			active = append(active, p)
			if podReady(p) != nil {
				*s.Ready++
			}
			retries += restarts(p)
		}
	}
	s.Active = int32(len(active))
	if isTrue(j.Spec.Suspend) {
		c.suspendJob(e, j, active)
	} else {
		c.runJob(e, j, active, retries, lastFailure)
	}
	if was := e.typed().(*batchv1.Job); !apiequality.Semantic.DeepEqual(was.Status, j.Status) {
		_ = c.save(jobs, j, "status", controllerManager)
	}
}

func jobFinished(j *batchv1.Job) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// expire deletes a finished Job when its time to live is over.
func (c *Cluster) expire(e *entry, j *batchv1.Job, done *batchv1.JobCondition) {
	if j.Spec.TTLSecondsAfterFinished == nil {
		return
	}
	at := done.LastTransitionTime.Add(time.Duration(*j.Spec.TTLSecondsAfterFinished) * time.Second)
	if at.After(now()) {
		k := e.key
		c.work.at(at, "ttl/"+string(j.UID), func() { c.work.reconcile(jobs, k) })
		return
	}
	_ = c.discard(e, metav1.DeletePropagationForeground)
}

func (c *Cluster) suspendJob(e *entry, j *batchv1.Job, active []*corev1.Pod) {
	for _, p := range active {
		c.kill(e, p, jobComponent)
	}
	j.Status.Active, j.Status.StartTime = 0, nil
	setJobCondition(j, batchv1.JobSuspended, corev1.ConditionTrue, "JobSuspended", "Job suspended")
}

// runJob starts pods, and ends the Job when enough succeeded or too many
// failed.
func (c *Cluster) runJob(e *entry, j *batchv1.Job, active []*corev1.Pod, retries int32, lastFailure time.Time) {
	s := &j.Status
	if s.StartTime == nil {
		at := metav1.NewTime(now())
		s.StartTime = &at
		if i := jobCondition(j, batchv1.JobSuspended); i >= 0 {
			setJobCondition(j, batchv1.JobSuspended, corev1.ConditionFalse, "JobResumed", "Job resumed")
		}
	}
	want := int32(1)
	if j.Spec.Completions != nil {
		want = *j.Spec.Completions
	}
	enough := s.Succeeded >= want
	if j.Spec.Completions == nil {
		enough = s.Succeeded > 0 && s.Active == 0
	}
	switch over := c.jobDeadline(e, j); {
	case s.Failed+retries > *j.Spec.BackoffLimit:
		c.endJob(e, j, active, batchv1.JobFailed, batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit")
	case over:
		c.endJob(e, j, active, batchv1.JobFailed, batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline")
	case enough:
		c.endJob(e, j, nil, batchv1.JobComplete, batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods")
	default:
		c.startJobPods(e, j, want, lastFailure)
	}
}

func (c *Cluster) jobDeadline(e *entry, j *batchv1.Job) bool {
	if j.Spec.ActiveDeadlineSeconds == nil {
		return false
	}
	at := j.Status.StartTime.Add(time.Duration(*j.Spec.ActiveDeadlineSeconds) * time.Second)
	if at.After(now()) {
		k := e.key
		c.work.at(at, "job-deadline/"+string(j.UID), func() { c.work.reconcile(jobs, k) })
		return false
	}
	return true
}

// startJobPods keeps as many pods active as there is work for; after a
// failure it waits 10 s, doubled for each further one.
func (c *Cluster) startJobPods(e *entry, j *batchv1.Job, want int32, lastFailure time.Time) {
	s := &j.Status
	missing := *j.Spec.Parallelism - s.Active
	if j.Spec.Completions != nil {
		missing = min(missing, want-s.Succeeded-s.Active)
	} else if s.Succeeded > 0 {
		missing = 0
	}
	if missing <= 0 {
		return
	}
	if !lastFailure.IsZero() {
		wait := min(firstBackOff<<min(max(s.Failed-1, 0), 10), 10*time.Minute)
		if at := lastFailure.Add(wait); at.After(now()) {
			k := e.key
			c.work.at(at, "job-retry/"+string(j.UID), func() { c.work.reconcile(jobs, k) })
			return
		}
	}
	for range missing {
		if c.spawn(e, j, &j.Spec.Template, jobComponent) == nil {
			s.Active++
		}
	}
}

func (c *Cluster) endJob(e *entry, j *batchv1.Job, active []*corev1.Pod, kind batchv1.JobConditionType, reason, message string) {
	for _, p := range active {
		c.kill(e, p, jobComponent)
	}
	s := &j.Status
	s.Active, *s.Ready = 0, 0
	if kind == batchv1.JobComplete {
		at := metav1.NewTime(now())
		s.CompletionTime = &at
		setJobCondition(j, batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, reason, message)
		setJobCondition(j, kind, corev1.ConditionTrue, reason, message)
		c.event(e, jobComponent, corev1.EventTypeNormal, "Completed", "Job completed")
		return
	}
	setJobCondition(j, batchv1.JobFailureTarget, corev1.ConditionTrue, reason, message)
	setJobCondition(j, kind, corev1.ConditionTrue, reason, message)
	c.event(e, jobComponent, corev1.EventTypeWarning, reason, "%s", message)
}

func jobCondition(j *batchv1.Job, kind batchv1.JobConditionType) int {
	return slices.IndexFunc(j.Status.Conditions, func(c batchv1.JobCondition) bool { return c.Type == kind })
}

func setJobCondition(j *batchv1.Job, kind batchv1.JobConditionType, is corev1.ConditionStatus, reason, message string) {
	at := metav1.NewTime(now())
	next := batchv1.JobCondition{Type: kind, Status: is, Reason: reason, Message: message, LastProbeTime: at, LastTransitionTime: at}
	i := jobCondition(j, kind)
	switch {
	case i < 0:
		j.Status.Conditions = append(j.Status.Conditions, next)
	case j.Status.Conditions[i].Status != is:
		j.Status.Conditions[i] = next
	}
}

func finishedAt(p *corev1.Pod) time.Time {
	at := p.CreationTimestamp.Time
	for i := range p.Status.ContainerStatuses {
		if t := p.Status.ContainerStatuses[i].State.Terminated; t != nil {
			at = laterOf(at, t.FinishedAt.Time)
		}
	}
	return at
}

func laterOf(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
