package kube

import "k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

// configRef is one place in a pod specification that names a ConfigMap or a
// Secret.
type configRef struct {
	kind  string
	owner map[string]any
	field string
}

func (r configRef) name() string {
	s, _ := r.owner[r.field].(string)
	return s
}

// configRefs lists every reference of a pod specification to a ConfigMap or a
// Secret: volumes, projected volumes, the secrets with which volumes are
// mounted and images pulled, and the environment of every kind of container.
// Source: core/v1 PodSpec, VolumeSource and EnvVarSource.
func configRefs(spec map[string]any) []configRef {
	var out []configRef
	add := func(kind string, owner map[string]any, field string) {
		if s, ok := owner[field].(string); ok && s != "" {
			out = append(out, configRef{kind, owner, field})
		}
	}
	source := func(holder map[string]any, configMap, secret string) {
		add("ConfigMap", asTree(holder[configMap]), "name")
		add("Secret", asTree(holder[secret]), "name")
	}
	for _, v := range items(spec, "volumes") {
		add("ConfigMap", asTree(v["configMap"]), "name")
		add("Secret", asTree(v["secret"]), "secretName")
		for _, p := range items(v, "projected", "sources") {
			source(p, "configMap", "secret")
		}
		add("Secret", asTree(v["azureFile"]), "secretName")
		for _, kind := range []string{"cephfs", "rbd", "flexVolume", "iscsi", "scaleIO", "storageos"} {
			add("Secret", asTree(asTree(v[kind])["secretRef"]), "name")
		}
		add("Secret", asTree(asTree(v["csi"])["nodePublishSecretRef"]), "name")
	}
	for _, s := range items(spec, "imagePullSecrets") {
		add("Secret", s, "name")
	}
	for _, list := range containerLists {
		for _, c := range items(spec, list) {
			for _, e := range items(c, "env") {
				source(asTree(e["valueFrom"]), "configMapKeyRef", "secretKeyRef")
			}
			for _, e := range items(c, "envFrom") {
				source(e, "configMapRef", "secretRef")
			}
		}
	}
	return out
}

// otherConfigRefs are references that cannot follow a version: an Ingress and a
// ServiceAccount are read by controllers that know one name.
func otherConfigRefs(u *unstructured.Unstructured) []configRef {
	var out []configRef
	switch o := objectOf(u); {
	case o.is("networking.k8s.io", "Ingress"):
		for _, t := range items(u.Object, "spec", "tls") {
			out = append(out, configRef{"Secret", t, "secretName"})
		}
	case o.is("", "ServiceAccount"):
		for _, list := range []string{"secrets", "imagePullSecrets"} {
			for _, s := range items(u.Object, list) {
				out = append(out, configRef{"Secret", s, "name"})
			}
		}
	}
	return out
}
