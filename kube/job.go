package kube

import (
	"context"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// startedJob returns a Job that was started, or what stands for it if it is not there
// any more: it is not started again.
func (a App) startedJob(ctx context.Context, u *unstructured.Unstructured, uid types.UID) (*unstructured.Unstructured, error) {
	live, err := a.Cluster.get(ctx, objectOf(u))
	if err != nil || live != nil {
		return live, err
	}
	u = u.DeepCopy()
	u.SetUID(uid)
	return u, nil
}

// eventDelay is how long the event about the end of a Job may take.
const eventDelay = 5 * time.Second

// jobFailures are why a Job fails. Source: batch/v1 JobReason constants.
var jobFailures = []string{"BackoffLimitExceeded", "DeadlineExceeded", "PodFailurePolicy", "FailedIndexes", "MaxFailedIndexesExceeded"}

// ended tells how a Job ended that is gone, as it soon is with a short
// ttlSecondsAfterFinished. Its events outlive it, by an hour as a rule.
func (e *evidence) ended(ctx context.Context, job *unstructured.Unstructured) (Readiness, time.Time, error) {
	events, err := e.events.list(ctx, 0)
	if err != nil {
		return Readiness{}, time.Time{}, err
	}
	for _, ev := range events {
		if str(ev.Object, "involvedObject", "uid") != string(job.GetUID()) {
			continue
		}
		switch reason := str(ev.Object, "reason"); {
		case reason == "Completed":
			return ready(), time.Time{}, nil
		case slices.Contains(jobFailures, reason):
			return failed("%s: %s", reason, str(ev.Object, "message")), time.Time{}, nil
		}
	}
	due := e.app.Cluster.firstSeen(e.h.session(), "gone/"+objectOf(job).String(), "", true).Add(eventDelay)
	if time.Now().Before(due) {
		return waiting("it is gone"), due, nil
	}
	return failed("it is gone, and no event tells whether it has succeeded; give it a longer ttlSecondsAfterFinished"), time.Time{}, nil
}
