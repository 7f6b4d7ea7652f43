package jenkinstest

import (
	"fmt"
	"strconv"
	"strings"
)

// pruner decides which properties of an exported object are written, as Stapler's TreePruner does.
type pruner interface {
	// accept returns the pruner of the property's value, or false when the property is left out. An inline property does
	// not count as a level of depth.
	accept(name string, visibility int, inline bool) (pruner, bool)
	// bounds is the half-open range of elements written of a list of n.
	bounds(n int) (from, to int)
}

// byDepth writes what is visible enough: a level further down needs one more.
type byDepth int

func (d byDepth) accept(_ string, visibility int, inline bool) (pruner, bool) {
	if visibility < int(d) {
		return nil, false
	}
	if inline {
		return d, true
	}
	return d + 1, true
}

func (d byDepth) bounds(n int) (int, int) { return 0, n }

// pathTree is a parsed tree= parameter.
type pathTree struct {
	children map[string]*pathTree
	ranged   bool
	from, to int // to < 0: no upper bound
}

func (t *pathTree) accept(name string, _ int, _ bool) (pruner, bool) {
	if c, ok := t.children[name]; ok {
		return c, true
	}
	c, ok := t.children["*"]
	return c, ok
}

func (t *pathTree) bounds(n int) (int, int) {
	if !t.ranged {
		return 0, n
	}
	to := n
	if t.to >= 0 {
		to = min(t.to, n)
	}
	return min(t.from, to), to
}

// parseTree reads the grammar of tree=: a,b[c,d[e]],builds[number]{0,50}, with {M,N}, {M,}, {,N} and {N}.
func parseTree(s string) (*pathTree, error) {
	p := treeParser{in: s}
	t := &pathTree{children: map[string]*pathTree{}}
	if err := p.list(t, 0); err != nil {
		return nil, err
	}
	if p.pos != len(p.in) {
		return nil, p.fail()
	}
	return t, nil
}

// maxTreeNesting bounds recursion; Jenkins itself has no object graph anyone asks for that deep.
const maxTreeNesting = 64

type treeParser struct {
	in  string
	pos int
}

func (p *treeParser) fail() error {
	return fmt.Errorf("malformed tree expression: %s (at %d)", p.in, p.pos)
}

func (p *treeParser) eat(c byte) bool {
	if p.pos < len(p.in) && p.in[p.pos] == c {
		p.pos++
		return true
	}
	return false
}

func (p *treeParser) list(t *pathTree, nesting int) error {
	if nesting > maxTreeNesting {
		return p.fail()
	}
	for {
		if err := p.node(t, nesting); err != nil {
			return err
		}
		if !p.eat(',') {
			return nil
		}
	}
}

func (p *treeParser) node(parent *pathTree, nesting int) error {
	start := p.pos
	for p.pos < len(p.in) && !strings.ContainsRune("[]{},", rune(p.in[p.pos])) {
		p.pos++
	}
	name := strings.TrimSpace(p.in[start:p.pos])
	if name == "" {
		return p.fail()
	}
	t := parent.children[name]
	if t == nil {
		t = &pathTree{children: map[string]*pathTree{}}
		parent.children[name] = t
	}
	if p.eat('[') {
		if err := p.list(t, nesting+1); err != nil {
			return err
		}
		if !p.eat(']') {
			return p.fail()
		}
	}
	if p.eat('{') {
		return p.ranges(t)
	}
	return nil
}

func (p *treeParser) ranges(t *pathTree) error {
	end := strings.IndexByte(p.in[p.pos:], '}')
	if end < 0 {
		return p.fail()
	}
	text := p.in[p.pos : p.pos+end]
	lo, hi, two := strings.Cut(text, ",")
	from, err1 := bound(lo, 0)
	to, err2 := bound(hi, -1)
	if err1 != nil || err2 != nil || !two && lo == "" {
		return p.fail()
	}
	if !two {
		to = from + 1
	}
	t.ranged, t.from, t.to = true, from, to
	p.pos += end + 1
	return nil
}

func bound(s string, open int) (int, error) {
	if s = strings.TrimSpace(s); s == "" {
		return open, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("bad range %q", s)
	}
	return n, nil
}
