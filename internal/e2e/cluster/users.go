package cluster

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Names of users. The components' names are those that the roles of a new
// cluster are bound to. The other users may do everything.
const (
	Admin             = "admin" // for looking, and for what a test sets up
	Tester            = "tester"
	DataPlane         = "dataplane"
	KWOK              = "kwok"
	controllerManager = "system:kube-controller-manager"
	scheduler         = "system:kube-scheduler"
	proxy             = "system:kube-proxy"
	apiServer         = "kube-apiserver"
)

// users lists everyone who gets a token and a kubeconfig. The users u1 to u8 are
// for tests that count the requests of several clients apart.
func users(nodes int) map[string]string {
	groups := map[string]string{controllerManager: "", scheduler: "", proxy: ""}
	for _, name := range []string{Admin, Tester, DataPlane, KWOK, "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"} {
		groups[name] = "system:masters"
	}
	for i := range nodes {
		groups["system:node:"+nodeName(i)] = "system:nodes"
	}
	return groups
}

// writeUsers writes tokens.csv for the API server and a kubeconfig for each user.
// A token is the user's name: the cluster lives in a network of its own.
func (c *Cluster) writeUsers(nodes int) error {
	var tokens strings.Builder
	for user, group := range users(nodes) {
		fmt.Fprintf(&tokens, "%s,%s,%s,%q\n", token(user), user, user, group)
		config := clientcmdapi.NewConfig()
		config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: serverURL, CertificateAuthority: c.path("ca.crt")}
		config.AuthInfos[user] = &clientcmdapi.AuthInfo{Token: token(user)}
		config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: user}
		config.CurrentContext = "e2e"
		if err := clientcmd.WriteToFile(*config, c.Kubeconfig(user)); err != nil {
			return fmt.Errorf("cluster: kubeconfig of %s: %w", user, err)
		}
	}
	return os.WriteFile(c.path("tokens.csv"), []byte(tokens.String()), 0o600)
}

func token(user string) string { return "token-of-" + strings.ReplaceAll(user, ":", "-") }

// Kubeconfig is the path of the kubeconfig of a user: [Admin], [Tester], or u1 to
// u8. With an attached cluster it is the file that was given, whoever is asked for.
func (c *Cluster) Kubeconfig(user string) string {
	if c.attached != "" {
		return c.attached
	}
	return filepath.Join(c.dir, "kubeconfig-"+strings.ReplaceAll(user, ":", "-"))
}

// Config is a client configuration for a user, see [Cluster.Kubeconfig]. It has no
// client-side rate limit. It panics when the file cannot be read, which means that
// there is no such user.
func (c *Cluster) Config(user string) *rest.Config {
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig(user))
	if err != nil {
		panic(fmt.Sprintf("cluster: user %q: %v", user, err))
	}
	config.QPS = -1
	return config
}
