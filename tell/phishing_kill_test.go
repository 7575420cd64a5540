package tell

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/vault"
)

// luresOf is what sends campaigns to people whose addresses say how the mail
// server treats them. Some are outside the domains.
func (d *desk) luresOf(t testing.TB, r Relay, p Pace, now func() time.Time, v *vault.Vault, seen *LureBook, people uint32) *Lures {
	t.Helper()
	list, err := duty.ReadLures(duty.ShippedLures())
	if err != nil {
		t.Fatal(err)
	}
	return &Lures{Config: LuresConfig{Domains: []string{"example.jp"}, Relay: r, Pace: p, Sender: "drill.example.jp", Replies: "answers.example.jp", Base: "http://127.0.0.1:1", Language: "ja", Least: 10, Keep: 13},
		Append: d.ledger.Append, Last: d.ledger.Last, Views: d.views, Book: d.book, Seen: seen, Vault: v, Lures: list, Now: now, Zone: time.UTC,
		Readers: func(sekisho.Time) (list []Reader) {
			for o := uint32(1); o <= people; o++ {
				list = append(list, Reader{Staff: o, Department: 1 + o%50})
			}
			return list
		},
		Contact: func(o uint32) (Contact, bool) {
			return Contact{Address: addressOf(o), Name: fmt.Sprintf("person %d", o)}, addressOf(o) != ""
		},
	}
}

// campaign asks for one that may go out from now on, and approves it.
func (d *desk) campaign(t testing.TB, people int) uint64 {
	t.Helper()
	var staff, lure, at []uint32
	for o := uint32(1); o <= uint32(people); o++ {
		staff, lure, at = append(staff, o), append(lure, o%2), append(at, o%7)
	}
	now := sekisho.At(time.Now())
	n := d.put(t, &sekisho.LureAsked{Lures: []string{"parcel ja 2026-11", "bank-change ja 2026-11"}, From: now - 10e6, Until: now + 1000*3600e6, Closes: 1440, Days: 127, People: uint64(people), By: 1})
	d.put(t, &sekisho.LureListed{Campaign: n, Staff: staff, Lures: lure, At: at}, &sekisho.LureDecided{Campaign: n, Action: "approved", By: 2})
	return n
}

// However often it is killed in the midst of a campaign, nobody has two lures,
// and everybody is known to have one, to have none, or to be unclear.
//
// SEKISHO_TEST_LURES=50000 is the size of a large company.
func TestKillDuringLures(t *testing.T) {
	people, kills := 1500, 20
	if n, err := strconv.Atoi(os.Getenv("SEKISHO_TEST_LURES")); err == nil {
		people, kills = n, 60
	}
	killRounds(t, people, kills, true)
}

