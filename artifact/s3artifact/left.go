package s3artifact

import (
	"context"
	"sync"
	"time"
)

const (
	maxLeft = 100            // uploads that a driver remembers
	leftFor = 24 * time.Hour // as long as MinIO keeps them
)

// left remembers the uploads that lost their connection, so that the next Put of the same content can go on with one. What
// nobody will go on with is handed out to be aborted: the second of two for one object, those too many, and the old ones.
type left struct {
	mu      sync.Mutex
	uploads []leftUpload // the oldest first
	dropped []leftUpload
}

type leftUpload struct {
	name, id string
	at       time.Time
}

func (l *left) keep(name, id string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(func(u leftUpload) bool { return u.name == name })
	l.uploads = append(l.uploads, leftUpload{name, id, now})
	for len(l.uploads) > maxLeft {
		oldest := l.uploads[0]
		l.remove(func(u leftUpload) bool { return u == oldest })
	}
}

// remove moves uploads to those that are dropped, of which it remembers no more either.
func (l *left) remove(match func(leftUpload) bool) {
	kept := l.uploads[:0]
	for _, u := range l.uploads {
		if match(u) {
			l.dropped = append(l.dropped, u)
		} else {
			kept = append(kept, u)
		}
	}
	clear(l.uploads[len(kept):])
	l.uploads = kept
	if n := len(l.dropped); n > maxLeft {
		l.dropped = append([]leftUpload(nil), l.dropped[n-maxLeft:]...)
	}
}

// take returns the upload of an object to go on with, or "", and what is to be aborted. Neither is remembered any longer.
func (l *left) take(name string, now time.Time) (id string, dropped []leftUpload) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.remove(func(u leftUpload) bool { return now.Sub(u.at) > leftFor })
	for i, u := range l.uploads {
		if u.name == name {
			id = u.id
			l.uploads = append(l.uploads[:i], l.uploads[i+1:]...)
			break
		}
	}
	dropped, l.dropped = l.dropped, nil
	return id, dropped
}

// drop aborts uploads that nobody will go on with. One that cannot be aborted is left to the service's own rule.
func (d *Driver) drop(ctx context.Context, uploads []leftUpload) {
	for _, l := range uploads {
		u := upload{driver: d, name: l.name, id: l.id}
		if u.abort(ctx) != nil {
			return // The service is not well; there are other things to do than to try the next one.
		}
	}
}
