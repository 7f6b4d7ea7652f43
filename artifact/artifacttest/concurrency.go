package artifacttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/gennaker/gennaker/artifact/driver"
)

const workers = 8

// atOnce runs f on several goroutines and waits for them.
func atOnce(f func(worker int)) {
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() { f(worker) })
	}
	group.Wait()
}

// testSameKeyAtOnce has readers, writers and one deleter on one key. Whatever they see is nothing or all.
func testSameKeyAtOnce(t *testing.T, d driver.Driver) {
	content := pattern(100_000)
	key := keyOf(content)
	atOnce(func(worker int) {
		for range 5 {
			if err := d.Put(t.Context(), key, bytes.NewReader(content), int64(len(content))); err != nil {
				t.Errorf("Put beside others: %v", err)
			}
			got, info, err := get(t.Context(), d, key)
			if err == nil && (info.Size != int64(len(content)) || !bytes.Equal(got, content)) {
				t.Errorf("Get beside others: %d bytes, announced as %d; want all %d", len(got), info.Size, len(content))
			}
			if err != nil && !errors.Is(err, driver.ErrNotFound) {
				t.Errorf("Get beside others: %v", err)
			}
			if worker == 0 {
				if err := d.Delete(t.Context(), key); err != nil {
					t.Errorf("Delete beside others: %v", err)
				}
			}
		}
	})
	mustPut(t, d, key, content)
	wantContent(t, d, key, content)
	if got := listAll(t, d, testFolder, 10); len(got) != 1 {
		t.Errorf("List shows %d objects; want one", len(got))
	}
}

func testManyKeysAtOnce(t *testing.T, d driver.Driver) {
	const each = 6
	content := func(worker, i int) []byte { return fmt.Appendf(pattern(10_000), "%d of %d", i, worker) }
	atOnce(func(worker int) {
		for i := range each {
			c := content(worker, i)
			if err := d.Put(t.Context(), keyOf(c), bytes.NewReader(c), int64(len(c))); err != nil {
				t.Errorf("Put beside others: %v", err)
			}
			if _, err := d.List(t.Context(), testFolder, "", 100); err != nil {
				t.Errorf("List beside others: %v", err)
			}
		}
	})
	if got := listAll(t, d, testFolder, 10); len(got) != workers*each {
		t.Errorf("List shows %d objects; want %d", len(got), workers*each)
	}
	for worker := range workers {
		for i := range each {
			c := content(worker, i)
			wantContent(t, d, keyOf(c), c)
		}
	}
}

// testOpenStream takes an object away while it is being read: the reader gets the rest of it or an error.
func testOpenStream(t *testing.T, d driver.Driver) {
	content := pattern(3 << 20)
	key := keyOf(content)
	for name, disturb := range map[string]func() error{
		"Delete": func() error { return d.Delete(t.Context(), key) },
		"Put":    func() error { return d.Put(t.Context(), key, bytes.NewReader(content), int64(len(content))) },
	} {
		mustPut(t, d, key, content)
		stream, _, err := d.Get(t.Context(), key)
		if err != nil {
			t.Fatalf("Get: %v", err)
		}
		start := make([]byte, 1000)
		if _, err := io.ReadFull(stream, start); err != nil {
			t.Fatalf("Read: %v", err)
		}
		if err := disturb(); err != nil {
			t.Errorf("%s of an object that is being read: %v", name, err)
		}
		rest, err := io.ReadAll(stream)
		if err == nil && !bytes.Equal(append(start, rest...), content) {
			t.Errorf("%s while reading: the stream ended well with %d of %d bytes", name, len(start)+len(rest), len(content))
		}
		if err := stream.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
}
