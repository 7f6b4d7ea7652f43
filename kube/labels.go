package kube

// Prefix is the domain of all labels and annotations of this package.
const Prefix = "gennaker.dev/"

// Labels and annotations by which a person, another tool or a later release
// recognises what a release wrote.
const (
	// LabelApp, on workloads and on the Services of versions, names the App.
	LabelApp = Prefix + "app"
	// LabelVersion, on workloads and their pods, is the version: a hash of the rendered pod template.
	LabelVersion = Prefix + "version"
	// AnnotationRelease is the key of the release that wrote the object last.
	AnnotationRelease = Prefix + "release"
	// AnnotationStep counts the writes of that release.
	AnnotationStep = Prefix + "step"
	// AnnotationFence is the fencing epoch of the process that wrote.
	AnnotationFence = Prefix + "fence"
	// AnnotationSet is the digest of the artifact set that a workload runs.
	AnnotationSet = Prefix + "set"
	// AnnotationDigests lists the image references of a workload, for people.
	AnnotationDigests = Prefix + "digests"
	// labelRevision is set by the controllers of StatefulSets and DaemonSets on their pods.
	labelRevision = "controller-revision-hash"
	// labelHash is set by the Deployment controller on the pods of each ReplicaSet.
	labelHash = "pod-template-hash"
)
