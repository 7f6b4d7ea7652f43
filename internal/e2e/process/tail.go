package process

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// tailBytes bounds what is read from the end of a log file.
const tailBytes = 32 << 10

// Tail returns the last lines of the log, at most n of them and 32 KiB, under a
// heading that names the file.
func (p *Process) Tail(n int) string { return TailFile(p.log, n) }

// TailFile returns the last lines of a file as [Process.Tail] does.
func TailFile(path string, n int) string {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > tailBytes {
		_, _ = file.Seek(-tailBytes, io.SeekEnd)
	}
	data, err := io.ReadAll(io.LimitReader(file, tailBytes))
	if err != nil {
		return fmt.Sprintf("(log %s: %v)", path, err)
	}
	lines := bytes.Split(bytes.TrimRight(data, "\n"), []byte("\n"))
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return fmt.Sprintf("--- last lines of %s\n%s", path, bytes.Join(lines, []byte("\n")))
}
