package e2e

import (
	_ "github.com/stretchr/testify/require"
	_ "k8s.io/client-go/dynamic"
	_ "sigs.k8s.io/gateway-api/apis/v1"
	_ "sigs.k8s.io/yaml"
)
