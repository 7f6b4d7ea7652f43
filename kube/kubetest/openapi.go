package kubetest

import (
	"net/http"
	"strings"
)

// openAPI serves as much of OpenAPI v3 as clients need to learn which kinds
// take field validation: paths with their patch operations. Schemas are left
// out.
func (c *Cluster) openAPI(path string) *answer {
	if path == "" {
		paths := map[string]any{}
		for _, r := range c.registry.order {
			p := versionPath(r)
			paths[p] = map[string]any{"serverRelativeURL": "/openapi/v3/" + p}
		}
		return jsonAnswer(http.StatusOK, map[string]any{"paths": paths})
	}
	paths := map[string]any{}
	for _, r := range c.registry.order {
		if versionPath(r) != path {
			continue
		}
		at := "/" + path
		if r.namespaced {
			at += "/namespaces/{namespace}"
		}
		paths[at+"/"+r.plural+"/{name}"] = map[string]any{"patch": patchOperation(r)}
	}
	if len(paths) == 0 {
		return failure(noResource(nil))
	}
	return jsonAnswer(http.StatusOK, map[string]any{
		"openapi":    "3.0.0",
		"info":       map[string]any{"title": "Kubernetes", "version": serverVersion},
		"paths":      paths,
		"components": map[string]any{"schemas": map[string]any{}},
	})
}

func versionPath(r *resource) string {
	if r.gvk.Group == "" {
		return "api/" + r.gvk.Version
	}
	return "apis/" + r.gvk.Group + "/" + r.gvk.Version
}

func patchOperation(r *resource) map[string]any {
	var params []any
	for _, name := range []string{"dryRun", "fieldManager", "fieldValidation", "force"} {
		params = append(params, map[string]any{"name": name, "in": "query", "schema": map[string]any{"type": "string", "uniqueItems": true}})
	}
	return map[string]any{
		"operationId":         "patch" + strings.ToUpper(r.plural[:1]) + r.plural[1:],
		"parameters":          params,
		"responses":           map[string]any{"200": map[string]any{"description": "OK"}},
		"x-kubernetes-action": "patch",
		"x-kubernetes-group-version-kind": map[string]any{
			"group": r.gvk.Group, "version": r.gvk.Version, "kind": r.gvk.Kind,
		},
	}
}
