package ociartifact

import (
	"io"
	"sync"
)

const (
	aheadBuffers = 4
	aheadSize    = 64 << 10
)

// ahead reads from a stream before it is asked, a few buffers at most: what is received, decrypted and verified on one
// processor is encrypted and sent by another.
type ahead struct {
	src   io.ReadCloser
	stop  func() // has a Read of src return
	full  chan piece
	free  chan []byte
	done  chan struct{}
	once  sync.Once
	ended sync.WaitGroup
	now   piece
	rest  []byte // of now
}

// piece is what one Read of the source has returned.
type piece struct {
	buf []byte
	n   int
	err error
}

// newAhead begins to read. stop is called by Close and has a Read of src that is under way return, such as the cancel function of
// its context: a source need not be safe for a Close beside a Read.
func newAhead(src io.ReadCloser, stop func()) *ahead {
	a := &ahead{src: src, stop: stop, full: make(chan piece, aheadBuffers), free: make(chan []byte, aheadBuffers), done: make(chan struct{})}
	for range aheadBuffers {
		a.free <- make([]byte, aheadSize)
	}
	a.ended.Go(a.fill)
	return a
}

// fill reads the source until it ends, or nobody wants any more.
func (a *ahead) fill() {
	for {
		var p piece
		select {
		case p.buf = <-a.free:
		case <-a.done:
			return
		}
		p.n, p.err = a.src.Read(p.buf)
		a.full <- p // There is room for every buffer.
		if p.err != nil {
			return
		}
	}
}

// Read implements [io.Reader]. It must not be called after Close.
func (a *ahead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.buf != nil {
			a.free <- a.now.buf // There is room for every buffer.
		}
		a.now = <-a.full
		a.rest = a.now.buf[:a.now.n]
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	if len(a.rest) == 0 {
		return n, a.now.err // With the last bytes, as the source has returned it.
	}
	return n, nil
}

// Close ends the reading and closes the source.
func (a *ahead) Close() error {
	var err error
	a.once.Do(func() {
		close(a.done)
		a.stop()
		a.ended.Wait()
		err = a.src.Close()
	})
	return err
}
