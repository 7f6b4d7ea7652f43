package kubetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func (c *Cluster) getOne(cl *call) (*answer, error) {
	e := c.lookup(cl)
	if e == nil {
		return nil, apierrors.NewNotFound(cl.res.gr(), cl.name)
	}
	if as, ok := tableWanted(cl.accept); ok {
		return jsonAnswer(http.StatusOK, cl.res.table(as, []*entry{e}, nil)), nil
	}
	return jsonAnswer(http.StatusOK, e.encoded(cl.res.apiVersion())), nil
}

// lookup reads one object; a fault may make the read stale.
func (c *Cluster) lookup(cl *call) *entry {
	if lag := c.staleness(cl); lag > 0 {
		past, _ := c.store.asOf(cl.res.gr(), now().Add(-lag))
		return past[key{cl.ns, cl.name}]
	}
	return c.store.get(cl.res.gr(), key{cl.ns, cl.name})
}

// listHead is the metadata of a list.
type listHead struct {
	ResourceVersion    string `json:"resourceVersion"`
	Continue           string `json:"continue,omitempty"`
	RemainingItemCount *int64 `json:"remainingItemCount,omitempty"`
}

type listBody struct {
	Kind       string            `json:"kind"`
	APIVersion string            `json:"apiVersion"`
	Metadata   listHead          `json:"metadata"`
	Items      []json.RawMessage `json:"items"`
}

func (c *Cluster) getList(cl *call) (*answer, error) {
	sel, err := cl.selector()
	if err != nil {
		return nil, err
	}
	if err := c.listVersion(cl); err != nil {
		return nil, err
	}
	all, rv := c.listed(cl)
	found := make([]*entry, 0, len(all))
	for _, e := range all {
		if sel.matches(e) {
			found = append(found, e)
		}
	}
	head := listHead{ResourceVersion: strconv.FormatInt(rv, 10)}
	found, err = page(cl, found, &head)
	if err != nil {
		return nil, err
	}
	if as, ok := tableWanted(cl.accept); ok {
		return jsonAnswer(http.StatusOK, cl.res.table(as, found, &head)), nil
	}
	out := listBody{Kind: cl.res.listKind(), APIVersion: cl.res.apiVersion(), Metadata: head, Items: []json.RawMessage{}}
	for _, e := range found {
		out.Items = append(out.Items, e.encoded(cl.res.apiVersion()))
	}
	return jsonAnswer(http.StatusOK, out), nil
}

func (c *Cluster) listed(cl *call) ([]*entry, int64) {
	lag := c.staleness(cl)
	if lag <= 0 {
		return c.store.list(cl.res.gr(), cl.ns), c.store.rv
	}
	past, rv := c.store.asOf(cl.res.gr(), now().Add(-lag))
	var out []*entry
	for k, e := range past {
		if cl.ns == "" || k.ns == cl.ns {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *entry) int { return a.key.compare(b.key) })
	return out, rv
}

// listVersion refuses a resourceVersion that the store has not reached, or
// asks to match exactly and no longer has.
func (c *Cluster) listVersion(cl *call) error {
	rv, err := parseRV(cl.query.Get("resourceVersion"))
	if err != nil {
		return err
	}
	if rv > c.store.rv {
		return tooLarge(rv, c.store.rv)
	}
	if cl.query.Get("resourceVersionMatch") == string(metav1.ResourceVersionMatchExact) && rv != c.store.rv {
		return apierrors.NewResourceExpired(fmt.Sprintf("The provided resource version %d is not the current one", rv))
	}
	return nil
}

func tooLarge(rv, current int64) error {
	err := apierrors.NewTimeoutError(fmt.Sprintf("Too large resource version: %d, current: %d", rv, current), 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge, Message: "Too large resource version"}}
	return err
}

// page cuts the list at limit and leaves a continue token.
func page(cl *call, found []*entry, head *listHead) ([]*entry, error) {
	if token := cl.query.Get("continue"); token != "" {
		raw, err := base64.RawURLEncoding.DecodeString(token)
		var after [2]string
		if err == nil {
			err = json.Unmarshal(raw, &after)
		}
		if err != nil {
			return nil, apierrors.NewBadRequest("continue key is not valid: " + err.Error())
		}
		last := key{after[0], after[1]}
		i := slices.IndexFunc(found, func(e *entry) bool { return e.key.compare(last) > 0 })
		if i < 0 {
			i = len(found)
		}
		found = found[i:]
	}
	limit, err := strconv.Atoi(cmpOr(cl.query.Get("limit"), "0"))
	if err != nil || limit < 0 {
		return nil, apierrors.NewBadRequest("limit: a number is wanted")
	}
	if limit == 0 || len(found) <= limit {
		return found, nil
	}
	rest := int64(len(found) - limit)
	head.RemainingItemCount = &rest
	last := found[limit-1].key
	head.Continue = base64.RawURLEncoding.EncodeToString(mustJSON([2]string{last.ns, last.name}))
	return found[:limit], nil
}

func cmpOr(s, or string) string {
	if s == "" {
		return or
	}
	return s
}
