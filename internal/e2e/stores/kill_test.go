package stores

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gennaker/gennaker/internal/e2e/miniotest"
	"github.com/gennaker/gennaker/internal/e2e/pgtest"
	"github.com/gennaker/gennaker/internal/e2e/redistest"
	"github.com/gennaker/gennaker/pipeline"
)

var (
	kills    = flag.Int("kills", 10, "how many workers TestKilled kills on each store")
	killSeed = flag.Uint64("kill-seed", uint64(time.Now().UnixNano()), "of the moments of TestKilled")
)

// perKill is how many executions begin for each kill.
const perKill = 4

// world is what the workers act upon; it outlives them. It does not know
// idempotency: what is started twice happens twice. It turns those away that it
// has seen the successor of.
type world struct {
	mu      sync.Mutex
	starts  map[string]int
	since   map[string]time.Time
	fences  map[string]int // the highest for each key
	refused int            // requests with a lower one
	wanted  []string
	ended   map[string]bool
}

func newWorld(t *testing.T) (*world, string) {
	w := &world{starts: map[string]int{}, since: map[string]time.Time{}, fences: map[string]int{}, ended: map[string]bool{}}
	server := httptest.NewServer(w)
	t.Cleanup(server.Close)
	return w, server.URL
}

func (w *world) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if fence, err := strconv.Atoi(r.FormValue("fence")); err == nil {
		key := r.FormValue("key")
		if fence < w.fences[key] {
			w.refused++
			rw.WriteHeader(http.StatusConflict)
			return
		}
		w.fences[key] = fence
	}
	_ = json.NewEncoder(rw).Encode(w.answer(filepath.Base(r.URL.Path), r.FormValue))
}

func (w *world) answer(what string, value func(string) string) any {
	key := value("key")
	switch what {
	case "start":
		w.starts[key]++
		w.since[key] = time.Now()
	case "find":
		return w.starts[key] > 0
	case "poll":
		return max(0, 60*time.Millisecond-time.Since(w.since[key]))
	case "wanted":
		n, _ := strconv.Atoi(value("after"))
		return append([]string{}, w.wanted[min(n, len(w.wanted)):]...)
	case "ended":
		w.ended[value("id")] = true
	}
	return true
}

// want adds executions.
func (w *world) want(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range n {
		w.wanted = append(w.wanted, fmt.Sprintf("r%04d", len(w.wanted)))
	}
}

func (w *world) missing() (ids []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range w.wanted {
		if !w.ended[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// worker is a process that is killed and started again.
type worker struct {
	place killPlace
	cmd   *exec.Cmd
	out   bytes.Buffer
}

func (w *worker) start(t *testing.T) {
	t.Helper()
	spec, err := json.Marshal(w.place)
	require.NoError(t, err)
	w.out.Reset()
	w.cmd = exec.Command(os.Args[0])
	w.cmd.Env = append(os.Environ(), asWorker+"="+string(spec))
	w.cmd.Stdout, w.cmd.Stderr = &w.out, &w.out
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, w.cmd.Start())
}

func (w *worker) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, w.cmd.Process.Kill())
	_ = w.cmd.Wait()
	require.Empty(t, w.out.String(), "what a worker says is why it gave up")
}

func killPlaces(t *testing.T) map[string]func(t *testing.T) killPlace {
	return map[string]func(t *testing.T) killPlace{
		"boltstore": func(t *testing.T) killPlace {
			return killPlace{Kind: "bolt", Addr: filepath.Join(t.TempDir(), "state.db")}
		},
		"s3store": func(t *testing.T) killPlace {
			s := miniotest.Start(t)
			return killPlace{Kind: "s3", Addr: s.Addr(), Name: s.Bucket(t)}
		},
		"redisstore": func(t *testing.T) killPlace {
			return killPlace{Kind: "redis", Addr: redistest.Start(t).Addr(), Name: "killed"}
		},
		"pgstore": func(t *testing.T) killPlace {
			return killPlace{Kind: "postgres", Addr: pgtest.Start(t).Database(t)}
		},
	}
}

// TestKilled kills workers with SIGKILL at random moments, starts them again, and
// then looks: every execution has succeeded, and no effect has happened twice. On
// a store that is shared, two workers work at the same time.
//
//	go test -run TestKilled -kills 200 -timeout 40m ./stores
func TestKilled(t *testing.T) {
	for name, at := range killPlaces(t) {
		t.Run(name, func(t *testing.T) { killWorkers(t, at(t)) })
	}
}

func killWorkers(t *testing.T, place killPlace) {
	t.Logf("seed %d", *killSeed)
	random := rand.New(rand.NewPCG(*killSeed, 0))
	w, address := newWorld(t)
	place.World, place.TTL = address, 2*time.Second
	workers := []*worker{{place: place}, {place: place}}
	if place.Kind == "bolt" { // one process at a time has the file
		workers = workers[:1]
	}
	for _, x := range workers {
		x.start(t)
		defer func() { _ = x.cmd.Process.Kill() }()
	}
	for range *kills {
		w.want(perKill)
		time.Sleep(time.Duration(50+random.IntN(400)) * time.Millisecond)
		x := workers[random.IntN(len(workers))]
		x.kill(t)
		x.start(t)
	}
	begin := time.Now()
	for missing := w.missing(); len(missing) > 0; missing = w.missing() {
		require.Less(t, time.Since(begin), 90*time.Second, "not finished: %v", missing)
		time.Sleep(50 * time.Millisecond)
	}
	t.Logf("%d kills, %d executions; the last ended %v after the last kill", *kills, len(w.wanted), time.Since(begin).Round(time.Millisecond))
	for _, x := range workers {
		require.NoError(t, x.cmd.Process.Signal(syscall.SIGTERM))
		err := x.cmd.Wait()
		if status, ok := x.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signal() == syscall.SIGTERM {
			err = nil // it had only just begun, and nothing was left to do
		}
		require.NoError(t, err, "%s", &x.out)
	}
	w.check(t, place)
}

// check looks at the world and at the records.
func (w *world) check(t *testing.T, place killPlace) {
	require.Len(t, w.starts, len(w.wanted)*len(killedEffects), "each effect has happened")
	for key, n := range w.starts {
		require.Equal(t, 1, n, "effect %s", key)
	}
	store, err := place.open(t.Context())
	require.NoError(t, err)
	if c, ok := store.(io.Closer); ok {
		defer c.Close()
	}
	e := place.engine(store)
	for _, id := range w.wanted {
		s, err := e.Get(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, pipeline.Succeeded, s.Status, "%s: %s", id, s.Reason)
		require.JSONEq(t, `"`+id+`/verify/1"`, string(s.Output))
		for _, st := range killedEffects {
			require.Equal(t, 1, w.starts[id+"/"+st+"/1"])
		}
	}
}
