// Package jenkinstest is a Jenkins for tests.
package jenkinstest
