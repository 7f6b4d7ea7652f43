package pipeline_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/pipeline"
	"github.com/gennaker/gennaker/pipeline/storetest"
)

func TestMemory(t *testing.T) {
	storetest.Run(t, func(*testing.T) pipeline.Store { return pipeline.NewMemory() })
}

// Keys that come and go without a List in between must not pile up.
func TestMemoryForgetsDeletedKeys(t *testing.T) {
	m := pipeline.NewMemory()
	for i := range 5000 {
		key := fmt.Sprint("k/", i%7)
		_, err := m.Put(t.Context(), key, nil, "")
		require.NoError(t, err)
		require.NoError(t, m.Delete(t.Context(), key))
	}
	_, err := m.Put(t.Context(), "k/3", []byte("kept"), "")
	require.NoError(t, err)
	items, err := m.List(t.Context(), "k/", "", 0)
	require.NoError(t, err)
	require.Len(t, items, 1)
	require.Equal(t, "k/3", items[0].Key)
}

func TestMemoryInSynctest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := pipeline.NewMemory()
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * time.Hour)
				_, err := m.Put(t.Context(), fmt.Sprint(i), nil, "")
				require.NoError(t, err)
			})
		}
		time.Sleep(90 * time.Minute)
		items, err := m.List(t.Context(), "", "", 0)
		require.NoError(t, err)
		require.Len(t, items, 2)
		wg.Wait()
	})
}
