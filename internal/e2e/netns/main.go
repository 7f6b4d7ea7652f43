package netns

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
)

// Environment variables that connect the parent and its child.
const (
	insideEnv = "GENNAKER_E2E_INSIDE" // set in the child: enter, and inside once it has
	lacksEnv  = "GENNAKER_E2E_LACKS"  // why there are no namespaces
	pidEnv    = "GENNAKER_E2E_PID"    // set in the child: its process id outside
	strictEnv = "GENNAKER_E2E_STRICT" // set by the user: nothing may be skipped
)

// Options configures [Main]. The zero value is of use.
type Options struct {
	// Prepare runs outside, before the namespaces are made: the place for what needs
	// the real network, such as building programs. The variables that it returns
	// ("KEY=value") are added to the environment of the body. Nil means nothing.
	Prepare func(context.Context) ([]string, error)
	// Host runs the body outside, without namespaces, for example because the
	// user gave a cluster to test on. Prepare is called nevertheless.
	Host bool
}

// The values of insideEnv.
const (
	toEnter = "enter"
	entered = "inside"
)

// Main runs body in new namespaces and returns its exit code; call it from
// TestMain with (*testing.M).Run. A program that is started inside, as from the
// shell of a test cluster, is refused unless it has Options.Host. When the machine doesn't allow the namespaces
// the body runs without, and [Lacks] tells it why; with GENNAKER_E2E_STRICT=1 Main
// returns 1 instead.
func Main(body func() int, o Options) int {
	switch where := os.Getenv(insideEnv); {
	case where == toEnter:
		os.Setenv(insideEnv, entered)
		if err := enter(); err != nil {
			fmt.Fprintln(os.Stderr, "netns: inside the namespaces:", err)
			return 1
		}
		return body()
	case where != "" && !o.Host:
		fmt.Fprintln(os.Stderr, "netns: this is the inside of a test cluster already; leave its shell first")
		return 1
	}
	if !o.Host {
		if reason := missing(); reason != "" {
			return without(reason, body)
		}
	}
	if o.Prepare != nil {
		env, err := o.Prepare(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, "netns: prepare:", err)
			return 1
		}
		for _, pair := range env {
			key, value, _ := strings.Cut(pair, "=")
			os.Setenv(key, value)
		}
	}
	if o.Host {
		return body()
	}
	return again()
}

// Inside says whether this process runs in namespaces that [Main] made.
func Inside() bool { return os.Getenv(insideEnv) != "" }

// Enter returns the start of a shell command that runs a program in the namespaces
// of this process from outside: append the program. It is "" outside.
func Enter() string {
	if !Inside() {
		return ""
	}
	return "nsenter --target " + PID() + " --user --preserve-credentials --mount --net --pid --ipc"
}

// PID is the id of this process outside, when it runs in namespaces of [Main].
func PID() string { return os.Getenv(pidEnv) }

// Lacks returns why the body runs without namespaces, or "" when it has them or
// never asked for any.
func Lacks() string { return os.Getenv(lacksEnv) }

// Strict says whether the user forbids skipping.
func Strict() bool { return os.Getenv(strictEnv) == "1" }

// without runs the body outside and lets it know the reason.
func without(reason string, body func() int) int {
	fmt.Fprintln(os.Stderr, "netns:", reason)
	if Strict() {
		fmt.Fprintln(os.Stderr, "netns: "+strictEnv+"=1 allows no skip")
		return 1
	}
	os.Setenv(lacksEnv, reason)
	return body()
}

// again runs this program once more, in namespaces, and returns its exit code.
func again() int {
	// The child gets SIGKILL when the thread that made it ends: it must be ours.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := child(os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideEnv+"="+toEnter)
	err := cmd.Run()
	if err == nil {
		return 0
	}
	if code := cmd.ProcessState.ExitCode(); code > 0 {
		return code
	}
	fmt.Fprintln(os.Stderr, "netns: the program in the namespaces ended:", err)
	return 1
}

// child prepares a run of this program as root of new namespaces.
func child(args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID |
			syscall.CLONE_NEWNS | syscall.CLONE_NEWIPC,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	return cmd
}
