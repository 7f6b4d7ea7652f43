package kube

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/gennaker/gennaker/strategy"
)

// DefaultOwner is the field manager of an App that names none.
const DefaultOwner = "gennaker"

// DefaultTimeout is how long the objects beside the workload may take.
const DefaultTimeout = 10 * time.Minute

// An App is a workload in an environment: a Deployment, StatefulSet or DaemonSet
// with the Services that lead to it and everything else in its manifests. Strategies
// other than strategy.Rolling need a Deployment. It is a stage.Deployer, a
// stage.Promoter and a stage.Undoer, and a plain value: copy and share it.
//
// Cluster, Env, Namespace, Name and Manifests are required.
type App struct {
	Cluster   *Cluster
	Env       string // the environment, such as "prod"
	Namespace string // of the workload, and of namespaced objects that name none
	Name      string // the name of the workload in the manifests, at most 47 bytes
	Manifests Manifests

	// Images lists places outside pod templates that hold an image to be bound, as custom kinds have them.
	Images []ImagePath
	// Router splits the traffic by weight, for strategy.Canary, or is an IngressSwitch. Nil means that the Services'
	// selectors alone move it, all at once. It is a value, not a pointer.
	Router Router
	// Preview names a Service among the manifests that leads to the version that is not live yet, for
	// strategy.RedBlack's Preview. Empty means that there is none.
	Preview string
	// Judge answers the questions of a strategy that analyses. It belongs to the program and is not recorded.
	Judge strategy.Judge
	// Decode finds a strategy of your own by what is recorded of it, as (strategy.Driver).Decode does; those of package
	// strategy are known. It belongs to the program: a release goes on, and is taken back, only where it is set.
	Decode func(strategy.Spec) (strategy.Strategy, error)
	// Owner is the field manager of everything that is applied. Default DefaultOwner.
	Owner string
	// TakeFields takes fields from other field managers instead of reporting a *ConflictError. Set it once, to adopt
	// what kubectl or another tool applied.
	TakeFields bool
	// IngressAddress waits until each Ingress has an address, where the Ingress controller writes one.
	IngressAddress bool
	// Timeout is how long the objects beside the workload may take, all before it or all after it, until they are
	// written and ready; then the release goes back. On the way back it is how long those that the API server does not
	// take are tried again. The workload has the strategy's deadlines; a write to it or its Services, or a removal at the
	// end, that the API server answers with errors or not at all for as long as this is given up, too: going forward the
	// release goes back, going back it says what stays. An API server that answers nothing is waited for. Default
	// DefaultTimeout.
	Timeout time.Duration
	// Recreate lists kinds, such as "Job", whose objects are deleted and made anew when a change of an immutable field
	// asks for it; without it that is an *ImmutableError. The pods of a StatefulSet stay if its selector does. Kinds
	// that hold data, the workload itself and its Services are never recreated.
	Recreate []string
	// Prune deletes, once a release has succeeded, what an earlier release of this App applied and the manifests do not
	// hold any more; see AnnotationPrune. What another App has now stays, and so do namespaces, definitions and volumes.
	// So does what is outside of the namespace, such as a ClusterRole, as long as the records of the cluster's Apps may
	// not be listed; Handle.Warning says so. Undo brings back what was deleted.
	Prune bool
	// Patience says how long evidence of a failure must stay.
	Patience Patience
	// History is how many Deployments of older versions red/black leaves behind without pods, for a quick way back.
	// Default 2; a negative number keeps all.
	History int

	grouped bool // it is one of a Group, which sees to it that each image is used
}

// Kind returns "kube.app/v1".
func (a App) Kind() string { return "kube.app/v1" }

// Environment returns Env.
func (a App) Environment() string { return a.Env }

func (a App) owner() string { return cmp.Or(a.Owner, DefaultOwner) }

// decode finds the strategy that is recorded.
func (a App) decode(spec strategy.Spec) (strategy.Strategy, error) {
	s, err := strategy.Decode(spec)
	if unknown := (*strategy.UnknownKindError)(nil); errors.As(err, &unknown) && a.Decode != nil {
		return a.Decode(spec)
	}
	return s, err
}

func (a App) timeout() time.Duration { return cmp.Or(a.Timeout, DefaultTimeout) }

// Validate reports everything that is wrong with the App itself, without asking
// the cluster. Start asks it first; a program may ask it when it is built.
func (a App) Validate() error {
	var errs []error
	bad := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("app %q: %s: %w: %s", a.Name, field, ErrInvalid, fmt.Sprintf(format, args...)))
	}
	if a.Cluster == nil {
		bad("Cluster", "it is nil; use kube.Connect or kube.Open")
	}
	if a.Env == "" {
		bad("Env", "it is empty")
	}
	if msgs := validation.IsDNS1123Label(a.Namespace); len(msgs) > 0 {
		bad("Namespace", "%q is no namespace: %s", a.Namespace, msgs[0])
	}
	if msgs := validation.IsDNS1123Label(a.Name); len(msgs) > 0 || len(a.Name) > 47 {
		bad("Name", "%q must be a DNS label of at most 47 bytes", a.Name)
	}
	if a.Manifests.Len() == 0 && a.Manifests.Err() == nil {
		bad("Manifests", "there are none")
	}
	if a.Timeout < 0 {
		bad("Timeout", "it is negative")
	}
	if err := a.checkRouter(); err != nil {
		errs = append(errs, fmt.Errorf("app %q: %w", a.Name, err))
	} else if a.Router != nil {
		if entry := a.Router.entry(a); len(validation.IsDNS1123Subdomain(entry.Name)) > 0 {
			bad("Router", "the name of the %s is %q; give the Name of the object that leads to the Service", entry.Kind, entry.Name)
		} else if err := a.checkSwitch(); err != nil {
			errs = append(errs, fmt.Errorf("app %q: Router: %w", a.Name, err))
		}
	}
	for _, p := range a.Images {
		if err := p.check(); err != nil {
			bad("Images", "%v", err)
		}
	}
	if err := a.checkRecreate(); err != nil {
		bad("Recreate", "%v", err)
	}
	return errors.Join(append(errs, a.Manifests.Err())...)
}
