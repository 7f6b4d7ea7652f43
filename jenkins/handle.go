package jenkins

import "time"

// Handle says where in Jenkins a build is. The engine keeps it, and a process that takes over goes on from it.
type Handle struct {
	// Job is the full name of the job.
	Job string `json:"job"`
	// Key is the value of the key parameter.
	Key string `json:"key"`
	// Queue is the id of the queue item; 0 when the build was found first. Ids repeat after a crash of Jenkins, so an
	// item counts only if it carries the key.
	Queue int64 `json:"queue,omitempty"`
	// Build is the number of the build; 0 while it waits in the queue.
	Build int64 `json:"build,omitempty"`
	// URL is where people find the build.
	URL string `json:"url,omitempty"`
	// Session identifies the run of Jenkins that accepted the build.
	Session string `json:"session,omitempty"`
	// Log is how many bytes of the console log have been reported; it is the beginning of a line unless a
	// part of the log was skipped.
	Log int64 `json:"log,omitempty"`
	// Ambiguous says that the build carries no key: see JobOptions.WithoutKey.
	Ambiguous bool `json:"ambiguous,omitempty"`
	// Answer is a decision about an input step that is to be sent.
	Answer *SentAnswer `json:"answer,omitempty"`
	// Told is what the stage was told about input steps, oldest first, as far as it has not become an answer.
	Told []ToldAnswer `json:"told,omitempty"`
	// Heard is the number of the newest thing that the stage was told and has taken in; Attempt is the attempt that did so, 0 for the first.
	Heard   int `json:"heard,omitempty"`
	Attempt int `json:"attempt,omitempty"`
	// Since is when the build was accepted, by Jenkins' clock if it told.
	Since time.Time `json:"since,omitzero"`
}
