package jenkinstest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"net/url"
	"strconv"
	"sync"
	"time"
)

// Server is a simulated Jenkins. Make one with New, and Close it.
//
// It is safe for concurrent use. It keeps time with package time, so inside testing/synctest it must be made, used and
// closed within one bubble.
type Server struct {
	opts    Options
	version version
	url     *url.URL

	wg      sync.WaitGroup
	done    chan struct{} // closed by Close
	servers []*httptest.Server

	mu       sync.Mutex
	closed   bool
	root     *node
	queue    []*item // waiting, blocked and buildable, oldest first
	left     []*item
	lastID   int64
	saved    queueImage
	saveAt   time.Time // zero: queue.xml is up to date
	busy     map[string]int
	quieting bool
	safely   bool // a safe restart waits for idle executors
	timer    *time.Timer

	phase     phase
	phaseEnds time.Time
	plan      []phaseStep
	up        chan struct{} // closed while up
	boots     int
	session   string // X-Jenkins-Session

	sessions  map[string]bool
	nextID    int
	faults    []*Injected
	requests  []Request
	dropped   int
	artifacts map[string]*file // by token, for the second origin
}

// New starts a simulated Jenkins. It panics when the options contradict themselves, as a test's mistake.
func New(o Options) *Server {
	o = o.withDefaults()
	v, err := parseVersion(o.Version)
	if err != nil {
		panic(err.Error())
	}
	if o.RootURL != "" {
		mustURL("RootURL", o.RootURL)
	}
	mustURL("ArtifactURL", o.ArtifactURL)
	s := &Server{
		opts: o, version: v, url: mustURL("URL", o.URL),
		done: make(chan struct{}), root: &node{spec: Job{Kind: Folder}},
		busy: map[string]int{}, sessions: map[string]bool{}, artifacts: map[string]*file{},
		up: make(chan struct{}),
	}
	close(s.up)
	s.boot()
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	return s
}

// boot begins the life of a Jenkins process: a new session hash, and no sessions of browsers.
func (s *Server) boot() {
	s.boots++
	s.session = digest("session", s.opts.Version, strconv.Itoa(s.boots))[:8]
	s.sessions = map[string]bool{}
}

// Close ends all builds and servers and waits for them. Requests afterwards are refused. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	if !already {
		close(s.done)
		s.timer.Stop()
	}
	servers := s.servers
	s.servers = nil
	s.mu.Unlock()
	for _, h := range servers {
		h.CloseClientConnections()
		h.Close()
	}
	s.wg.Wait()
}

// tick is called by the timer.
func (s *Server) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.advance(time.Now())
}

// advance brings the state up to now, and sets the timer for the next change that time alone brings.
func (s *Server) advance(now time.Time) {
	if s.closed {
		return
	}
	s.advancePhase(now)
	if !s.saveAt.IsZero() && !s.saveAt.After(now) && s.phase == phaseUp {
		s.saveQueue()
	}
	s.maintain(now)
	s.arm()
}

func (s *Server) arm() {
	if s.closed {
		return
	}
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	earlier(s.phaseEnds)
	if s.phase == phaseUp {
		earlier(s.saveAt)
		for _, it := range s.queue {
			if it.state == itemWaiting {
				earlier(it.due)
			}
		}
		for _, it := range s.left {
			if it.unborn() {
				earlier(it.buildAt)
			}
		}
	}
	s.timer.Stop()
	if !next.IsZero() {
		s.timer.Reset(max(0, time.Until(next)))
	}
}

// lock enters the server with its state brought up to now.
func (s *Server) lock() time.Time {
	s.mu.Lock()
	now := time.Now()
	s.advance(now)
	return now
}

// pause waits for d, or until the server is closed: then it returns false.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.done:
		return false
	}
}

func (s *Server) fullNameOf(user string) string {
	for _, u := range s.opts.Users {
		if u.Name == user && u.FullName != "" {
			return u.FullName
		}
	}
	return user
}

// fresh returns a new unguessable-looking but reproducible name.
func (s *Server) fresh(what string) string {
	s.nextID++
	return digest(what, s.session, strconv.Itoa(s.nextID))
}

func digest(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(p))
		h.Write([]byte{';'})
	}
	return hex.EncodeToString(h.Sum(nil))
}

func itoa(n int) string { return strconv.Itoa(n) }
