//go:build torture

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/gravitational/teleport/api/types"

	"github.com/pdhook/pdhook/test/pagerdutytest"
)

func TestTorture20000EventsFitIntoAContainerOf128MiB(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.limitMemory(128 << 20)
	w.start()
	id := w.request(w.dana.Email, "payments-admin")
	w.opened(id)
	w.decided(id)
	w.pd.Fault(pagerdutytest.Fault{Kind: pagerdutytest.Hang}) // nothing takes effect meanwhile: all bodies are kept
	flood := w.flood("MEMORY", 64, 4<<10)
	for n := 0; n < 20_000; n, _ = flood.counts() {
		flood.moves(500, 0)
	}
	accepted := flood.stop()
	t.Logf("%d events", len(accepted))
	w.pd.ClearFaults()
	w.comesOnCall(w.dana)
	w.accepts(event("01LAST", "incident.acknowledged"))
	w.reaches(id, types.RequestState_APPROVED)
	w.proc.kill()
	w.start()
	w.knowsAll(accepted)
}

// limitMemory has pdhook run in a container's limits: with so many bytes, page cache included, and no more.
func (w *world) limitMemory(bytes int) {
	w.t.Helper()
	root, limit := "/sys/fs/cgroup/memory", "memory.limit_in_bytes"
	write := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	if _, err := os.Stat(root); err != nil { // control groups of version 2
		root, limit = "/sys/fs/cgroup", "memory.max"
		write(root+"/cgroup.subtree_control", "+memory")
	}
	group := filepath.Join(root, filepath.Base(filepath.Dir(w.dir)))
	if err := os.Mkdir(group, 0o700); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { // pdhook has ended
		if err := os.Remove(group); err != nil {
			w.t.Error(err)
		}
	})
	write(group+"/"+limit, strconv.Itoa(bytes))
	w.under = []string{"sh", "-c", fmt.Sprintf(`echo $$ > %s/cgroup.procs && exec "$@"`, group), "sh"}
}
