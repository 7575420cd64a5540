package gate

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// What a name means that the gate does not know, the catalog must say. While it
// cannot be asked, what is unknown does not pass for free.
func TestUnknownNamesWaitForTheCatalog(t *testing.T) {
	h := newHouse(t)
	r := h.raw("sato")
	if got := r.run("Q select * from crm.nowhere"); !strings.Contains(got, "C42P01") {
		t.Errorf("the server's own words:\n%s", got)
	}
	if err := os.Remove(filepath.Join(h.dir, "pw")); err != nil { // so the reader cannot connect
		t.Fatal(err)
	}
	got := r.run("Q select * from crm.nobody_knows\nP \"\" select * from crm.not_this_either\nS\nQ select name from crm.airport where code = 'HND'")
	if strings.Count(got, "C57P03") != 2 || !strings.Contains(got, `D "Haneda"`) {
		t.Errorf("without a catalog:\n%s", got)
	}
}

// Whoever locks a table for ever does not keep the gate waiting for ever.
func TestTheReaderDoesNotWaitForLocks(t *testing.T) {
	h := newHouse(t)
	r, err := h.gate.reader(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	rows, err := r.query(context.Background(), "show lock_timeout")
	if err != nil || len(rows) != 1 || *rows[0][0] != "5s" {
		t.Errorf("lock_timeout: %v, %v", rows, err)
	}
}

// Long texts are judged each time: kept, they would take more memory than all
// else.
func TestLongTextsAreNotKept(t *testing.T) {
	h := newHouse(t)
	short := "select name from crm.member where member_no=1042"
	long := short + " --" + strings.Repeat("x", longestKept)
	for _, text := range []string{short, long} {
		if got := h.raw("sato").run("Q " + text); !strings.Contains(got, `D "name42"`) {
			t.Fatalf("%.500s", got)
		}
	}
	kept := func(p *plan) bool { return p.original == short }
	held := 0
	h.gate.plans.mu.RLock()
	defer h.gate.plans.mu.RUnlock()
	for _, p := range h.gate.plans.now {
		if kept(p) {
			held++
		}
		if len(p.original) > longestKept {
			t.Errorf("a text of %d bytes is kept", len(p.original))
		}
	}
	if held != 1 {
		t.Errorf("the short one is kept %d times", held)
	}
}

func TestARoomIsNeverTooFull(t *testing.T) {
	r := room{size: 10}
	var inside, most atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			n := 1 + i%6
			if i%50 == 0 {
				n = 25 // alone
			}
			leave := r.enter(n)
			now := inside.Add(int64(n))
			for m := most.Load(); now > m && !most.CompareAndSwap(m, now); m = most.Load() {
			}
			if now > 10 && now != int64(n) {
				t.Errorf("%d are inside, %d of them by one", now, n)
			}
			inside.Add(-int64(n))
			leave()
		})
	}
	all.Wait()
	if most.Load() != 25 || r.inside != 0 {
		t.Errorf("at most %d were inside, %d are left", most.Load(), r.inside)
	}
}
