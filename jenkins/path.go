package jenkins

import (
	"net/url"
	"strconv"
	"strings"
)

// Branch returns the full name of a branch's job in a multibranch project: Branch("team/shop", "feature/login") is
// "team/shop/feature%2Flogin", as Jenkins itself names it.
func Branch(project, branch string) string {
	return strings.TrimRight(project, "/") + "/" + url.PathEscape(branch)
}

// jobPath turns the full name of a job into the path of its URL. Every element is escaped, so that a branch's "%2F" becomes "%252F", which
// Jenkins and the proxies before it agree on.
func jobPath(fullName string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(fullName, "/") {
		b.WriteString("/job/" + url.PathEscape(part))
	}
	return b.String()
}

// validName reports whether a full name can be made a path.
func validName(fullName string) bool {
	if len(fullName) > 1024 {
		return false
	}
	for part := range strings.SplitSeq(fullName, "/") {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "\\\x00\r\n") {
			return false
		}
	}
	return true
}

func buildPath(fullName string, number int64) string {
	return jobPath(fullName) + "/" + strconv.FormatInt(number, 10)
}

// plainPath is the path of a handle's build as jobPart has it.
func plainPath(h Handle) string {
	p, err := url.PathUnescape(buildPath(h.Job, h.Build))
	if err != nil {
		return ""
	}
	return p
}

func queuePath(id int64) string { return "/queue/item/" + strconv.FormatInt(id, 10) }

// filePath is the path of an archived file, whose slashes stay.
func filePath(fullName string, number int64, file string) string {
	parts := strings.Split(file, "/")
	for i, p := range parts {
		parts[i] = url.PathEscape(p)
	}
	return buildPath(fullName, number) + "/artifact/" + strings.Join(parts, "/")
}

// isTask reports whether the URL of a queue item's task is that of the job. Only the end of its path counts: the
// beginning is made from the root URL configured in Jenkins, which need not be ours.
func isTask(taskURL, fullName string) bool {
	u, err := url.Parse(taskURL)
	if err != nil {
		return false
	}
	want, err := url.Parse(jobPath(fullName))
	if err != nil {
		return false
	}
	got := "/" + strings.Trim(u.Path, "/")
	prefix, ok := strings.CutSuffix(got, want.Path)
	return ok && !strings.Contains(prefix+"/", "/job/")
}

// queueID reads the number of a queue item out of a Location header. Scheme, host and prefix are ignored, for proxies
// change them.
func queueID(location string) (int64, bool) {
	u, err := url.Parse(location)
	if err != nil {
		return 0, false
	}
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	n := len(parts)
	if n < 3 || parts[n-3] != "queue" || parts[n-2] != "item" {
		return 0, false
	}
	id, err := strconv.ParseInt(parts[n-1], 10, 64)
	return id, err == nil && id > 0
}
