package cluster

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// Request is one request to the API server, as the audit log has it.
type Request struct {
	User        string
	Verb        string // get, list, watch, create, update, patch, delete, …
	Resource    string // "pods", "pods/status"; "" for a request that isn't for one
	Namespace   string
	Name        string
	Code        int    // HTTP status
	URI         string // path and query
	UserAgent   string
	ReceivedAt  string // RFC 3339 with microseconds
	CompletedAt string
}

// Mark is a position in the audit log.
type Mark int64

// Mark returns the end of the audit log as it is now.
func (c *Cluster) Mark() (Mark, error) {
	info, err := os.Stat(c.path("audit.log"))
	if err != nil {
		return 0, fmt.Errorf("audit log: %w", err)
	}
	return Mark(info.Size()), nil
}

// Requests returns the requests completed since the mark, of one user or of all
// ("") in the order of their completion. A watch completes when it ends, so one
// that is still open isn't among them.
func (c *Cluster) Requests(since Mark, user string) ([]Request, error) {
	file, err := os.Open(c.path("audit.log"))
	if err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	defer file.Close()
	if _, err := file.Seek(int64(since), io.SeekStart); err != nil {
		return nil, fmt.Errorf("audit log: %w", err)
	}
	var all []Request
	for reader := bufio.NewReader(file); ; {
		line, err := reader.ReadBytes('\n')
		if err == io.EOF {
			return all, nil // a line without an end is still being written
		}
		if err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		request, err := parseAudit(line)
		if err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		if user == "" || request.User == user {
			all = append(all, request)
		}
	}
}

func parseAudit(line []byte) (Request, error) {
	var event struct {
		Verb       string
		RequestURI string
		UserAgent  string
		User       struct{ Username string }
		ObjectRef  struct {
			Resource, Subresource, Namespace, Name string
		}
		ResponseStatus           struct{ Code int }
		RequestReceivedTimestamp string
		StageTimestamp           string
	}
	if err := json.Unmarshal(line, &event); err != nil {
		return Request{}, err
	}
	resource := event.ObjectRef.Resource
	if event.ObjectRef.Subresource != "" {
		resource += "/" + event.ObjectRef.Subresource
	}
	return Request{
		User: event.User.Username, Verb: event.Verb, Resource: resource,
		Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name,
		Code: event.ResponseStatus.Code, URI: event.RequestURI, UserAgent: event.UserAgent,
		ReceivedAt: event.RequestReceivedTimestamp, CompletedAt: event.StageTimestamp,
	}, nil
}

// Count groups requests by verb and resource ("patch deployments/scale"), for
// comparing and printing.
func Count(requests []Request) map[string]int {
	counts := make(map[string]int)
	for _, r := range requests {
		counts[r.Verb+" "+r.Resource]++
	}
	return counts
}
