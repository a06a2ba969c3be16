//go:build torture

package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestTortureKilledAtEveryMomentPdhookLosesAndRepeatsNothing(t *testing.T) {
	requests, kills := rounds(30, 300), rounds(10, 200)
	k := startKilling(t, 1)
	points := append(failpoints(), syncpoints()...)
	for n := range kills {
		if n%len(points) == 0 {
			k.random.Shuffle(len(points), func(i, j int) { points[i], points[j] = points[j], points[i] })
		}
		for len(k.tales) < requests*(n+1)/kills {
			k.begin("")
		}
		k.round(points[n%len(points)]).start()
	}
	for _, p := range points {
		if k.hits[p.name] == 0 && kills >= len(points) {
			t.Errorf("pdhook was never killed %s", p.name)
		}
	}
	k.takesEffectAlone(rounds(3, 20))
	k.end()
	k.forgotNothing()
	t.Logf("%d requests, %d kills: %v", len(k.tales), kills, k.hits)
}

func TestTortureTwoReplicasOfWhichOneIsKilledDoEverythingOnce(t *testing.T) {
	requests, kills := rounds(20, 150), rounds(8, 80)
	k := startKilling(t, 2)
	points := failpoints()
	for n := range kills {
		for len(k.tales) < requests*(n+1)/kills {
			k.begin("")
		}
		dead := k.round(points[k.random.IntN(len(points))])
		if k.dead() || k.random.IntN(3) > 0 { // else the other goes on alone
			dead.start()
		}
	}
	for _, r := range k.replicas {
		if r.proc.over() {
			r.start()
		}
	}
	dead := k.round(points[k.random.IntN(len(points))])
	if testing.Short() {
		k.inherit(dead)
	} else { // its claims run out by themselves, and the look every five minutes finds what it alone has heard
		k.untilQuiet = 8 * time.Minute
	}
	k.end() // by the one that is left
	dead.start()
	k.end() // and the other finds nothing to do
	k.forgotNothing()
	t.Logf("%d requests, %d kills: %v", len(k.tales), kills+1, k.hits)
}

// syncpoints are the moments around the store's sync of what it commits. Only a tracer can kill there.
func syncpoints() []failpoint {
	var points []failpoint
	for _, s := range []struct {
		moment string
		arm    func(*killing, *world)
	}{
		{"before the sync of ", func(k *killing, victim *world) { k.trace(victim, "signal=KILL:when=1") }},
		{"instead of the sync of ", func(k *killing, victim *world) { k.trace(victim, "error=EIO:signal=KILL:when=1") }},
		{"after the sync of ", (*killing).afterSync},
	} {
		points = append(points,
			failpoint{name: s.moment + "a commit", arm: s.arm},
			failpoint{name: s.moment + "a webhook", arm: func(k *killing, victim *world) {
				victim.settled()
				s.arm(k, victim)
				k.alert(k.search) // of which pdhook hears, and which concerns no request
				k.elsewhere++
			}})
	}
	return points
}

// trace injects into the syncs of a pdhook. It gives the tracer and the file that tells of them.
func (k *killing) trace(victim *world, inject string) (tracer *exec.Cmd, told string) {
	k.t.Helper()
	told = filepath.Join(k.t.TempDir(), "syncs")
	tracer = exec.Command("strace", "-f", "-p", strconv.Itoa(victim.proc.cmd.Process.Pid), "-o", told,
		"-e", "trace=fdatasync", "-e", "signal=none", "-e", "inject=fdatasync:"+inject)
	says, err := tracer.StderrPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { // by then it has ended with the process that it traced, unless the test failed
		_ = tracer.Process.Kill()
		_ = tracer.Wait()
	})
	if line, err := bufio.NewReader(says).ReadString('\n'); !strings.Contains(line, " attached") {
		k.t.Fatalf("strace says %q, %v", line, err)
	}
	return tracer, told
}

// afterSync holds pdhook up after a sync, and kills it there.
func (k *killing) afterSync(victim *world) {
	tracer, told := k.trace(victim, "delay_exit=60000000:when=1")
	proc := victim.proc
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !proc.over() {
			<-tick.C
			if text, err := os.ReadFile(told); err == nil && strings.Contains(string(text), "= 0 (DELAYED)") {
				_ = proc.cmd.Process.Kill()
				_ = tracer.Process.Kill() // it would sit the delay out before it lets the dead go
				<-proc.exited
			}
		}
	}()
}
