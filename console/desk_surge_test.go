package console

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho"
)

// TestSurge has many customers ask on one day whether they were affected, as
// after a press conference: each asks at the page, reads the code in a mailbox
// behind a real relay, types it, and reads the answer, while staff work at the
// queue. SEKISHO_SURGE=10000 makes it a day of JTB's; it prints what it took.
func TestSurge(t *testing.T) {
	customers, atOnce := 150, 64
	if s := os.Getenv("SEKISHO_SURGE"); s != "" {
		var err error
		customers, err = strconv.Atoi(s)
		must(t, err)
	}
	c := newWindow(t, customers)
	var half []int64
	for m := range customers / 2 {
		half = append(half, int64(m+1))
	}
	c.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, half...)
	c.openAbout("pc-0417")
	clerk := c.as("mori", "user", "en")
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)

	began := time.Now()
	var next, affected, told atomic.Int64
	var asked, proved []time.Duration
	var noting sync.Mutex
	stop, looks := make(chan struct{}), []time.Duration(nil)
	var looking, asking sync.WaitGroup
	looking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
			}
			at := time.Now()
			if a := clerk.get("/desk?show=all"); a.status != http.StatusOK {
				t.Errorf("the queue during the surge: %d", a.status)
			}
			looks = append(looks, time.Since(at))
		}
	})
	for range atOnce {
		asking.Go(func() {
			jar, _ := cookiejar.New(nil)
			b := &browser{h: c.house, lang: "ja", at: c.server.URL, Client: &http.Client{Jar: jar}}
			for {
				n := int(next.Add(1))
				if n > customers {
					return
				}
				email := fmt.Sprintf("m%d@example.jp", n)
				at := time.Now()
				a := b.post("/ask/affected", url.Values{"number": {fmt.Sprint(n)}, "email": {email}, "once": {fmt.Sprint("form ", n)}})
				first := time.Since(at)
				m := hiddenReceipt.FindStringSubmatch(a.body)
				if m == nil {
					t.Errorf("customer %d: %d", n, a.status)
					return
				}
				code := ""
				for end := time.Now().Add(5 * time.Minute); code == ""; time.Sleep(2 * time.Millisecond) {
					if code = c.relay.code(email); time.Now().After(end) {
						t.Errorf("customer %d: no code", n)
						return
					}
				}
				at = time.Now()
				a = b.post("/answer/code", url.Values{"receipt": {m[1]}, "code": {code}})
				second := time.Since(at)
				switch {
				case strings.Contains(a.body, "関係する端末でお客さまの情報が読み出されていました"):
					affected.Add(1)
				case !strings.Contains(a.body, "お客さまは含まれていません"):
					t.Errorf("customer %d is told\n%s", n, a.body)
				}
				told.Add(1)
				noting.Lock()
				asked, proved = append(asked, first), append(proved, second)
				noting.Unlock()
			}
		})
	}
	asking.Wait()
	took := time.Since(began)
	close(stop)
	looking.Wait()
	c.settle()
	runtime.GC()
	runtime.ReadMemStats(&after)
	if int(told.Load()) != customers || int(affected.Load()) != customers/2 {
		t.Errorf("%d of %d were told, %d that they are affected", told.Load(), customers, affected.Load())
	}
	var s DeskStats
	p := c.console.deskQueue(&session{name: "mori"}, "all", "")
	if s = p.Stats; int(s.Received) != customers || int(s.Answered) != customers || int(s.Machine) != customers || s.Waiting != 0 || c.relay.took != customers {
		t.Errorf("the statistics are %+v; %d letters", s, c.relay.took)
	}
	of := func(list []time.Duration, share float64) time.Duration {
		if len(list) == 0 {
			return 0
		}
		slices.Sort(list)
		return list[int(share*float64(len(list)-1))].Round(100 * time.Microsecond)
	}
	t.Logf("%d enquiries from the form to the answer in %v (%.0f a second); the form took %v (median) and %v (99 of 100), the code %v and %v, the queue page %v and %v; %.1f MB of memory more",
		customers, took.Round(time.Millisecond), float64(customers)/took.Seconds(), of(asked, .5), of(asked, .99), of(proved, .5), of(proved, .99), of(looks, .5), of(looks, .99),
		float64(int64(after.HeapAlloc)-int64(before.HeapAlloc))/1e6)
}
