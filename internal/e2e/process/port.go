package process

import (
	"fmt"
	"net"
)

// FreePort returns a TCP port of 127.0.0.1 that nobody uses now. Outside of a
// network of one's own somebody else may take it before the caller does.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
