package strategy

import "time"

// model is the ideal platform of Simulate: pods become ready after a fixed time
// and go away at once, and routes move after a fixed time.
type model struct {
	start, now    time.Time
	live, release string
	startup, prop time.Duration
	pods          []modelPod
	desired       map[string]int
	route, force  []Share
	moveAt        time.Time
	preview       []Share
	native        *Native
	withPreview   bool
}

type modelPod struct {
	version string
	readyAt time.Time
}

func newModel(s Strategy, r Release, scene Scene) *model {
	start := time.Unix(0, 0).UTC()
	m := &model{start: start, now: start, live: scene.Live, release: r.Version, desired: map[string]int{}}
	m.startup = orSpan(scene.Start, 10*time.Second)
	m.prop = orSpan(scene.Propagation, time.Second)
	var need Capabilities
	if n, ok := s.(Needy); ok {
		need = n.Needs()
	}
	m.withPreview = need.Preview
	n := scene.Pods
	if n == 0 {
		n = max(1, r.Replicas)
	}
	if need.Native {
		m.native = &Native{Synced: true, InPlace: scene.InPlace, Exact: scene.InPlace}
		m.route = To(AnyVersion)
	}
	if scene.Live != "" {
		m.desired[scene.Live] = n
		m.create(scene.Live, n, start)
		m.route = To(scene.Live)
		if need.Native {
			m.native.Version, m.native.Desired = scene.Live, n
			m.route = To(AnyVersion)
		}
	}
	m.force = m.route
	return m
}

func (m *model) create(version string, n int, ready time.Time) {
	for range n {
		m.pods = append(m.pods, modelPod{version, ready})
	}
}

func (m *model) count(version string) (created, ready int) {
	for _, p := range m.pods {
		if p.version == version {
			created++
			if !m.now.Before(p.readyAt) {
				ready++
			}
		}
	}
	return created, ready
}

func (m *model) total() int { return len(m.pods) }

// serving is the number of ready pods behind the front.
func (m *model) serving() int {
	n := 0
	for _, v := range m.versions() {
		if (Traffic{Written: m.force}).Routes(v) {
			_, ready := m.count(v)
			n += ready
		}
	}
	return n
}

func (m *model) versions() []string {
	if m.live == "" || m.live == m.release {
		return []string{m.release}
	}
	if c := CopyOf(m.live); m.desired[c] > 0 {
		return []string{m.live, c, m.release}
	}
	return []string{m.live, m.release}
}

func (m *model) observe() Observation {
	o := Observation{At: m.now, Traffic: Traffic{Written: m.route, Accepted: true}, Native: m.native}
	if m.withPreview {
		o.Preview = &Traffic{Written: m.preview, Accepted: true, Endpoints: m.endpoints(m.preview)}
	}
	o.Traffic.Endpoints = m.endpoints(m.force)
	for _, id := range m.versions() {
		created, ready := m.count(id)
		v := Version{ID: id, Desired: m.desired[id], Created: created, Ready: ready, Available: ready, Synced: true}
		o.Versions = append(o.Versions, v)
	}
	if m.native != nil {
		n := *m.native
		o.Native = &n
	}
	return o
}

func (m *model) endpoints(route []Share) []Endpoints {
	var out []Endpoints
	for _, v := range m.versions() {
		if created, ready := m.count(v); created > 0 && (Traffic{Written: route}).Routes(v) {
			out = append(out, Endpoints{Version: v, Ready: ready, NotReady: created - ready})
		}
	}
	return out
}

func (m *model) apply(a Action) {
	switch a.Op {
	case OpCreate, OpScale, OpCopy:
		m.scale(a.subject(), a.Replicas)
	case OpRoute:
		if a.Front == FrontPreview {
			m.preview = a.Route
			return
		}
		m.route, m.moveAt = a.Route, m.now.Add(m.prop)
	case OpUpdate:
		m.native.Version, m.native.Update, m.native.Paused = a.Version, *a.Update, a.Update.Paused
		if a.Replicas > 0 {
			m.native.Desired = a.Replicas
		}
		m.native.Desired = max(1, m.native.Desired)
		m.desired[m.live], m.desired[m.release] = 0, 0
		m.desired[a.Version] = m.native.Desired
		m.roll()
	}
}

func (m *model) scale(version string, n int) {
	m.desired[version] = n
	have, _ := m.count(version)
	m.create(version, max(0, n-have), m.now.Add(m.startup))
	m.remove(version, max(0, have-n))
}

func (m *model) remove(version string, n int) {
	kept := m.pods[:0]
	for _, p := range m.pods {
		if p.version == version && n > 0 {
			n--
			continue
		}
		kept = append(kept, p)
	}
	m.pods = kept
}

// roll replaces pods within surge and unavailable.
func (m *model) roll() {
	n := m.native
	if n == nil || n.Version == "" || n.Paused && !n.Exact {
		return
	}
	surge, missing := n.Update.MaxSurge.Ceil(n.Desired), n.missing(n.Update.MaxUnavailable, n.Desired)
	kept := 0 // old pods that the pause leaves alone
	if n.Paused {
		kept = max(0, n.Desired-n.Update.Upto)
	}
	for {
		mine, _ := m.count(n.Version)
		ready := 0
		for _, v := range m.versions() {
			_, r := m.count(v)
			ready += r
		}
		up := max(0, min(n.Desired-mine-kept, n.Desired+surge-m.total()))
		m.create(n.Version, up, m.now.Add(m.startup))
		down := 0
		if m.live != n.Version {
			old, _ := m.count(m.live)
			down = max(0, min(old-kept, ready-(n.Desired-missing)))
			m.remove(m.live, down)
		}
		if up == 0 && down == 0 {
			return
		}
	}
}

// wait lets time go by until something happens, at the latest until until if
// it is not zero; false if nothing ever will.
func (m *model) wait(until time.Time) bool {
	next := until
	consider := func(t time.Time) {
		if t.After(m.now) && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, p := range m.pods {
		consider(p.readyAt)
	}
	consider(m.moveAt)
	if !next.After(m.now) {
		return false
	}
	m.now = next
	if !m.moveAt.IsZero() && !m.now.Before(m.moveAt) {
		m.force, m.moveAt = m.route, time.Time{}
	}
	m.roll()
	return true
}