// Who is outside the domains is refused before any connection: no mail server is
// there to be called.
func TestNobodyOutsideIsEverCalled(t *testing.T) {
	d, err := openDesk(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	n := d.campaign(t, 60)
	s := d.sender(Relay{Server: "127.0.0.1:1", TLS: "none"}, Pace{PerSecond: 1000}, time.Now)
	s.Lures = true
	s.Refuses = (&Lures{Config: LuresConfig{Domains: []string{"elsewhere.example"}}}).Refuses
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for {
		var st Status
		d.views.Read(func() { st, _ = d.book.Campaign(n) })
		if st.State == Done {
			if st.Counts[Unsent] != 60 || st.Why["outside_domains"] < 40 {
				t.Errorf("%v %v", st.Counts, st.Why)
			}
			break
		}
		if err := d.views.WaitFor(ctx, d.ledger.Last()+1); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	<-done
}

// BenchmarkLures is a campaign to 50,000 through a real mail server on this
// machine: proposed, sent, opened by many, and added up.
// `go test -run '^$' -bench Lures -benchtime 1x ./tell`
func BenchmarkLures(b *testing.B) {
	const people = 50_000
	mail := newPost()
	mail.quick = true
	addr, ca := serveWith(b, mail)
	for b.Loop() {
		dir := b.TempDir()
		v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: [32]byte{1}})
		if err != nil {
			b.Fatal(err)
		}
		d, err := openDeskWith(dir, time.Now, v)
		if err != nil {
			b.Fatal(err)
		}
		l := d.luresOf(b, Relay{Server: addr, TLS: "starttls", CA: ca}, Pace{PerSecond: 10_000, Connections: 4, Window: 20}, time.Now, v, d.seen, people)
		l.Contact = func(o uint32) (Contact, bool) {
			return Contact{Address: fmt.Sprintf("m%d@example.jp", o), Name: "x"}, true
		}
		began := time.Now()
		n, err := l.Ask(b.Context(), LureAsk{Title: "x", Lures: []string{"itinerary", "bank-change", "parcel"}, From: time.Now().Add(-time.Hour), Until: time.Now().Add(time.Minute), Opens: "00:00", Closes: "24:00", Days: []int{0, 1, 2, 3, 4, 5, 6}, Reason: "x"}, 1)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(began).Seconds(), "s/queued")
		if err := l.Decide(b.Context(), n, "approved", "", 2, func(x, y uint32) bool { return x == y }); err != nil {
			b.Fatal(err)
		}
		j, err := OpenJournal(disk.OS{}, filepath.Join(dir, "journal"))
		if err != nil {
			b.Fatal(err)
		}
		s := l.Sender(j)
		s.Idle = 10 * time.Millisecond
		s.Open = nil
		s.Now = func() time.Time { return time.Now().Add(2 * time.Minute) }
		d.views.Read(func() { d.book.find(n).lures.asked.Until += 3600e6 })
		ctx, stop := context.WithCancel(b.Context())
		began = time.Now()
		go s.Run(ctx)
		for {
			var st Status
			d.views.Read(func() { st, _ = d.book.Campaign(n) })
			if st.State == Done {
				break
			}
			d.views.WaitFor(ctx, d.ledger.Last()+1)
		}
		b.ReportMetric(people/time.Since(began).Seconds(), "mails/s")
		stop()
		mail.mu.Lock()
		twice := 0
		for _, k := range mail.took {
			if k != 1 {
				twice++
			}
		}
		if len(mail.took) != people || twice > 0 {
			b.Errorf("%d people have mail, %d not exactly one", len(mail.took), twice)
		}
		mail.took = map[string]int{}
		mail.mu.Unlock()
		began = time.Now()
		const tracked = 5000
		var c *campaign
		d.views.Read(func() { c = d.seen.find(n) })
		who := l.join(c).who
		for i := range tracked {
			m, ok := l.Meet(l.token(Token{n, who[i], uint32(c.lure[i])}))
			if !ok {
				b.Fatal("a token is none")
			}
			if _, err := l.Append(b.Context(), &sekisho.LureSeen{Campaign: n, Who: m.Token.Who, Lure: m.Token.Lure, Did: "reported"}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(tracked/time.Since(began).Seconds(), "tracked/s")
		if err := d.views.WaitFor(b.Context(), d.ledger.Last()); err != nil {
			b.Fatal(err)
		}
		began = time.Now()
		r, err := l.Result(n)
		if err != nil || r.Whole.Mailed != people || r.Whole.Reported != tracked {
			b.Fatal(r.Whole, err)
		}
		b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms/figures")
		d.stop()
		v.Close()
	}
}

// A token is of our making, or is nothing.
func FuzzToken(f *testing.F) {
	l, other := &Lures{Key: [32]byte{1}}, &Lures{Key: [32]byte{2}}
	f.Add(l.token(Token{1, 2, 3}))
	f.Add(l.token(Token{1 << 60, 1 << 63, 19}))
	f.Add(strings.Repeat("a", 40))
	f.Fuzz(func(t *testing.T, s string) {
		if k, ok := l.Token(s); ok {
			if l.token(k) != s {
				t.Errorf("%q is %+v, which is %q", s, k, l.token(k))
			}
			if _, ok := other.Token(s); ok {
				t.Errorf("%q is of another key, too", s)
			}
		}
	})
}

// Nothing is shown of few people: small groups stand together, and where they
// are few together, the smallest of the others goes to them, so that no
// difference names anybody.
func TestFewAreNotShownApart(t *testing.T) {
	for _, c := range []struct {
		sizes  map[uint32]int
		want   string
		hidden int
	}{
		{map[uint32]int{1: 30, 2: 12}, "1:30 2:12", 0},
		{map[uint32]int{1: 30, 2: 12, 3: 4, 4: 7}, "others:11 1:30 2:12", 0},
		{map[uint32]int{1: 30, 2: 12, 3: 4}, "others:16 1:30", 0},
		{map[uint32]int{1: 30, 0: 3}, "", 33},
		{map[uint32]int{1: 4, 2: 3}, "", 7},
		{map[uint32]int{0: 40}, "", 40},
	} {
		units := map[uint32][]outcome{}
		for u, n := range c.sizes {
			units[u] = make([]outcome, n)
		}
		list, hidden := apart(units, 10)
		var got []string
		for _, g := range list {
			name := g.Key
			if name == "" {
				name = fmt.Sprint(g.Unit)
			}
			got = append(got, fmt.Sprintf("%s:%d", name, g.People))
		}
		slices.Sort(got)
		want := strings.Fields(c.want)
		slices.Sort(want)
		if !slices.Equal(got, want) || hidden != c.hidden {
			t.Errorf("%v: %v, %d hidden; want %v, %d", c.sizes, got, hidden, want, c.hidden)
		}
	}
}
