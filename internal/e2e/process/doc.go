// Package process starts server programs for tests and stops them again.
//
// A [Process] writes its standard output and error to one log file, so that an
// error can end with what the program said last. It dies with the program that
// started it, even when that one is killed: the kernel sends it SIGKILL then.
//
// Guarantees:
//
//  1. Start returns a process that runs, or an error that names the program.
//  2. Ready fails as soon as the process exits, not when its deadline is reached,
//     and its error carries the end of the log.
//  3. After Stop the process is gone: StopSignal first, SIGKILL after the grace time.
package process
