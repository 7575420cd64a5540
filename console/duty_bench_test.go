package console

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
)

// threeYears fills a house with a group of companies over three years: its people
// in the directory, and the evidence of nearly everybody for what people owe.
func (h *house) threeYears(companies, people int) {
	h.t.Helper()
	r := rand.New(rand.NewPCG(60, 50_000))
	unit := func(key string) uint32 { return h.vault.Space("unit").OfText([]byte(key)) }
	put := func(bodies ...sekisho.Body) {
		for list := range slices.Chunk(bodies, 500) {
			_, err := h.ledger.Append(context.Background(), list...)
			must(h.t, err)
		}
	}
	start := h.clock.now()
	from := sekisho.At(start)
	var bodies []sekisho.Body
	var departments [][]uint32
	for c := range companies {
		company := unit(fmt.Sprintf("company/%03d", c+1))
		bodies = append(bodies, &sekisho.UnitChanged{Unit: company, Action: "opened", Is: "company", Effective: from})
		departments = append(departments, nil)
		for d := range 10 {
			one := unit(fmt.Sprintf("department/%03d/%d", c+1, d))
			departments[c] = append(departments[c], one)
			bodies = append(bodies, &sekisho.UnitChanged{Unit: one, Action: "opened", Is: "department", Parent: company, Effective: from})
		}
	}
	put(bodies...)
	bodies = nil
	staff := make([]uint32, people)
	for n := range staff {
		staff[n] = h.staff(fmt.Sprintf("u%05d", n))
		bodies = append(bodies, &sekisho.PersonChanged{Staff: staff[n], Action: "joined", Effective: from, Joined: from, Employed: "employee", Executive: n%500 == 0,
			Postings: []sekisho.PersonPosting{{Unit: departments[r.IntN(companies)][r.IntN(10)], As: "main"}}})
	}
	put(bodies...)
	for year := range 3 {
		for n, one := range []struct{ kind, item string }{{"training_completion", "course-a"}, {"phish_result", "virus/1"}, {"acknowledgement", "handbook"}, {"acknowledgement", "duty-sheet"}, {"acknowledgement", "nda"},
			{"phish_result", "bec/2"}, {"evaluation_record", "evaluation"}, {"training_completion", "course-b"}, {"phish_result", "virus/3"}} {
			at := start.AddDate(year, 2, 5+n*25)
			h.clock.pass(at.Sub(h.clock.now()))
			var units []uint32
			for _, s := range staff {
				if r.IntN(100) < 97 {
					units = append(units, s)
				}
			}
			bodies = nil
			for list := range slices.Chunk(units, 500) {
				bodies = append(bodies, &sekisho.EvidenceStated{Evidence: one.kind, Producer: "S", Space: "staff", Units: list, From: sekisho.At(at), Item: fmt.Sprint(one.item, "/", year), By: staff[0]})
			}
			put(bodies...)
		}
	}
	h.settle()
}

// BenchmarkDutiesPage is the register's dashboard as a browser gets it, of 60
// companies and 50,000 people over three years: the first time, again, for one
// company, and after a change that was made through the console.
// `go test -run '^$' -bench DutiesPage -benchtime 1x ./console`
func BenchmarkDutiesPage(b *testing.B) {
	h := newHouse(b)
	h.clock.pass(time.Date(2023, 4, 1, 0, 0, 0, 0, testZone).Sub(h.clock.now()))
	began := time.Now()
	h.threeYears(60, 50_000)
	b.ReportMetric(float64(time.Since(began).Milliseconds())/1000, "s/filled")
	admin := h.signedIn("ja")
	timed := func(path string) float64 {
		began := time.Now()
		a := admin.get(path)
		if a.status != http.StatusOK || !strings.Contains(a.body, "</main>") {
			b.Fatalf("%s: %d", path, a.status)
		}
		return float64(time.Since(began).Microseconds()) / 1000
	}
	for b.Loop() {
		b.ReportMetric(timed("/duties"), "ms/first")
		for name, path := range map[string]string{"": "/duties", "-company": "/duties?company=007", "-council": "/duties?council=1", "-duty": "/duties/policy/M3a"} {
			timed(path)
			var list []float64
			for range 20 {
				list = append(list, timed(path))
			}
			slices.Sort(list)
			b.ReportMetric(list[10], "ms/page"+name)
			b.ReportMetric(list[19], "ms/worst"+name)
		}
		worst := 0.0
		for n := range 5 {
			began := time.Now()
			a := admin.post("/duties", url.Values{"do": {"record"}, "duty": {"policy/M3a"}, "kind": {"training_completion"}, "units": {fmt.Sprintf("u%05d", n+7)}, "said": {"in the class room"}, "item": {"make-up"}})
			if a.status != http.StatusSeeOther {
				b.Fatalf("recording: %d\n%s", a.status, readable(a.body))
			}
			timed("/duties")
			worst = max(worst, float64(time.Since(began).Microseconds())/1000)
		}
		b.ReportMetric(worst, "ms/changed")
		began := time.Now()
		h.append(&sekisho.PersonChanged{Staff: h.staff("u00009"), Action: "left", Effective: sekisho.At(h.clock.now())})
		timed("/duties")
		b.ReportMetric(float64(time.Since(began).Microseconds())/1000, "ms/left")
	}
}

// BenchmarkMyAtOnce is everybody opening their own page at the same moment, as
// after a mail to all: SEKISHO_BENCH_PEOPLE people (5,000), each signed in by a
// mailed link, a course assigned to each; the door serves as many at once as it
// does by default, and whoever is told to come back does so half a second later.
// `go test -run '^$' -bench MyAtOnce -benchtime 1x ./console`
func BenchmarkMyAtOnce(b *testing.B) {
	people := 5000
	fmt.Sscan(os.Getenv("SEKISHO_BENCH_PEOPLE"), &people)
	s := newStaffHouse(b, func(c *StaffConfig) { c.AtOnce = 256 })
	var names []string
	for n := range people {
		names = append(names, fmt.Sprintf("p%05d", n))
	}
	s.append(&sekisho.LedgerVerified{OK: true})
	for list := range slices.Chunk(names, 400) {
		s.hire(list...)
	}
	s.assign("suspicious-mail", 30)
	browsers := make([]*browser, people)
	began := time.Now()
	for n, name := range names {
		browsers[n] = s.enters(name, "ja")
	}
	b.ReportMetric(float64(people)/time.Since(began).Seconds(), "sign-ins/s")
	for b.Loop() {
		took := make([]time.Duration, people)
		var turned sync.Map
		var all sync.WaitGroup
		gate := make(chan struct{})
		for n, one := range browsers {
			all.Go(func() {
				<-gate
				began := time.Now()
				for tries := 0; ; tries++ {
					a := one.get("/my")
					if a.status == http.StatusOK && strings.Contains(a.body, "自分の義務") {
						break
					}
					if a.status != http.StatusServiceUnavailable && a.status != http.StatusTooManyRequests {
						b.Errorf("%d\n%s", a.status, a.body)
						return
					}
					turned.Store(n, tries)
					time.Sleep(500 * time.Millisecond) // as a person who tries again
				}
				took[n] = time.Since(began)
			})
		}
		began := time.Now()
		close(gate)
		all.Wait()
		b.ReportMetric(time.Since(began).Seconds(), "s/all")
		slices.Sort(took)
		b.ReportMetric(float64(took[people/2].Milliseconds()), "ms/median")
		b.ReportMetric(float64(took[people*99/100].Milliseconds()), "ms/p99")
		back := 0
		turned.Range(func(any, any) bool { back++; return true })
		b.ReportMetric(float64(back), "came-back")
	}
}
