// Package netns runs a test binary, or any program, in namespaces of its own.
//
// [Main] starts the program again as a child in a new user, network, process,
// mount and IPC namespace, prepares these, and runs the given body there. Inside,
// the program is root over a network that consists of one loopback interface on
// which a node's address, the range of the pods and the range of the Services are
// local. Fixed ports can be used, because nothing else shares the network.
//
// Guarantees:
//
//  1. No privilege is needed, only the permission to create user namespaces.
//  2. The child is the init process of its process namespace. When it ends, or
//     the parent is killed, the kernel ends every process started inside and
//     removes mounts, addresses, routes, firewall rules and shared memory.
//  3. os.TempDir inside is a file system in memory of that mount namespace, so
//     that temporary files vanish in the same way.
//  4. Where the namespaces can't be made, [Lacks] says why, inside the body too.
//
// Environment: GENNAKER_E2E_STRICT=1 turns every lack into a failure.
package netns
