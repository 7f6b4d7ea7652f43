package s3artifact_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// fakeS3 is as much of S3 as the driver uses: one bucket, single and multipart uploads, reads, lists. It checks the
// SHA-256 of every body and refuses to complete an upload with parts it does not have.
type fakeS3 struct {
	bucket string

	mu      sync.Mutex
	objects map[string]fakeObject
	uploads map[string]map[int][]byte
	count   int
	writes  int // of objects
	sent    int // parts that arrived
	// unconditional makes it a service that does not know If-None-Match.
	unconditional bool
	// before, if not nil, may answer a request itself.
	before func(w http.ResponseWriter, r *http.Request) bool
}

type fakeObject struct {
	data     []byte
	modTime  time.Time
	checksum string // SHA-256 as S3 keeps it
}

func newFakeS3(bucket string) *fakeS3 {
	return &fakeS3{bucket: bucket, objects: make(map[string]fakeObject), uploads: make(map[string]map[int][]byte)}
}

// locked looks at the service, or changes it, while requests whose client has gone may still be under way.
func (f *fakeS3) locked(do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	do()
}

func (f *fakeS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // The client has gone.
	}
	sum := sha256.Sum256(body)
	want := r.Header.Get("X-Amz-Content-Sha256")
	checksum := r.Header.Get("x-amz-checksum-sha256")
	if checksum != "" && checksum != base64.StdEncoding.EncodeToString(sum[:]) {
		fail(w, http.StatusBadRequest, "XAmzContentChecksumMismatch")
		return
	}
	// minio-go starts multipart uploads so, and sends what has a checksum of its own, which the signature covers.
	unsigned := want == "UNSIGNED-PAYLOAD" && (len(body) == 0 || checksum != "" || r.URL.Query().Has("lifecycle"))
	if !unsigned && want != hex.EncodeToString(sum[:]) {
		fail(w, http.StatusBadRequest, "XAmzContentSHA256Mismatch")
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r.Body = io.NopCloser(bytes.NewReader(body))
	if f.before != nil && f.before(w, r) {
		return
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case bucket != f.bucket:
		fail(w, http.StatusNotFound, "NoSuchBucket")
	case key == "" && r.Method == http.MethodGet:
		f.list(w, r)
	case key == "":
		w.WriteHeader(http.StatusOK)
	case r.URL.Query().Has("uploads"), r.URL.Query().Has("uploadId"):
		f.multipart(w, r, key, body)
	default:
		f.object(w, r, key, body)
	}
}

