package shop

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/kube/kubetest"
)

// Job is the name of the simulated Jenkins job.
const Job = "shop/build"

// Simulators are a Jenkins and a Kubernetes in memory.
type Simulators struct {
	Jenkins *jenkinstest.Server
	Kube    *kubetest.Cluster
}

// Simulate starts the simulators. Close them.
func Simulate() Simulators {
	s := Simulators{
		Jenkins: jenkinstest.New(jenkinstest.Options{}),
		Kube: kubetest.New(kubetest.Options{
			Namespaces: Namespaces,
			Pods: func(*corev1.Pod) kubetest.Behavior {
				return kubetest.Behavior{StartDelay: 150 * time.Millisecond, ReadyDelay: 150 * time.Millisecond}
			},
		}),
	}
	s.Jenkins.AddJob(jenkinstest.Job{
		Name: Job, Kind: jenkinstest.Pipeline, QuietPeriod: -1,
		Parameters: []jenkinstest.Parameter{
			{Name: jenkins.DefaultKeyParameter}, {Name: "IMAGE"}, {Name: "BRANCH"}, {Name: "TAG"}, {Name: "COMMIT"},
		},
		Build: build,
	})
	return s
}

// build is the Jenkinsfile: it pretends to build and to push an image.
func build(b *jenkinstest.Build) {
	b.Stage("checkout", func() {
		b.Log("checking out %s of %s", b.Param("COMMIT"), b.Param("BRANCH"))
		b.Sleep(200 * time.Millisecond)
	})
	b.Stage("docker build", func() {
		for _, step := range []string{"FROM golang", "RUN go build ./...", "ENTRYPOINT /shop"} {
			b.Log("%s", step)
			b.Sleep(200 * time.Millisecond)
		}
	})
	b.Stage("docker push", func() {
		ref := b.Param("IMAGE") + ":" + b.Param("TAG")
		sum := sha256.Sum256([]byte(ref + "@" + b.Param("COMMIT")))
		digest := "sha256:" + hex.EncodeToString(sum[:])
		b.Log("%s: digest: %s", ref, digest)
		meta, err := json.Marshal(map[string]string{"image": ref, "digest": digest})
		if err != nil {
			b.Fail("%v", err)
		}
		b.Archive("image.json", meta)
	})
}

// Close ends the simulators.
func (s Simulators) Close() {
	s.Jenkins.Close()
	s.Kube.Close()
}
