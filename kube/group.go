package kube

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/gennaker/gennaker/artifact"
	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/stage"
	"github.com/gennaker/gennaker/strategy"
)

// A Group is several Apps that are released together, with one verdict: either
// all of them serve the new set in the end, or all of them are back at what was
// there before. Like an App it is a stage.Deployer and a plain value:
//
//	shop := kube.Group{Env: "prod", Apps: []kube.App{web, worker, search}}
//	rel := stage.Deploy(b, "prod", shop, images, strategy.RedBlack{KeepOld: time.Hour})
//
// The Apps go forward side by side, by the same strategy. One whose new version
// serves waits for the others before its old version is given up; meanwhile it goes
// back at once if its new version fails. With Rolling, or where no old version is
// left, it waits at the end of its rollout, when nobody looks at it any more. As soon
// as one fails, all the others are taken back, those that have arrived included. Each
// image of the set must be used by one App at least. Apps may be in several
// namespaces and clusters.
//
// What people tell a Group is told to each App. The traffic of two Apps does not
// move in the same instant: each version must get on with the other's old one.
type Group struct {
	Env  string // the environment of all Apps, which need none of their own
	Apps []App  // at least one
}

// GroupHandle is everything that must not be forgotten while a Group is released.
type GroupHandle struct {
	Format  int      `json:"format"`
	Members []Member `json:"members"`
	// Failed is the App because of which all go back; empty while none has failed.
	Failed string `json:"failed,omitempty"`
	// Partial says that Start had not come to all Apps, as when one is held by another
	// release; Poll begins the others.
	Partial bool `json:"partial,omitempty"`
}

// Member is the release of one App of a Group.
type Member struct {
	App    string `json:"app"` // "namespace/name"
	Handle Handle `json:"handle"`
	Ended  bool   `json:"ended,omitempty"`
	// Err is why nothing more can be done about it, if its handle does not tell.
	Err string `json:"err,omitempty"`
}

// GroupError is the definite end of a Group's release that did not succeed.
type GroupError struct {
	App string // "namespace/name" of the one that failed first
	Err error  // why, often a *RolloutError
	// Restored are the Apps that are back at their baseline, verified; Unrestored those that are not.
	Restored, Unrestored []string
}

func (e *GroupError) Error() string {
	text := fmt.Sprintf("group: %s: %v", e.App, e.Err)
	if len(e.Unrestored) > 0 {
		return text + fmt.Sprintf("; NOT restored: %v: look at them before the next release", e.Unrestored)
	}
	return text + fmt.Sprintf("; restored: %v", e.Restored)
}

// Unwrap returns the cause.
func (e *GroupError) Unwrap() error { return e.Err }

// Permanent reports true.
func (e *GroupError) Permanent() bool { return true }

// Detail returns the evidence of the App that failed.
func (e *GroupError) Detail() string {
	var d interface{ Detail() string }
	if errors.As(e.Err, &d) {
		return d.Detail()
	}
	return ""
}

// Kind returns "kube.group/v1".
func (g Group) Kind() string { return "kube.group/v1" }

// Environment returns Env.
func (g Group) Environment() string { return g.Env }

// Hears implements stage.Hearer, as App does.
func (g Group) Hears(say string) error { return stage.Signals(say) }

// Supports implements stage.Supporter: every App must be able to do it.
func (g Group) Supports(s strategy.Strategy) error {
	var errs []error
	for _, a := range g.apps() {
		if err := a.Supports(s); err != nil {
			errs = append(errs, fmt.Errorf("app %s: %w", a.title(), err))
		}
	}
	return errors.Join(errs...)
}

// Validate reports everything that is wrong with the Group and its Apps.
func (g Group) Validate() error {
	var errs []error
	if len(g.Apps) == 0 {
		errs = append(errs, fmt.Errorf("group: Apps: %w: there are none", ErrInvalid))
	}
	seen := map[string]bool{}
	for _, a := range g.Apps {
		if a.Env != "" && a.Env != g.Env {
			errs = append(errs, fmt.Errorf("group: app %s: %w: its Env is %q; it must be that of the Group, %q, or empty", a.title(), ErrInvalid, a.Env, g.Env))
		}
	}
	for _, a := range g.apps() {
		if seen[a.place()] {
			errs = append(errs, fmt.Errorf("group: app %s: %w: it is there twice", a.title(), ErrInvalid))
		}
		seen[a.place()] = true
		errs = append(errs, a.Validate())
	}
	return errors.Join(errs...)
}

// apps are the members, in an order that is the same for every Group, so that two
// of them with the same Apps do not wait for each other's claims for ever.
func (g Group) apps() []App {
	out := slices.Clone(g.Apps)
	for i := range out {
		out[i].Env, out[i].grouped = g.Env, true
	}
	slices.SortStableFunc(out, func(a, b App) int { return cmp.Compare(a.place(), b.place()) })
	return out
}

// title names an App in errors.
func (a App) title() string { return a.Namespace + "/" + a.Name }

// place is where an App is.
func (a App) place() string {
	if a.Cluster == nil {
		return a.title()
	}
	return a.Cluster.name + " " + a.title()
}

// member is a call about one App: each has a key of its own.
func member(c *stage.Ctx, a App, wake <-chan struct{}) *stage.Ctx {
	return stage.NewCtx(&pipeline.Call{
		Context: c, Key: c.Key() + "/" + a.title(), Execution: c.Execution(), Pipeline: c.Pipeline(), StartedBy: c.StartedBy(),
		Stage: c.Stage(), Generation: c.Generation(), Attempt: c.Attempt(), Fence: c.Fence(), Told: c.Told(), Woken: wake,
		Budget: min(c.Budget(), memberBudget), Progress: func(line string) { c.Progress("%s: %s", a.title(), line) },
	})
}

// unused refuses images that no App of the Group uses.
func (g Group) unused(set artifact.Set, used map[string]bool) error {
	var errs []error
	for a := range set.OfKind(artifact.KindImage) {
		if !used[a.Name] {
			errs = append(errs, &BindError{Artifact: a.Name, Reason: fmt.Sprintf(
				"no container of the Group uses it; write image: %s in a manifest, or leave it out of the set", a.Name)})
		}
	}
	return errors.Join(errs...)
}
