package jenkins

import (
	"slices"
	"time"
)

// A cursor is what a watch remembers of a job.
type cursor struct {
	// Floor is the number up to which builds have been looked at.
	Floor int64 `json:"floor"`
	// Time is when the newest of them started, in milliseconds of Jenkins' clock. A build with a known number that started
	// later belongs to a job that was made anew.
	Time int64 `json:"time"`
	// Open are those of them that are to be reported yet, by number.
	Open []openBuild `json:"open,omitempty"`
	// Gaps are the numbers that did not belong to a build when it was their turn: it was deleted, or not visible yet.
	Gaps []gap `json:"gaps,omitempty"`
}

type openBuild struct {
	Number int64 `json:"number"`
	Time   int64 `json:"time"`
	// Missing is since when Jenkins does not know it, in milliseconds of our clock.
	Missing int64 `json:"missing,omitempty"`
}

type gap struct {
	First int64 `json:"first"`
	Last  int64 `json:"last"`
	Since int64 `json:"since"` // in milliseconds of our clock
}

// gapPatience is how long a number may have no build before the build counts as deleted. A build that has its number and no
// record yet is visible after moments.
const gapPatience = 2 * time.Minute

// listed is what the list of a job's builds says of one of them.
type listed struct {
	Number     int64 `json:"number"`
	Timestamp  int64 `json:"timestamp"`
	Duration   int64 `json:"duration"`
	Building   bool  `json:"building"`
	InProgress bool  `json:"inProgress"`
}

func (b listed) ended() bool { return !b.Building && !b.InProgress }

// listing is the list of a job's builds, newest first, as far as it has been read.
type listing struct {
	next   int64 // the number that the next build gets
	builds []listed
	whole  bool // there are no older builds
}

func (l listing) find(number, started int64) (listed, bool) {
	i := slices.IndexFunc(l.builds, func(b listed) bool { return b.Number == number && (started == 0 || b.Timestamp == started) })
	if i < 0 {
		return listed{}, false
	}
	return l.builds[i], true
}

// wants is the number down to which the cursor needs a list of builds.
func (c *cursor) wants() int64 {
	low := c.Floor + 1
	if len(c.Gaps) > 0 {
		low = min(low, c.Gaps[0].First)
	}
	return low
}

// quiet reports whether the job needs no look: nothing is open, and the newest build is the one that is known.
func (c *cursor) quiet(next int64, last *listed) bool {
	return len(c.Open) == 0 && len(c.Gaps) == 0 && next-1 == c.Floor && (last == nil || last.Timestamp <= c.Time)
}

// first makes the cursor of a job that is seen for the first time. history reports whether a build is none of the watch's business.
func first(l listing, now int64, history func(listed) bool) *cursor {
	c := &cursor{Floor: l.next - 1}
	newest := int64(0)
	for _, b := range l.builds {
		c.Floor, newest = min(c.Floor, b.Number-1), max(newest, b.Number)
	}
	c.absorb(l, now, history)
	if len(c.Open) > 0 {
		newest = min(newest, c.Open[0].Number)
	}
	// What is missing among old builds was deleted long ago.
	c.Gaps = slices.DeleteFunc(c.Gaps, func(g gap) bool { return g.Last < newest })
	return c
}

// absorb takes a listing that reaches down to wants into the cursor. Builds that are new, and not history, are open afterwards.
func (c *cursor) absorb(l listing, now int64, history func(listed) bool) {
	known := c.Time
	renewed := c.renewed(l)
	if renewed {
		c.Floor, c.Gaps = 0, nil
	}
	top := max(c.Floor, l.next-1)
	var numbers []int64
	for _, b := range slices.Backward(l.builds) {
		top, c.Time = max(top, b.Number), max(c.Time, b.Timestamp)
		if b.Number > c.Floor {
			numbers = append(numbers, b.Number)
		}
		fresh := b.Number > c.Floor || c.fill(b.Number)
		if fresh && (!renewed || b.Timestamp > known) && !history(b) && !c.isOpen(b) {
			c.Open = append(c.Open, openBuild{Number: b.Number, Time: b.Timestamp})
		}
	}
	slices.Sort(numbers) // a listing may have them in any order
	c.note(numbers, top, now, renewed)
	c.Floor = top
	slices.SortFunc(c.Open, func(a, b openBuild) int { return int(a.Number - b.Number) })
}

// renewed reports whether the job was deleted and made anew, or restored from a backup, since the cursor was moved last.
func (c *cursor) renewed(l listing) bool {
	if l.next > 0 && l.next-1 < c.Floor {
		return true
	}
	return slices.ContainsFunc(l.builds, func(b listed) bool {
		return b.Number <= c.Floor && b.Timestamp > c.Time && !c.isOpen(b) && !c.inGap(b.Number)
	})
}

func (c *cursor) isOpen(b listed) bool {
	return slices.ContainsFunc(c.Open, func(o openBuild) bool { return o.Number == b.Number && o.Time == b.Timestamp })
}

func (c *cursor) inGap(n int64) bool {
	return slices.ContainsFunc(c.Gaps, func(g gap) bool { return g.First <= n && n <= g.Last })
}

// note opens gaps for the numbers above the floor that no build has. In a job made anew what is missing at its beginning is not missed.
func (c *cursor) note(numbers []int64, top, now int64, renewed bool) {
	at := c.Floor + 1
	if renewed && len(numbers) > 0 {
		at = numbers[0]
	}
	for _, n := range append(numbers, top+1) {
		if n > at {
			c.Gaps = append(c.Gaps, gap{First: at, Last: n - 1, Since: now})
		}
		at = max(at, n+1)
	}
}

// fill takes a number out of the gaps, and reports whether it was in one.
func (c *cursor) fill(n int64) bool {
	for i, g := range c.Gaps {
		if n < g.First || n > g.Last {
			continue
		}
		var parts []gap
		if g.First < n {
			parts = append(parts, gap{g.First, n - 1, g.Since})
		}
		if n < g.Last {
			parts = append(parts, gap{n + 1, g.Last, g.Since})
		}
		c.Gaps = slices.Replace(c.Gaps, i, i+1, parts...)
		return true
	}
	return false
}

// expire closes the gaps that have stayed open long enough, and returns them. They must have been looked for at now.
func (c *cursor) expire(now int64) []gap {
	var old []gap
	c.Gaps = slices.DeleteFunc(c.Gaps, func(g gap) bool {
		if now-g.Since < gapPatience.Milliseconds() {
			return false
		}
		old = append(old, g)
		return true
	})
	return old
}

// settle takes a build off the list of those to be reported.
func (c *cursor) settle(o openBuild) {
	c.Open = slices.DeleteFunc(c.Open, func(p openBuild) bool { return p.Number == o.Number && p.Time == o.Time })
}
