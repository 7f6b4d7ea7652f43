package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/gennaker/gennaker/examples/internal/shop"
	"github.com/gennaker/gennaker/jenkins"
	"github.com/gennaker/gennaker/jenkins/jenkinstest"
	"github.com/gennaker/gennaker/strategy"
)

type options struct {
	id, state    string
	commit       shop.Commit
	strategy     strategy.Strategy
	approval     string // ask, auto or never
	json, plan   bool
	kubeconfig   string
	jenkins, job string
	user         string
}

// errTold says that the flag package has already told the user what is wrong.
var errTold = errors.New("told")

func parse(args []string, out io.Writer) (options, error) {
	o := options{user: "release"}
	if u, err := user.Current(); err == nil {
		o.user = u.Username
	}
	fs := flag.NewFlagSet("release", flag.ContinueOnError)
	fs.SetOutput(out)
	fs.StringVar(&o.id, "id", "shop-"+time.Now().UTC().Format("20060102-150405.000"), "id of the release; the same id resumes")
	fs.StringVar(&o.commit.Commit, "commit", "4f2a9c1d7e", "commit to release, 7 to 40 hex digits")
	fs.StringVar(&o.commit.Branch, "branch", "main", "branch of the commit")
	fs.StringVar(&o.commit.Tag, "tag", "1.4.2", "tag of the image")
	fs.StringVar(&o.commit.Image, "image", "harbor.example.com/shop/web", "repository of the image")
	fs.StringVar(&o.state, "state", defaultState(), "folder of the state")
	how := fs.String("strategy", "redblack", "how prod is released: rolling or redblack")
	fs.StringVar(&o.approval, "approve", "ask", "ask (on a terminal; approves itself without one), auto, or never (rejects)")
	fs.BoolVar(&o.json, "json", false, "print one event a line as JSON and nothing else")
	fs.BoolVar(&o.plan, "plan", false, "print the plan and change nothing")
	fs.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; empty means a simulated one")
	fs.StringVar(&o.jenkins, "jenkins", "", "URL of Jenkins; empty means a simulated one. User and API token come from JENKINS_USER and JENKINS_TOKEN")
	fs.StringVar(&o.job, "job", shop.Job, "full name of the Jenkins job")
	if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
		return o, err
	} else if err != nil {
		return o, errTold
	}
	switch {
	case fs.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q; all settings are flags, see -help", fs.Arg(0))
	case o.approval != "ask" && o.approval != "auto" && o.approval != "never":
		return o, fmt.Errorf("-approve %q: want ask, auto or never", o.approval)
	case o.state == "":
		return o, errors.New("-state: want a folder")
	}
	switch *how {
	case "rolling":
		o.strategy = strategy.Rolling{Settle: o.settle()}
	case "redblack":
		o.strategy = strategy.RedBlack{KeepOld: time.Second, Settle: o.settle()}
	default:
		return o, fmt.Errorf("-strategy %q: want rolling or redblack", *how)
	}
	return o, nil
}

// settle is how long the traffic must stay with the new version until the release
// believes it. kube-proxy follows the cluster within its sync period, which is one
// second: until then a node may still send new connections to the old version.
func (o options) settle() time.Duration {
	if o.kubeconfig == "" {
		return 500 * time.Millisecond // nothing is in front of the simulated cluster
	}
	return 1500 * time.Millisecond
}

func defaultState() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "gennaker-example")
}

// systems connects to what the flags name, and simulates the rest.
func (o options) systems(con console) (shop.Systems, func(), error) {
	sys := shop.Systems{Job: o.job, Settle: o.settle()}
	settings := jenkins.Options{
		URL: o.jenkins, User: os.Getenv("JENKINS_USER"), Token: os.Getenv("JENKINS_TOKEN"),
	}
	closeAll := func() {}
	if o.jenkins == "" || o.kubeconfig == "" {
		sim := shop.Simulate()
		closeAll = sim.Close
		sys.Kube = sim.Kube.Config()
		if o.jenkins == "" {
			settings = jenkins.Options{
				URL: sim.Jenkins.URL(), Transport: sim.Jenkins.Transport(),
				User: jenkinstest.AdminUser, Token: jenkinstest.AdminToken,
			}
		}
	}
	if loopback(o.jenkins) {
		sys.Grace = 2 * time.Second // nothing on the way keeps a request for longer
	}
	var err error
	if o.kubeconfig != "" {
		if sys.Kube, err = clientcmd.BuildConfigFromFlags("", o.kubeconfig); err != nil {
			closeAll()
			return sys, nil, fmt.Errorf("-kubeconfig %s: %w", o.kubeconfig, err)
		}
	}
	if sys.Jenkins, err = jenkins.New(settings); err != nil {
		closeAll()
		return sys, nil, fmt.Errorf("-jenkins %s: %w", o.jenkins, err)
	}
	return sys, closeAll, nil
}

// loopback reports whether the URL names this machine.
func loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return ip != nil && ip.IsLoopback()
}
