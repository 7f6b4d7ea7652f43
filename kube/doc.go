// Package kube releases to Kubernetes: it applies manifests, lets a strategy
// move the workload and its traffic, verifies what happened, and takes
// everything back when it must.
//
// # Model
//
// A [Cluster] is a connection. [Manifests] are objects from YAML ([YAML], [FS]),
// Go templates ([Templates]), Kustomize (package kustomize) or typed Go values
// ([Objects]). An [App] is one Deployment (or StatefulSet, or DaemonSet) with the
// Services that lead to it and whatever else its manifests hold; it is a
// stage.Deployer:
//
//	app := kube.App{Cluster: c, Env: "prod", Namespace: "shop", Name: "web", Manifests: kube.FS(files, "deploy/*.yaml")}
//	rel := stage.Deploy(b, "prod", app, image, strategy.RedBlack{KeepOld: time.Hour})
//
// A container's image names an artifact of the set ("image: shop/web") and is
// replaced by its pinned reference, in containers and init containers of every
// kind that has a pod template, and where App.Images says that a custom kind
// keeps an image. Other images stay as they are. An artifact that nothing uses,
// and an image that two artifacts could mean, are errors.
//
// ConfigMaps and Secrets to which pods refer are versioned by content: each is
// applied under its name and a hash, references follow (volumes, projected
// volumes, environment, pull secrets; every kind of container), and versions are
// deleted once nothing refers to them, revisions that are kept included. Another
// content is thereby another version of the workload. The annotation
// [AnnotationVersioned] turns it off for an object; one that an Ingress or a
// ServiceAccount names keeps its name.
//
// A release has these parts. Start renders, asks the API server by dry run
// whether it would take every object, records each one's present state and
// claims the App; then come the objects that the workload needs, in order and
// each until it is ready; then the strategy with the Deployment and the
// selectors of its Services; then what follows the workload (Ingress,
// HorizontalPodAutoscaler) and, with App.Prune, the end of what earlier releases
// applied and the manifests hold no more. A failure anywhere leads back through
// all of it. [App.Diff] says beforehand what would change, field by field, and what
// would be refused.
//
// Objects are applied in the order of what they need, each when the one before
// is ready: a Namespace when it has its default ServiceAccount, a definition
// when it is established, a webhook only once its Service has a ready address.
// A Job that was started and is gone, as with a short ttlSecondsAfterFinished, is not
// started again: its events tell how it ended.
// A change of the workload beside its pod template is no other version: where the
// version stays, it is applied before the strategy begins and replaces no pod.
// What cannot be changed in place is an [ImmutableError], unless App.Recreate
// lists its kind.
//
// Several workloads that belong together are a [Group] of Apps: one stage, one
// verdict, and a joint way back if one of them fails.
//
// For several clusters, make an App for each and use stage.Each with
// stage.DeployTo: waves, failure budget and rollback are those of the pipeline.
//
// With strategy.Rolling the workload of the manifest is updated in place, and its
// controller replaces the pods. What the kinds can do:
//
//	              strategies     spare pods        pause points         hold
//	Deployment    all            yes               when they are seen   yes
//	StatefulSet   Rolling        no                exactly (partition)  yes (partition)
//	DaemonSet     Rolling        or missing ones   when they are seen   yes (OnDelete)
//
// A StatefulSet is one pod short at a time, or MaxUnavailable where the API server
// has that field for it. Its controller waits for ever for a pod that cannot become
// ready: such pods of the version that failed are deleted on the way back, and of
// the one that ran before on the way forward. A DaemonSet whose pods use ports of
// their node has no spare pods either. updateStrategy OnDelete, paused and a partition in
// the manifest are refused, since the strategy sets them, and so are the strategy
// Recreate, since versions are side by side for a while, and replicas of 0.
//
// With strategy.RedBlack each version is a Deployment of its own, NAME-VERSION,
// and the Services' selectors name the version. A Deployment that was there
// before is adopted: the Services are first pinned to the pods it has, if any of them
// is ready; over a version that serves nobody, new pods get traffic as they come, and
// a Canary leaves its steps out.
//
// An autoscaler among the manifests (HorizontalPodAutoscaler, ScaledObject of KEDA,
// VerticalPodAutoscaler) names the workload by the App's name. With versions side by
// side it follows the traffic: to the Deployment of the new version as soon as the
// traffic has settled there, so that the old one keeps the pods that it had as long
// as it is kept, and back when the traffic is back. The new version begins with as
// many pods as the old one has, the first with the autoscaler's minimum. A HorizontalPodAutoscaler of the App's Deployments
// that is not among the manifests, and is of nothing among them, is refused then.
//
// The App's pods are those of its own workloads. Pods of another one are no version
// of it, even if its selector matches their labels, too.
//
// The Services of an App lead to its pods only: one that leads to pods of others,
// too, or to addresses in an EndpointSlice that somebody has made, is a [SharedError].
// One that leads to its pods now and would lead to none of the new version is a
// [LostServiceError]. With Rolling, where old and new pods are behind a Service
// at once, its selector cannot be changed. A changed targetPort must be one that the
// pods of both versions declare; better give the container's port a name and use
// that, which means another number in each version.
//
// With strategy.Canary, App.Router splits the traffic by weight: an [HTTPRoute], of
// which only the backends of the App are touched, or an [Ingress] with the canary
// annotations of ingress-nginx. While it does, the Services NAME-canary and
// NAME-baseline stand beside the App's own; they are gone afterwards. Their
// addresses are ready for a second before they get a share: a gateway watches routes
// and addresses apart. A weight counts as moved when every parent of the HTTPRoute has
// accepted it at its generation, the EndpointSlices behind it have ready addresses, and
// both have held for the settle time (a parent that does not is named with its
// condition); of an Ingress nothing can be asked but the slices.
// Weights that somebody else changes during a step are written again.
// App.Judge answers the strategy's analyses; with strategy.Probe it asks the data
// plane itself which version answers, before the old one goes (a pod learns its
// version from the label gennaker.dev/version by the downward API). App.Preview is
// the Service that shows a version before it is live. A strategy that needs more
// than the App has is refused when the pipeline is defined ([App.Supports]), and so is
// one of your own that App.Decode does not find.
//
// With an [IngressSwitch] as App.Router, each version has a Service of its own beside
// its Deployment, NAME-VERSION, and it is the backend of the Ingress that is switched
// to it, not the selector of the Service. Any ingress controller will do, and one that
// registers pods by their Service at a load balancer has registered and checked the
// new ones before they get traffic:
//
//	app := kube.App{…, Router: kube.IngressSwitch{Name: "web"}}
//
// People tell a release to promote, hold, resume, roll back or abort while it runs
// (pipeline.Run.Tell); see the signals of package strategy. One that
// is held applies no object beside the workload either. Before a rolling update
// of pods that have no preStop hook Handle.Warning says what it may lose.
//
// # Guarantees
//
//  1. Nothing is written before the API server has agreed by dry run to every
//     object that it can judge beforehand; all refusals are reported together.
//  2. Every write and its inverse are in the [Handle], which is persisted before
//     the write. A process that dies is followed by one that looks first: each
//     rollout happens once, at whatever request or reply the first one died.
//  3. Traffic moves to a version only when its pods are ready, for their controller
//     too, and have the ports that the Services name, and is seen in every EndpointSlice of every Service
//     and address family, with every port of the Service, for the strategy's
//     settle time, before anything is scaled down.
//  4. A release that fails, is aborted or undone restores the recorded baseline:
//     objects with a recorded inverse are compared with it afterwards
//     ([DriftError]), objects that it made are deleted unless another App has them by
//     now. Namespaces, definitions
//     and volumes are never deleted. Traffic goes back first if the old pods are
//     there; an object that cannot be taken back keeps neither the traffic nor
//     another object where it is. What is not as it was at the end is named in a
//     [RollbackError].
//  5. Readiness counts only at the generation of our own write; see
//     [ReadinessOf] for the rule of each kind. What was seen before a watch was lost
//     is no ground for a write: the present state is waited for first.
//  6. Images that cannot be pulled, crash loops, pods that no node takes, quota
//     and admission refusals, missing configuration, missing ports and exceeded
//     deadlines end a rollout within seconds ([Patience]) as a [RolloutError] with object,
//     pod, container, reason, events and the end of the log. The strategy's
//     deadlines count, and a Deployment's progressDeadlineSeconds only where the
//     manifest sets it.
//  7. Fields of other field managers are never taken unless App.TakeFields says
//     so; a [ConflictError] names manager and field. Replicas that the manifest
//     leaves out, that an autoscaler owns, or that somebody sets after a rolling update
//     has begun, are left alone. On the way back how the controller replaces pods, and
//     whether it is paused, is taken from whoever has set it.
//  8. No value of a Secret enters a record, an error or a difference. The former
//     state of Secrets and ConfigMaps that are changed in place or pruned is kept
//     in Secrets beside them as long as the release can be taken back: until it is,
//     or until the next release ends.
//  9. Nothing is polled. A release of one workload with its Service makes at
//     most twenty requests, three more with an IngressSwitch; releases in one
//     namespace share four watches, and one for a Router, which end soon after
//     the last of them.
//  10. A release, or an undo, that nobody resumes can be found ([Cluster.Orphans])
//     and restored or finished ([Cluster.Recover]) with nothing but a connection
//     to the cluster, and a Judge to finish what still has analyses to pass; a process
//     that still works on it stops with [ErrStale].
//  11. The last pods that a Service leads to are not taken away ([TrafficError]).
//
// # Cluster objects
//
// The ConfigMap gennaker-NAME holds the claim: which release has the App, or is
// being undone, in which fencing epoch, and its handle. Labels and annotations
// with [Prefix] on Deployments, pods and Services say version, release, step and
// epoch. A process of an older epoch, or of another release, gets [ErrStale] or
// [ErrBusy]. Field managers are App.Owner, and the same with "-scale" and
// "-traffic" for what changes on its own.
//
// # Permissions
//
// In the App's namespace: get, list, watch, create, update, patch and delete on
// deployments; get, list, watch, create, patch and delete on services; list and
// watch on pods and endpointslices; list on replicasets, events and
// horizontalpodautoscalers; for a StatefulSet or a DaemonSet, the same on that kind
// instead of deployments, list on controllerrevisions, list and watch on events, and
// delete on pods; get on pods/log; get, create and update on
// configmaps; get, create and delete on secrets if ConfigMaps or Secrets are released
// (without delete, their former states stay);
// and get, create, patch and delete on every other kind in the manifests, with
// list and watch where [ReadinessOf] has something to wait for and on what
// App.Router names, on serviceaccounts if a Namespace is made, and on events for workloads beside the
// App's own. To collect versions of ConfigMaps and Secrets: list on these and on
// all kinds of workloads, controllerrevisions and pods; without it they stay. List
// on configmaps also tells what other Apps have, in the whole cluster of what is outside
// of the namespace, such as a ClusterRole: App.Prune needs it, and leaves alone what is
// outside without it; what a release made is taken back without it, be it another's by now.
// What is missing is a [PermissionError].
//
// # Errors
//
// [ManifestError], [BindError], [UnknownKindError], [ObjectError],
// [ConflictError], [ImmutableError], [SharedError], [LostServiceError], [PermissionError], [RolloutError],
// [RollbackError], [DriftError], [TrafficError], [BusyError], [KeyError] and, of a
// Group, [GroupError], each naming its
// subject. What another attempt would only repeat is marked permanent; network
// errors, 429 and 5xx are tried again, here first and then by the engine, until
// App.Timeout is over. An API server that answers nothing at all, or no list, is
// waited for, and so is another release that holds the App, however long that takes
// (stage.Waiting): one that nobody works on any more must be recovered.
//
// # Cancellation
//
// Each call ends with its context. Watches are kept for a few seconds between
// two calls of Poll, since an engine gives each call a context of its own; they
// end at once when a call is cancelled or the release has ended, and with
// [Cluster.Close]. Abort needs a context that is not cancelled; it returns when
// the baseline is back. If its time was too short it asks for another call
// (stage.RetryAfter), which goes on where it was and by the same deadlines, and so
// does Undo; an engine makes that call.
//
// # Limits
//
// Handles are at most [MaxRecord] bytes. A program with other manifests than
// those with which a release began turns that release back. Once red/black has
// released an App, strategy.Rolling is refused for it. An App that gives its
// IngressSwitch up keeps the old version's pods, since its Service names them, until
// that is deleted by hand. During a rollback of
// Rolling, the pods are replaced by the workload's controller, which takes as
// long as going forward did; what the workload said of its pace before is restored last.
//
// # Testing
//
// Package kubetest is a Kubernetes in memory with faults to inject; with
// testing/synctest a release, however long, runs in milliseconds:
//
//	k := kubetest.New(kubetest.Options{Namespaces: []string{"shop"}})
//	defer k.Close()
//	c, err := kube.Connect(k.Config(), nil)
//	defer c.Close()
package kube
