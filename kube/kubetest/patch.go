package kubetest

import (
	"fmt"
	"net/http"

	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes/scheme"
)

func (c *Cluster) patch(cl *call) (*answer, error) {
	w, warnings := cl.write()
	k := key{cl.ns, cl.name}
	if types.PatchType(cl.media()) == types.ApplyYAMLPatchType {
		return c.applyPatch(cl, k, w)
	}
	old := c.store.get(cl.res.gr(), k)
	if old == nil {
		return nil, apierrors.NewNotFound(cl.res.gr(), cl.name)
	}
	next, err := patched(cl, old)
	if err != nil {
		return nil, err
	}
	u, err := c.update(cl.res, k, next, w)
	if err != nil {
		return nil, err
	}
	return warned(jsonAnswer(http.StatusOK, u.Object), *warnings), nil
}

func (c *Cluster) applyPatch(cl *call, k key, w write) (*answer, error) {
	if cl.query.Get("fieldManager") == "" {
		return nil, apierrors.NewBadRequest("PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Required value: is required for apply patch")
	}
	patch, err := decodeYAML(cl.body)
	if err != nil {
		return nil, err
	}
	if patch.GetName() == "" {
		patch.SetName(cl.name)
	}
	u, created, err := c.apply(cl.res, k, patch, cl.query.Get("force") == "true", w)
	if err != nil {
		return nil, err
	}
	code := http.StatusOK
	if created {
		code = http.StatusCreated
	}
	return jsonAnswer(code, u.Object), nil
}

// patched computes the object after a JSON, merge or strategic merge patch.
func patched(cl *call, old *entry) (*unstructured.Unstructured, error) {
	was := old.encoded(cl.res.apiVersion())
	var now []byte
	var err error
	switch t := types.PatchType(cl.media()); t {
	case types.JSONPatchType:
		var ops jsonpatch.Patch
		if ops, err = jsonpatch.DecodePatch(cl.body); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
		if now, err = ops.Apply(was); err != nil {
			return nil, unprocessable(err)
		}
	case types.MergePatchType:
		if now, err = jsonpatch.MergePatch(was, cl.body); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	case types.StrategicMergePatchType:
		if !cl.res.typed {
			return nil, unsupportedPatch(t)
		}
		obj, err := scheme.Scheme.New(cl.res.gvk)
		if err != nil {
			return nil, apierrors.NewInternalError(err)
		}
		if now, err = strategicpatch.StrategicMergePatch(was, cl.body, obj); err != nil {
			return nil, apierrors.NewBadRequest(err.Error())
		}
	default:
		return nil, unsupportedPatch(t)
	}
	return decodeJSON(now)
}

// unprocessable is the answer to a JSON patch that does not fit the object,
// such as a failed test operation.
func unprocessable(err error) error {
	return apierrors.NewGenericServerResponse(http.StatusUnprocessableEntity, "", groupResource("", ""), "", err.Error(), 0, false)
}

func unsupportedPatch(t types.PatchType) error {
	err := apierrors.NewGenericServerResponse(http.StatusUnsupportedMediaType, "patch", groupResource("", ""), "", "", 0, false)
	err.ErrStatus.Message = fmt.Sprintf("the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml (got %s)", t)
	return err
}
