// Package kubelet is a node agent for tests: every container of every pod that
// the scheduler binds to its node is an HTTP server on the pod's own address.
//
// It talks to the API server as a kubelet does, as user system:node:NAME, and the
// API server talks to it: pod logs are served over TLS with client certificates,
// so that "kubectl logs", also with --previous and --follow, works. There is no
// container and no image. What a container does is chosen by its image tag or by
// annotations of its pod.
//
// # What a container does
//
// It listens on each of its TCP containerPorts and answers every request with 200
// and the line "IMAGE POD", and these headers:
//
//	X-Image    the image as written in the pod
//	X-Version  the image's tag up to the first '-', or its digest without a tag
//	X-Pod      the pod's name
//
// A container without ports in a pod that is not restarted always (a Job's) ends
// at once with exit code 0.
//
// # Behaviour
//
// An annotation testcluster/KEY applies to all containers of a pod; a part
// "-KEY_VALUE" of the image tag, with no dashes in KEY, applies to that container
// and wins, so that "kubectl set image" alone can choose it: app:v2-readydelay_1s.
//
//	start-delay    how long the container is being created (duration)
//	ready-delay    from running to ready (duration)
//	drain          how long it still serves after it was told to end (duration)
//	latency        added to every answer (duration)
//	neverready     runs and serves, but is never ready
//	unready        annotation only, may change at any time: not ready while "true"
//	err            percent of the answers that are a 500
//	crash          ends with exit code 1 shortly after its start, again and again
//	imagepull      the image cannot be pulled
//	run-for        ends by itself after this duration, with the code of exit
//	exit           the exit code; without run-for it ends at once
//
// From the pod itself it honours terminationGracePeriodSeconds, a preStop sleep,
// initialDelaySeconds of readiness probes, restartPolicy, and references to
// ConfigMaps and Secrets in env, envFrom and volumes: while one is missing the
// container waits as with a genuine kubelet. Init containers succeed at once.
//
// # Guarantees
//
//  1. A pod that is ready at once costs one status write; none is repeated when
//     nothing changed.
//  2. Ready is written after the ports accept connections, and connections are
//     accepted for the whole of drain after the pod was told to end.
//  3. States, reasons, events and log errors have the words of a genuine kubelet:
//     ErrImagePull, ImagePullBackOff, CrashLoopBackOff, CreateContainerConfigError,
//     BackOff, Failed, FailedMount, Unhealthy.
//  4. Run returns after every goroutine and listener of it ended.
//
// Not simulated: what probes would find, exec, attach, port forwarding, files in
// volumes, resource use, evictions. Delays after crashes and failed pulls start
// at Options.Backoff and double up to ten times that, where a genuine kubelet
// starts at 10 s and doubles up to 5 min.
package kubelet
