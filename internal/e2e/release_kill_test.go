package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/internal/e2e/cluster"
	"github.com/gennaker/gennaker/internal/e2e/clustertest"
)

// replicaSetController makes the pods of Deployments.
const replicaSetController = "system:serviceaccount:kube-system:replicaset-controller"

// A release that is killed at any moment and started again makes one build and
// one rollout in each environment.
func TestKilledReleaseResumes(t *testing.T) {
	s := newShop(t)
	whole := s.released(t, "v0").took
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for i := range 5 {
		moment := time.Duration(rnd.Int64N(int64(whole)))
		t.Run(fmt.Sprintf("after %s", moment.Round(time.Millisecond)), func(t *testing.T) {
			s.killAndResume(t, fmt.Sprintf("v%d", i+1), moment)
		})
	}
}

func (s *shop) killAndResume(t *testing.T, tag string, moment time.Duration) {
	mark, err := s.cluster.Mark()
	require.NoError(t, err)
	r := s.start(t, tag)
	select {
	case <-time.After(moment):
	case <-t.Context().Done():
	}
	r.kill()
	resumed := s.released(t, tag)
	t.Logf("the resumed release took %s", resumed.took.Round(time.Millisecond))
	s.serves(t, tag)
	require.Equal(t, 1, s.builds(tag), "one build")
	for namespace, replicas := range shopReplicas {
		s.oneRollout(t, mark, namespace, tag, replicas)
	}
	again := s.released(t, tag)
	require.Contains(t, again.errs, "has ended before")
	require.Equal(t, 1, s.builds(tag))
}

// oneRollout checks that one ReplicaSet of the tag was made, and by its
// controller no pod more than it has replicas.
func (s *shop) oneRollout(t *testing.T, mark cluster.Mark, namespace, tag string, replicas int) {
	t.Helper()
	sets, err := s.client.AppsV1().ReplicaSets(namespace).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	var name string
	for _, set := range sets.Items {
		if strings.HasSuffix(set.Spec.Template.Spec.Containers[0].Image, shopDigest(tag)) {
			require.Empty(t, name, "a second ReplicaSet of %s in %s", tag, namespace)
			name = set.Name
		}
	}
	require.NotEmpty(t, name, "no ReplicaSet of %s in %s", tag, namespace)
	clustertest.Eventually(t, patience, func(context.Context) error {
		made := 0
		requests, err := s.cluster.Requests(mark, replicaSetController)
		if err != nil {
			return err
		}
		for _, r := range requests {
			if r.Verb == "create" && r.Resource == "pods" && r.Namespace == namespace && r.Code == 201 {
				made++
			}
		}
		if made != replicas {
			return fmt.Errorf("%d pods were made in %s since the release began, want %d", made, namespace, replicas)
		}
		return nil
	})
}
