// Package jenkinstest is a Jenkins for tests: a simulator that is faithful where clients of Jenkins go wrong.
//
//	j := jenkinstest.New(jenkinstest.Options{})
//	defer j.Close()
//	j.AddJob(jenkinstest.Job{
//		Name:       "folder/shop",
//		Parameters: []jenkinstest.Parameter{{Name: "TAG"}},
//		Build: func(b *jenkinstest.Build) {
//			b.Log("building %s", b.Param("TAG"))
//			b.Sleep(30 * time.Second)
//			b.Archive("image.json", []byte(`{"digest":"sha256:…"}`))
//		},
//	})
//	client := j.Client() // reaches j.URL() without sockets; or j.Start() for a loopback server
//
// # Model
//
// A [Server] is one Jenkins controller. A [Job] is scripted in Go: its function runs on a goroutine of its own for each
// build and says what the build logs, archives, waits for, and ends with. Requests come in through [Server.Transport],
// which is an http.RoundTripper without sockets or goroutines, or through the Server as an http.Handler, which
// [Server.Start] and [Server.StartTLS] put on a loopback port. All time is package time's: in a testing/synctest bubble the
// quiet period, five minutes of retention, restarts and hour-long builds take none. Make, use and close the Server in
// the bubble.
//
// [Server.Fault] disturbs requests, [Server.Restart] restarts the controller, [Server.Trigger] plays a stranger who uses the
// same job, [Lag] widens the moments in which Jenkins contradicts itself, and [Server.Requests], [Server.Builds],
// [Server.Queue] and [Server.Log] tell a test what really happened.
//
// # What is simulated
//
// Numbers are the versions of Jenkins with which [Options].Version changes the behaviour.
//
//  1. Answers of the remote API: _class, depth=, tree= with {M,N} ranges (malformed: 500), pretty=, X-Jenkins, and
//     X-Jenkins-Session, which changes with each restart. Every error is HTML. Since 2.421 unknown pages are "Oops!" pages.
//  2. Paths: // collapses, a trailing / and anything after api/json is ignored, %252F names a branch (so does %2F), and a
//     context path comes before everything. Location headers follow the request's host, url fields the configured root URL.
//  3. Authentication by password or API token; 401 for wrong credentials, 403 for none, 403 without a permission, 404
//     without the permission to read. Crumbs for POST, bound to the session since 2.186 and 2.176.2; API tokens need none.
//  4. Jobs: freestyle, Pipeline, folder, multibranch with encoded names, disabled (409). Parameters of a Jenkinsfile are
//     declared by the first build only. Undeclared parameters are dropped without a word; a choice that is none and a
//     repeated name are 500; buildWithParameters without parameters is 500, since 2.524 400. GET is 405.
//  5. Triggers: 201 with the Location of the queue item; equal requests for a waiting job are merged, their causes added,
//     and answered 303 since 2.308 (before and on build: 302, or 201 without parameters); a veto is 302 to the job.
//  6. Queue items by class with why; left items answer for five minutes and not after a restart. cancelItem is 204, 404,
//     422 or 500 since 2.211 and 302 before. The page of an item exists since 2.469. Executors, labels, blocked and stuck
//     items, placeholder items of Pipelines that wait for an agent, and the nodes with their executors.
//  7. Builds: null, early and final results; inProgress since 2.369; post-production; permalinks; stop, term and kill, each
//     302; log rotation; approvals and git data among actions; estimated durations.
//  8. Logs: CRLF in progressiveText while X-Text-Size counts raw bytes, X-More-Data, a start beyond the end served from 0.
//     Since 2.509 console notes are served and text is cut anywhere; before, notes are stripped and running logs end with
//     a line. consoleText has neither notes nor CRLF.
//  9. Artifacts with Range, If-Modified-Since, and redirects to a second origin that rejects Authorization.
//  10. Pipelines: stages and input steps by the wfapi of pipeline-rest-api, and the input pages themselves.
//  11. Restarts: safe, plain and by kill -9, with 503 pages, refused connections and another session. The queue is on disk
//     after at most 60 seconds: a crash loses newer items, repeats their ids, and brings started ones back. Freestyle
//     builds become ABORTED, Pipelines resume.
//
// # What is not
//
// The XML and Python forms of the API, config.xml and the making of jobs over HTTP, views but "all", fingerprints (404),
// plugins, users' pages, form login, archives of artifacts (*zip*), change sets, Jenkins' HTML beyond what clients see, and
// the clustering of CloudBees but its refusal of double slashes. A Pipeline's stop after a restart always finds its
// executor. Sessions end with a restart only. A refused connection is a reset one on a socket.
//
// # Errors, cancellation and testing
//
// Mistakes of the test panic with a message: options that contradict themselves, a job added twice, a job that does not
// exist. What the network does to a request comes back as the error of package net or syscall that a genuine client would
// see, and the end of a request's context as the context's error. [Server.Close] ends all builds and waits for them.
//
// The package's own tests hold each fact above, and drive the unmodified gojenkins client against a server.
package jenkinstest