func (f *fakeS3) object(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	switch r.Method {
	case http.MethodPut:
		if f.refused(w, r, key) {
			return
		}
		f.objects[key] = fakeObject{body, time.Now(), r.Header.Get("x-amz-checksum-sha256")}
		f.writes++
		w.Header().Set("ETag", etag(body))
	case http.MethodDelete:
		delete(f.objects, key)
		w.WriteHeader(http.StatusNoContent)
	default:
		o, ok := f.objects[key]
		if !ok {
			fail(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", etag(o.data))
		if r.Header.Get("x-amz-checksum-mode") == "ENABLED" && o.checksum != "" {
			w.Header().Set("x-amz-checksum-sha256", o.checksum)
		}
		w.Header().Set("Last-Modified", o.modTime.UTC().Format(http.TimeFormat))
		w.Header().Set("Content-Length", strconv.Itoa(len(o.data)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(o.data) // A client that has gone is no concern of the server.
		}
	}
}

// refused answers a request that is to create an object which is there.
func (f *fakeS3) refused(w http.ResponseWriter, r *http.Request, key string) bool {
	_, there := f.objects[key]
	if there && r.Header.Get("If-None-Match") == "*" && !f.unconditional {
		fail(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return true
	}
	return false
}

func (f *fakeS3) multipart(w http.ResponseWriter, r *http.Request, key string, body []byte) {
	id := r.URL.Query().Get("uploadId")
	parts, ok := f.uploads[id]
	switch {
	case r.URL.Query().Has("uploads"):
		f.count++
		id = fmt.Sprintf("upload-%d", f.count)
		f.uploads[id] = make(map[int][]byte)
		answer(w, "InitiateMultipartUploadResult", "<Bucket>"+f.bucket+"</Bucket><Key>"+key+"</Key><UploadId>"+id+"</UploadId>")
	case !ok:
		fail(w, http.StatusNotFound, "NoSuchUpload")
	case r.Method == http.MethodGet:
		f.listParts(w, parts)
	case r.Method == http.MethodPut:
		number, _ := strconv.Atoi(r.URL.Query().Get("partNumber"))
		parts[number] = body
		f.sent++
		w.Header().Set("ETag", etag(body))
	case r.Method == http.MethodDelete:
		delete(f.uploads, id)
		w.WriteHeader(http.StatusNoContent)
	default:
		if !f.refused(w, r, key) {
			f.complete(w, id, key, body)
		}
	}
}

func (f *fakeS3) listParts(w http.ResponseWriter, parts map[int][]byte) {
	var out strings.Builder
	for _, number := range slices.Sorted(maps.Keys(parts)) {
		sum := sha256.Sum256(parts[number])
		fmt.Fprintf(&out, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag><Size>%d</Size><ChecksumSHA256>%s</ChecksumSHA256></Part>",
			number, strings.Trim(etag(parts[number]), `"`), len(parts[number]), base64.StdEncoding.EncodeToString(sum[:]))
	}
	answer(w, "ListPartsResult", out.String())
}

func (f *fakeS3) complete(w http.ResponseWriter, id, key string, body []byte) {
	var list struct {
		Parts []struct {
			PartNumber int
			ETag       string
		} `xml:"Part"`
	}
	if err := xml.Unmarshal(body, &list); err != nil || len(list.Parts) == 0 {
		fail(w, http.StatusBadRequest, "MalformedXML")
		return
	}
	var whole, sums []byte
	for i, p := range list.Parts {
		part, ok := f.uploads[id][p.PartNumber]
		if !ok || p.PartNumber != i+1 || strings.Trim(p.ETag, `"`) != strings.Trim(etag(part), `"`) {
			fail(w, http.StatusBadRequest, "InvalidPart")
			return
		}
		if i < len(list.Parts)-1 && len(part) < 5<<20 {
			fail(w, http.StatusBadRequest, "EntityTooSmall")
			return
		}
		whole = append(whole, part...)
		sum := sha256.Sum256(part)
		sums = append(sums, sum[:]...)
	}
	delete(f.uploads, id)
	sum := sha256.Sum256(sums)
	f.objects[key] = fakeObject{whole, time.Now(), fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(sum[:]), len(list.Parts))}
	f.writes++
	answer(w, "CompleteMultipartUploadResult", "<Bucket>"+f.bucket+"</Bucket><Key>"+key+"</Key><ETag>"+id+"</ETag>")
}

// list answers a delimited list, version 2, with folders and objects counted together as S3 does.
func (f *fakeS3) list(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	prefix, after := q.Get("prefix"), max(q.Get("start-after"), q.Get("continuation-token"))
	limit, err := strconv.Atoi(q.Get("max-keys"))
	if err != nil || limit > 1000 {
		limit = 1000
	}
	var out strings.Builder
	count, last, folder := 0, "", ""
	truncated := false
	for _, key := range slices.Sorted(maps.Keys(f.objects)) {
		if !strings.HasPrefix(key, prefix) || key <= after || folder != "" && strings.HasPrefix(key, folder) {
			continue
		}
		if count == limit {
			truncated = true
			break
		}
		count++
		if inner, _, ok := strings.Cut(key[len(prefix):], "/"); ok {
			folder = prefix + inner + "/"
			last = folder + "\xff"
			out.WriteString("<CommonPrefixes><Prefix>" + folder + "</Prefix></CommonPrefixes>")
			continue
		}
		last = key
		fmt.Fprintf(&out, "<Contents><Key>%s</Key><Size>%d</Size><LastModified>%s</LastModified></Contents>",
			key, len(f.objects[key].data), f.objects[key].modTime.UTC().Format(time.RFC3339Nano))
	}
	fmt.Fprintf(&out, "<IsTruncated>%t</IsTruncated>", truncated)
	if truncated {
		out.WriteString("<NextContinuationToken>" + last + "</NextContinuationToken>")
	}
	answer(w, "ListBucketResult", out.String())
}

func answer(w http.ResponseWriter, root, inner string) {
	w.Header().Set("Content-Type", "application/xml")
	_, _ = io.WriteString(w, xml.Header+"<"+root+">"+inner+"</"+root+">") // A client that has gone is no concern of the server.
}

func fail(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, xml.Header+"<Error><Code>"+code+"</Code><Message>"+code+"</Message></Error>")
}

func etag(data []byte) string { return fmt.Sprintf("%q", fmt.Sprintf("%x", md5.Sum(data))) }
