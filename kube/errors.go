package kube

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/gennaker/gennaker/artifact"
)

// Reasons, to be asked for with errors.Is.
var (
	// ErrInvalid says that a manifest, an App or an option does not have the form its documentation asks for.
	ErrInvalid = errors.New("invalid")
	// ErrUnbound says that an image artifact found no container, or a container no single artifact.
	ErrUnbound = errors.New("not bound")
	// ErrBusy says that another release of the same App has not ended.
	ErrBusy = errors.New("another release is running")
	// ErrStale says that another process has taken the release over; this one must not write any more.
	ErrStale = errors.New("taken over by another process")
	// ErrDrift says that a target changed under the release, or differs from its baseline after a rollback.
	ErrDrift = errors.New("differs from what was recorded")
	// ErrServing says that traffic still reaches what was to be removed.
	ErrServing = errors.New("it serves traffic")
	// ErrTooLarge says that a release record would exceed MaxRecord.
	ErrTooLarge = errors.New("too large")
)

// A ManifestError says which document of which file cannot be used, and why.
type ManifestError struct {
	Source   string // the file, or the name given to YAML; "object" for typed objects
	Document int    // counts from 1; 0 when the whole file is meant
	Object   string // kind and name, as far as known
	Err      error  // wraps ErrInvalid, or is the file system's error
}

func (e *ManifestError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "manifest %s", e.Source)
	if e.Document > 0 {
		fmt.Fprintf(&b, " document %d", e.Document)
	}
	if e.Object != "" {
		fmt.Fprintf(&b, " (%s)", e.Object)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *ManifestError) Unwrap() error { return e.Err }

// A BindError says which artifact or which container's image could not be bound. It wraps ErrUnbound.
type BindError struct {
	Artifact  string // name of the artifact, if one is meant
	Object    string // the object, if one is meant
	Container string // the place in it: container "web", or the path of an ImagePath
	Reason    string // what is wrong and what to do
}

func (e *BindError) Error() string {
	subject := fmt.Sprintf("artifact %q", e.Artifact)
	if e.Artifact == "" {
		subject = e.Object + " " + e.Container
	}
	return subject + ": " + e.Reason
}

// Unwrap returns ErrUnbound.
func (e *BindError) Unwrap() error { return ErrUnbound }

// An UnknownKindError says that the cluster does not serve a kind.
type UnknownKindError struct {
	APIVersion, Kind string
	Cluster          string
}

func (e *UnknownKindError) Error() string {
	return fmt.Sprintf("kind %s of %s: cluster %q does not serve it; install its CustomResourceDefinition or correct apiVersion and kind",
		e.Kind, e.APIVersion, e.Cluster)
}

// An ObjectError says which request about which object the cluster refused or did not answer.
type ObjectError struct {
	Op     string // "get", "apply", "dry run", "delete", …
	Object Object
	Hint   string // what to do, if that is known
	Err    error  // the API server's answer or the transport's error
}

func (e *ObjectError) Error() string {
	msg := fmt.Sprintf("%s: %s: %v", e.Object, e.Op, e.Err)
	if e.Hint != "" {
		msg += "; " + e.Hint
	}
	return msg
}

// Unwrap returns the cause.
func (e *ObjectError) Unwrap() error { return e.Err }

// A Conflict is one field that another field manager owns with another value.
type Conflict struct {
	Manager string // the name of the other manager
	Field   string // such as .spec.replicas
	// Detail is what else the API server says of the manager, such as "using apps/v1"; empty if nothing.
	Detail string
}

// A ConflictError says that applying an object would take fields from other
// field managers. Nothing was changed.
type ConflictError struct {
	Object    Object
	Conflicts []Conflict
}

func (e *ConflictError) Error() string {
	parts := make([]string, len(e.Conflicts))
	for i, c := range e.Conflicts {
		parts[i] = fmt.Sprintf("%s is owned by %s", c.Field, c.Manager)
		if c.Detail != "" {
			parts[i] += " (" + c.Detail + ")"
		}
	}
	return fmt.Sprintf("%s: apply: %s; remove the fields from the manifest, stop the other manager, or set App.TakeFields to take them once",
		e.Object, strings.Join(parts, ", "))
}

// A BusyError says which release holds the App. It wraps ErrBusy.
type BusyError struct {
	App     string
	Release string // its key
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("app %s: release %s has not ended; let it end, or resume or cancel its execution; if nobody has that any more, see Cluster.Recover", e.App, e.Release)
}

// Unwrap returns ErrBusy.
func (e *BusyError) Unwrap() error { return ErrBusy }

// A KeyError says that the App has seen the key of a release before, for something else:
// an engine whose store is new, or that keeps nothing, was given the name of an earlier
// execution. Nothing was written. It wraps ErrInvalid.
type KeyError struct {
	App     string
	Release string       // the key
	Set     artifact.Set // what the earlier release brought, if that is known
	Running bool         // it has not ended
	Object  Object       // what it wrote, if other releases have come since
}

