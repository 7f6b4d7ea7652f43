// Package jenkins builds with Jenkins: triggered once, followed to the end, and known by the digest of what came out.
//
//	client, err := jenkins.Connect(ctx, jenkins.Options{URL: "https://ci.example.com", User: "release", Token: token})
//	…
//	builder, err := jenkins.NewJob(client, "team/shop",
//		func(c Commit) map[string]string { return map[string]string{"COMMIT": c.SHA, "TAG": c.Tag} },
//		jenkins.JobOptions{Images: []jenkins.Image{{Path: "out/image.properties"}}})
//	…
//	image := stage.Build(b, "build", builder, commit)
//
// # Model
//
// A [Client] is a connection to one Jenkins as one user. A [Job] is a job of it with the way to make its parameters; it is a stage.Builder: an
// effect that takes the pipeline's input and yields an artifact set. Its [Handle] is all that must survive a crash.
//
// The stage's key (stage.Ctx.Key) travels as the value of a declared parameter, so that every queue item and every build tells which
// stage it belongs to. Queue ids and build numbers are only short cuts: ids repeat when Jenkins crashes, numbers when a job is
// made anew, and both are believed only together with the key.
//
// A build passes through the queue, where it is looked up by its item; runs, when its log is read on from an offset, which shows at once
// what happens and that the build goes on; and ends, when its record is complete: a result alone may still change. Then the rest of the log
// is read, and the archived files that [JobOptions] names become the artifact set.
//
// # Watching and answering
//
// [Client.Watch] reports builds that have ended, whoever started them, so that they can start pipelines; see there for what it promises. A Pipeline that waits
// at an input step says so in its progress. A person answers it by a signal to the stage, pipeline.Run.Tell with a [Word] such as "approve Ship";
// JobOptions.Decide answers it, for instance from a gate of one's own; [Build.Inputs] and
// [Build.Answer] do so from elsewhere. [Decision] tells how the name of the person who decided gets into Jenkins.
//
// # Guarantees
//
//  1. One build. Whatever reply is lost and wherever this process dies, the job is triggered once for a key, and the build that is
//     followed is the one that carries the key. After a doubt nothing is triggered again before Jenkins, without a restart in
//     between, has shown neither item nor build for JobOptions.Grace: a request that is still on its way arrives within that time or never.
//  2. No POST is repeated by the client or redirected. Only a POST that Jenkins refused for its crumb is sent anew, once.
//  3. Credentials go to the origin of Options.URL alone, whatever redirects say, and are in no error.
//  4. The end of a build is seen within 1.5 seconds, with less than one request a second for each build; fewer while the end is far off by
//     Jenkins' own estimate. All builds of a client share Options.Rate. More than five share one look a second at the executors and the
//     queue of Jenkins, and read their logs in turns: 500 builds need 33 requests a second (go test ./jenkins -run Crowd -crowd 500 -v).
//     Where the user may not see the executors, each build is looked at itself, as often as Options.Rate allows.
//  5. Memory is bounded: a megabyte of log is looked at in one piece, of eight builds at most at a time, and what is more is skipped with a
//     notice; files are streamed.
//  6. Abort returns nil only after Jenkins has shown that the item is cancelled or the build has ended. It stops nothing that does not carry the key.
//  7. An image without a digest is never passed on, nor, with JobOptions.Registry, one that the registry does not have under it.
//  8. Watch drops no build that Jenkins still has when it looks, and doubles none: what is reported twice has the same [Completed.ID].
//  9. A decision about an input step, and a word, is stored before it is sent, and sent until its fate is known. A step that is no longer
//     pending is not answered, and one that was answered and waits anew under the same id counts as another: the log, which has a line
//     about each answer, tells them apart, unless Jenkins knows no users and writes none.
//
// Log lines are reported as progress at least once: a process that dies may repeat the last ones. They are cleaned of control
// characters and of the notes that Jenkins hides in them, and cut at 1 KiB.
//
// What is beyond these guarantees: Jenkins itself may run a build twice when it is killed within a minute of starting it, as it saves its
// queue no more often. The one that ends well is followed. And a build that carries the key can be looked for among the newest
// 2000 of its job.
//
// # Configuration of Jenkins
//
//   - Each job declares a string parameter named GENNAKER_KEY, or as JobOptions.KeyParameter says: in its configuration, or in the
//     Jenkinsfile with
//     parameters { string(name: 'GENNAKER_KEY') }
//     A Jenkinsfile's parameters are known after the first build, so a new Pipeline must be run once by hand. A job that triggers others must not
//     pass the key on to builds of itself.
//   - The user has the permissions Overall/Read, Job/Read, Job/Build and Job/Cancel, and an API token.
//   - The job keeps its builds for longer than a release may be interrupted: log rotation must not delete the build that is looked for.
//   - The quiet period delays every build, by 5 seconds unless configured; JobOptions.QuietPeriod overrides it.
//   - The build archives a file with the digest of each image it pushes. [DetectImage] lists what is understood without further ado.
//   - Inputs are answered by a user with Job/Build, or by those whom the step names as submitters; their names get into the build's description with
//     the permission Run/Update.
//   - With the plugin pipeline-rest-api (part of the usual set), stages and inputs of Pipelines are reported; without it, only the log.
//
// Jobs that cannot declare a parameter can be built with JobOptions.WithoutKey. Guarantee 1 is then weaker: see there.
//
// # Errors
//
// A [JobError] says what about the job or its parameters is wrong, before anything is triggered. A [BuildError] is a build that ended
// badly, with the end of its log as detail; [LostError] one that Jenkins lost. An [ArtifactError] is a file that is missing or
// says nothing of use. [RefusedError] and [AmbiguousError] are rare ends of a trigger; [ErrUndecided] is one that is not decided yet. Below
// all of them, a [StatusError] is an answer that is not the one hoped for, and a [RequestError] none at all.
//
// Permanent (stage.IsPermanent) are errors of configuration, permission and artifacts, builds that a person aborted or cancelled, and builds
// deleted from Jenkins. A failed build, and one that a restart of Jenkins aborted or lost, may be tried again by the stage's Retry option, which
// triggers a new build with a new key.
//
// # Cancellation
//
// The end of a context ends requests and waiting at once. It does not end the build: that is what Abort is for, which the engine
// calls on cancellation and on timeouts with a context of its own.
//
// # Testing
//
// Package jenkinstest is a Jenkins for tests; give its Transport to Options. The tests of this package kill the process at each of its requests,
// lose each reply, restart Jenkins at each second, and play random
// schedules of all of that: go test ./jenkins -run Random -schedules 10000.
//
// # gojenkins
//
// The package uses gojenkins for its types and its seam, JenkinsRequester, below which lies a transport of our own. [Client.Gojenkins] gives
// the rest of that library on the same connection.
package jenkins
