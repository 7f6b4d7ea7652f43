package netns

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// The network inside.
const (
	NodeCIDR    = "192.168.77.0/24" // nodes, the API server and the gateways
	NodeIP      = "192.168.77.1"    // the first node and the API server
	PodCIDR     = "10.244.0.0/16"
	ServiceCIDR = "10.96.0.0/16"
	ClientIP    = "10.244.255.1" // from where the Services are called: that of a pod
)

// Every address of a range is local ("route local"), so that a program listens on
// any of them without adding it to an interface. For the Services it must be a
// local route too: with a unicast one, kube-proxy's refusals get lost and a
// Service without endpoints times out instead of refusing. They are called from a
// pod's address, as most Services are: kube-proxy masquerades calls from a node.
const network = `link set lo up
addr add ` + NodeIP + `/32 dev lo
route add local ` + NodeCIDR + ` dev lo
route add local ` + PodCIDR + ` dev lo
route add local ` + ServiceCIDR + ` dev lo src ` + ClientIP + `
`

// tmp is where the private file system for temporary files is mounted: a folder
// that every Linux has, so that none has to be created outside.
const tmp = "/dev/shm"

// enter prepares the namespaces that this process was started in.
func enter() error {
	// The old /proc still knows this process by its number outside.
	if pid, err := os.Readlink("/proc/self"); err == nil {
		os.Setenv(pidEnv, pid)
	}
	if err := mounts(); err != nil {
		return err
	}
	// kube-proxy finds nft by its PATH.
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin")
	ip := exec.Command("ip", "-batch", "-")
	ip.Stdin = strings.NewReader(network)
	if out, err := ip.CombinedOutput(); err != nil {
		return fmt.Errorf("network: ip -batch: %w%s", err, quoted(out))
	}
	forget()
	if os.Getenv(probeEnv) != "" {
		os.Exit(0)
	}
	return nil
}

// forget lets the kernel forget connections that have ended after 5 s. By default it
// remembers them for up to two minutes, in which a test has used all ports of its
// only address: now and then it takes a new connection for an old one (a SYN in
// LAST_ACK is ignored), and sends it to the pod of then, which may be gone.
func forget() {
	for _, state := range []string{"fin_wait", "close_wait", "last_ack", "time_wait", "close"} {
		// A kernel that lacks the setting remembers, and that is rare enough.
		_ = os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_"+state, []byte("5"), 0)
	}
}

func mounts() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts private: %w", err)
	}
	if err := syscall.Mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := syscall.Mount("tmpfs", tmp, "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("mount %s: %w", tmp, err)
	}
	return os.Setenv("TMPDIR", tmp)
}
