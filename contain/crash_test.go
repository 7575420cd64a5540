package contain_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/contain"
	"sekisho/disk"
	"sekisho/ledger"
)

// killedDir tells a child process where to contain until it is killed.
const killedDir = "SEKISHO_CONTAIN_KILLED"

func crashTerminals() map[string][]netip.Prefix {
	m := map[string][]netip.Prefix{}
	for i := range 20 {
		m[fmt.Sprintf("pc-%d", i)] = []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 32)}
	}
	return m
}

// TestContainToBeKilled is the child: it gives orders, lifts them, and says so
// once it was told that this was done.
func TestContainToBeKilled(t *testing.T) {
	dir := os.Getenv(killedDir)
	if dir == "" {
		t.Skip("it is run by TestContainKilled")
	}
	listed = crashTerminals()
	o, err := openKeeping(dir, contain.Config{ApproveAbove: 100})
	mustDo(t, err)
	o.Assert(context.Background())
	go o.Run(context.Background())
	who := o.actor("suzuki", true)
	var given []uint64
	for {
		if len(given) > 0 && rand.IntN(3) == 0 {
			i := rand.IntN(len(given))
			mustDo(t, o.Lift(context.Background(), given[i], contain.LiftAsk{All: true, Reason: "over"}, who))
			fmt.Printf("lifted %d\n", given[i])
			given = slices.Delete(given, i, i+1)
			continue
		}
		n, err := o.Propose(context.Background(), contain.Ask{Endpoints: []string{fmt.Sprintf("pc-%d", rand.IntN(20))}, Reason: "a test"}, who)
		mustDo(t, err)
		fmt.Printf("given %d\n", n)
		given = append(given, n)
	}
}

// Killed wherever it may be: nothing is in force that the ledger did not say
// before, nothing that was said to be done is forgotten, and nothing that was
// lifted comes back.
func TestContainKilled(t *testing.T) {
	before := listed
	listed = crashTerminals()
	t.Cleanup(func() { listed = before })
	dir := t.TempDir()
	given, lifted := map[uint64]bool{}, map[uint64]bool{}
	for round := range 10 {
		child := exec.Command(os.Args[0], "-test.run", "^TestContainToBeKilled$", "-test.timeout", "1m")
		child.Env = append(os.Environ(), killedDir+"="+dir)
		out, err := child.StdoutPipe()
		mustDo(t, err)
		mustDo(t, child.Start())
		lines := bufio.NewScanner(out)
		after := 1 + rand.IntN(25)
		for n := 0; lines.Scan(); n++ {
			word, number, ok := strings.Cut(lines.Text(), " ")
			seq, err := strconv.ParseUint(number, 10, 64)
			switch {
			case !ok || err != nil:
				t.Fatalf("the child says %q", lines.Text())
			case word == "given":
				given[seq] = true
			case word == "lifted":
				lifted[seq] = true
			}
			if n == after {
				// Somewhere within what comes next.
				time.AfterFunc(time.Duration(rand.IntN(6000))*time.Microsecond, func() { child.Process.Kill() })
			}
		}
		child.Wait()
		checkAfterKill(t, dir, given, lifted)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	if len(given) < 20 || len(lifted) < 5 {
		t.Errorf("only %d orders and %d lifts: the test kills too early", len(given), len(lifted))
	}
}

func checkAfterKill(t *testing.T, dir string, given, lifted map[uint64]bool) {
	t.Helper()
	read := func(name string) string {
		b, _ := os.ReadFile(filepath.Join(dir, name))
		return string(b)
	}
	left := read("proxy.list") + read("router.list")
	o, err := openKeeping(dir, contain.Config{ApproveAbove: 100})
	mustDo(t, err)
	defer o.close()
	decided, ordered := map[uint64]int{}, map[string]bool{}
	for e, err := range ledger.Read(disk.OS{}, filepath.Join(dir, "ledger"), 1) {
		mustDo(t, err)
		if b, ok := e.Body.(*sekisho.ContainmentDecided); ok {
			decided[b.Order]++
			for _, end := range o.order(b.Order).Proposed.Endpoints {
				ordered[end.Addresses[0].String()] = true
			}
		}
	}
	for n, times := range decided {
		if times != 1 {
			t.Errorf("order %d was decided %d times", n, times)
		}
	}
	for name, at := range listed {
		if a := at[0].String(); strings.Contains(left, `"`+a+`"`) && !ordered[a] {
			t.Errorf("%s was cut, and no order says so", name)
		}
	}
	for n := range given {
		if one := o.order(n); one == nil || one.Decided == nil {
			t.Errorf("order %d was said to be given, and is forgotten", n)
		} else if one.Over == 0 && lifted[n] {
			t.Errorf("order %d was said to be lifted, and is in force", n)
		}
	}
	o.Assert(t.Context())
	want := map[string]bool{}
	o.views.Read(func() {
		for _, one := range o.book.InForce() {
			for _, end := range one.Proposed.Endpoints {
				want[end.Addresses[0].Addr().String()] = true
			}
		}
	})
	for _, h := range o.hands {
		have, err := h.Enforced(t.Context())
		mustDo(t, err)
		if len(have.Egress) != len(want) {
			t.Errorf("after the start %s has %d terminals, want %d", h.Name(), len(have.Egress), len(want))
		}
		for _, p := range have.Egress {
			if !want[p.Addr().String()] {
				t.Errorf("after the start %s cuts %v, which no order in force does", h.Name(), p)
			}
		}
	}
}
