package kube

import (
	"errors"
	"fmt"
	"regexp"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A PermissionError says what the API server does not let this program do, in
// the words of a Role's rule.
type PermissionError struct {
	User      string
	Verb      string // such as "patch"
	Resource  string // plural, with a subresource after a slash: "deployments", "pods/log"
	Group     string // API group; empty is the core group
	Namespace string // empty for the whole cluster
	Err       error  // the API server's answer
}

func (e *PermissionError) Error() string {
	where := "in namespace " + e.Namespace
	if e.Namespace == "" {
		where = "in the whole cluster"
	}
	return fmt.Sprintf("%s may not %s %s %s; add a rule {apiGroups: [%q], resources: [%q], verbs: [%q]} to its Role",
		e.User, e.Verb, e.Resource, where, e.Group, e.Resource, e.Verb)
}

// Unwrap returns the API server's answer.
func (e *PermissionError) Unwrap() error { return e.Err }

// refusedText is how the API server says who may not do what. Source: apiserver
// pkg/endpoints/handlers/responsewriters (forbiddenMessage).
var refusedText = regexp.MustCompile(`User "([^"]*)" cannot ([a-z*]+) resource "([^"]*)" in API group "([^"]*)"(?: in the namespace "([^"]*)")?`)

// permission gives an answer of RBAC its own type and leaves other errors as
// they are, admission's refusals among them.
func permission(err error) error {
	var have *PermissionError
	if !apierrors.IsForbidden(err) || errors.As(err, &have) {
		return err
	}
	m := refusedText.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	return &PermissionError{User: m[1], Verb: m[2], Resource: m[3], Group: m[4], Namespace: m[5], Err: err}
}
