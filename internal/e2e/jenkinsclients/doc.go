// Package jenkinsclients holds the Jenkins simulator of package jenkinstest against clients of Jenkins that other people wrote: the unmodified
// gojenkins, Debian's python3-jenkins and npm's jenkins. They work against it as they do against Jenkins, in what they do well and in what they are
// known to do wrong.
package jenkinsclients
