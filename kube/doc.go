// Package kube deploys to Kubernetes.
package kube