func (e *KeyError) Error() string {
	text := fmt.Sprintf("app %s: release %s: %v: its key was used before", e.App, e.Release, ErrInvalid)
	switch {
	case e.Object != Object{}:
		text += fmt.Sprintf(", as %s tells", e.Object)
	case e.Running:
		text += fmt.Sprintf(" for another release (%s), which has not ended; bring that to its end, see Cluster.Recover", e.Set)
	default:
		text += fmt.Sprintf(" for another release (%s)", e.Set)
	}
	return text + "; give the execution an ID that no other has had"
}

// Unwrap returns ErrInvalid.
func (e *KeyError) Unwrap() error { return ErrInvalid }

// A DriftError says where an object differs from what was recorded. Values are
// never shown, since they may be secret. It wraps ErrDrift.
type DriftError struct {
	Object Object
	Fields []string // at most ten paths
}

func (e *DriftError) Error() string {
	return fmt.Sprintf("%s: differs from what was recorded in %s", e.Object, strings.Join(e.Fields, ", "))
}

// Unwrap returns ErrDrift.
func (e *DriftError) Unwrap() error { return ErrDrift }

// A RollbackError says that a rollout failed and that its baseline could not be
// restored and verified either. A person must look.
type RollbackError struct {
	Cause error // why the rollout failed
	Err   error // why the baseline is not restored
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("baseline not restored: %v (rolled back because of: %v)", e.Err, e.Cause)
}

// Unwrap returns both errors.
func (e *RollbackError) Unwrap() []error { return []error{e.Err, e.Cause} }

// refusal reports whether the API server has understood a request and refused
// it: asking again will not help.
func refusal(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; {
	case strings.Contains(err.Error(), "failed to create typed patch object"):
		// Server-side apply answers 500 to a configuration that does not fit
		// the kind's schema (apimachinery pkg/util/managedfields/internal/structuredmerge.go).
		return true
	case apierrors.IsTooManyRequests(err), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err):
		return false
	case apierrors.IsConflict(err) && len(conflictsOf(err)) == 0:
		// Somebody else has written the object between a read and a write, the
		// API server's own read included: another look may decide otherwise.
		return false
	case code == 408 || code == 429:
		return false
	default:
		return code >= 400 && code < 500
	}
}

// objectError dresses an API error: conflicts with field managers get their
// own type, known refusals a hint.
func objectError(op string, o Object, err error) error {
	if err == nil {
		return nil
	}
	if c := conflictsOf(err); len(c) > 0 {
		return &ConflictError{Object: o, Conflicts: c}
	}
	e := &ObjectError{Op: op, Object: o, Err: permission(err)}
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		d := status.Status().Details
		switch {
		case apierrors.IsNotFound(err) && d != nil && d.Kind == "namespaces" && o.Kind != "Namespace":
			e.Hint = "create the namespace or add it to the manifests"
		case apierrors.IsUnauthorized(err):
			e.Hint = "check the credentials"
		}
	}
	if o.Kind == "Secret" && (apierrors.IsInvalid(err) || apierrors.IsBadRequest(err)) {
		e.Err = masked(err)
	}
	return e
}

// conflictsOf lists the field managers that a refused apply names.
func conflictsOf(err error) []Conflict {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var out []Conflict
	for _, cause := range status.Status().Details.Causes {
		if cause.Type == metav1.CauseTypeFieldManagerConflict {
			out = append(out, conflictOf(cause))
		}
	}
	return out
}

// conflictOf reads what the API server writes of a conflict: conflict with "kubectl"
// with subresource "scale" using apps/v1 at 2026-01-02T03:04:05Z, of which a manager that
// applies has the name alone (apimachinery pkg/util/managedfields/internal/conflict.go).
func conflictOf(cause metav1.StatusCause) Conflict {
	out := Conflict{Manager: strings.TrimPrefix(cause.Message, "conflict with "), Field: cause.Field}
	quoted, err := strconv.QuotedPrefix(out.Manager)
	if err != nil {
		return out
	}
	name, err := strconv.Unquote(quoted)
	if err != nil {
		return out
	}
	out.Manager, out.Detail = name, strings.TrimSpace(out.Manager[len(quoted):])
	return out
}

// masked keeps the reason and the fields of a refusal, not the message, which
// may quote the refused value.
func masked(err error) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return errors.New("refused (the message is withheld, it may quote a secret)")
	}
	s := status.Status()
	out := metav1.Status{Status: s.Status, Code: s.Code, Reason: s.Reason}
	fields := []string{}
	if s.Details != nil {
		out.Details = &metav1.StatusDetails{Name: s.Details.Name, Kind: s.Details.Kind, Group: s.Details.Group}
		for _, c := range s.Details.Causes {
			fields = append(fields, c.Field)
		}
	}
	out.Message = fmt.Sprintf("%s: %s (values are withheld)", s.Reason, strings.Join(fields, ", "))
	return &apierrors.StatusError{ErrStatus: out}
}
