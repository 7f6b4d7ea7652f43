// Package artifactload measures the artifact stores on the genuine servers. There is
// nothing to import here.
//
// TestMemory sends content through each store, in a process of its own, and holds it
// to 64 MB of resident memory. It takes 96 MiB in a normal run; the full size is
//
//	go test -run Memory -v . -size 1024
//
// TestThroughput compares copies and stores with what the plain client libraries do in the
// same run, and wants at least 0.9 of it from copies. It needs a machine that has nothing else to do:
//
//	go test -run Throughput -v . -throughput -size 256
package artifactload
