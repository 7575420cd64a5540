package tell

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
)

// An office over a real ledger and vault in which one terminal has read so many
// people, with the texts approved.
func openOffice(b testing.TB, people int) (o *Office, incidentNumber uint64) {
	dir := b.TempDir()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: [32]byte{1}, Log: log})
	must(err)
	l, err := ledger.Open(ledger.Config{Dir: filepath.Join(dir, "ledger"), Gate: 1, Name: "tell", Software: "test", Before: v.Flush, Log: log})
	must(err)
	must(v.Reconcile(map[string]uint32{}))
	book, tr, cases := NewBook(), trace.New(), incident.New()
	views := view.New(view.Config{Follow: l.Follow, Hurry: l.Hurry, Last: l.Last, Append: l.Append, Views: []view.View{book, tr}, Reactions: []view.Reaction{cases.Reaction()}, Log: log})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { views.Run(ctx); close(done) }()
	b.Cleanup(func() { stop(); <-done; l.Close(); v.Close() })
	put := func(bodies ...sekisho.Body) uint64 {
		id, err := l.Append(ctx, bodies...)
		must(err)
		must(views.WaitFor(ctx, l.Last()))
		return id.Seq
	}
	session := put(&sekisho.SessionOpened{Door: sekisho.DoorGate, Principal: 1, Role: "service", Endpoint: "app-01", Verified: true})
	shape := put(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"member"}, Categories: sekisho.Identity | sekisho.Contact | sekisho.TravelDoc})
	chunk := make([]uint32, 0, listedAtOnce)
	for from := 1; from <= people; from += listedAtOnce {
		chunk = chunk[:0]
		for s := from; s <= min(people, from+listedAtOnce-1); s++ {
			chunk = append(chunk, uint32(s))
		}
		put(&sekisho.Access{Session: session, Shape: shape, Number: 1, Class: sekisho.Exact, More: from+listedAtOnce <= people, Rows: uint64(len(chunk)), Least: 40, Subjects: chunk})
	}
	incidentNumber = put(&sekisho.IncidentOpened{By: 1, Endpoints: []string{"app-01"}})
	forms, err := ReadForms(nil)
	must(err)
	o = &Office{Config: Config{Company: Company{Name: "例"}, Language: Language{Default: "ja"}, Addresses: map[string]Addresses{"member": {Email: "email"}},
		Mail: Mail{Relay: Relay{Server: "127.0.0.1:25", TLS: "none"}, From: "a@example.jp", Pace: Pace{PerSecond: 20}}},
		Forms: forms, Append: l.Append, Last: l.Last, Views: views, Book: book, Incidents: cases, Trace: tr, Vault: v, Now: time.Now, Zone: time.UTC, Log: log,
		Ask: func(ctx context.Context, q trace.Question) (a *trace.Answer, err error) {
			if err := views.WaitFor(ctx, l.Last()); err != nil {
				return nil, err
			}
			views.Read(func() {
				rosters := map[string]*vault.Roster{}
				for _, space := range tr.Spaces() {
					rosters[space] = nil
				}
				a, err = tr.Whole(q, rosters)
			})
			return a, err
		},
		Question: func(i *incident.Incident) (q trace.Question) {
			views.Read(func() { q = i.Question("", tr.LastTime()) })
			return q
		}}
	k := Key{Incident: incidentNumber, Form: "person", Language: "ja"}
	text, err := o.Propose(ctx, k, 0, 1)
	must(err)
	must(o.Decide(ctx, text, "approved", "", 2, func(a, b uint32) bool { return a == b }))
	return o, incidentNumber
}

// Whom a mailing is for is frozen within seconds, whatever the number: from the
// question over the four numbers to the list in the ledger and in the fold.
// `go test -run '^$' -bench Queue -benchtime 1x ./tell` measures JTB's 7.93 million.
func BenchmarkQueue(b *testing.B) {
	for _, people := range []int{1_000_000, 7_930_000} {
		b.Run(thousands(uint64(people)), func(b *testing.B) {
			for b.Loop() {
				o, number := openOffice(b, people)
				before := resident(b)
				began := time.Now()
				plan, err := o.Plan(b.Context(), number, "worst-case", false)
				if err != nil || plan.People != uint64(people) {
					b.Fatal(plan, err)
				}
				b.ReportMetric(time.Since(began).Seconds(), "s/dry-run")
				began = time.Now()
				if _, err := o.AskMailing(b.Context(), number, "worst-case", false, "", 1); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(time.Since(began).Seconds(), "s/queued")
				b.ReportMetric(float64(before)/1e6, "MB-before")
				b.ReportMetric(float64(resident(b))/1e6, "MB-most")
				began = time.Now()
				for _, n := range o.Forms.Names() {
					if n.To == "partner" {
						continue
					}
					for _, lang := range Languages {
						if _, err := o.Draft(b.Context(), Key{Incident: number, Form: n.Key, Language: lang}); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.ReportMetric(time.Since(began).Seconds(), "s/all-drafts")
			}
		})
	}
}

// resident is the most memory that the process has had.
func resident(b *testing.B) (bytes uint64) {
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), "VmHWM:")
	fmt.Sscan(rest, &bytes)
	return bytes << 10
}

// BenchmarkSend is how fast notices go through a real mail server on this machine,
// each window durable before and after.
func BenchmarkSend(b *testing.B) {
	mail := newPost()
	mail.quick = true
	addr, ca := serveWith(b, mail)
	d, err := openDesk(b.TempDir(), time.Now)
	if err != nil {
		b.Fatal(err)
	}
	defer d.stop()
	const people = 20_000
	var list []uint32
	for o := uint32(1); len(list) < people; o++ {
		if a := addressOf(o); GoodAddress(a) && a[0] == 'm' {
			list = append(list, o)
		}
	}
	round := uint64(0)
	for b.Loop() {
		round++
		number := d.mailing(b, round, list...)
		s := d.sender(Relay{Server: addr, TLS: "starttls", CA: ca}, Pace{PerSecond: 10_000, Connections: 4}, time.Now)
		if s.Journal, err = OpenJournal(disk.OS{}, filepath.Join(b.TempDir(), "journal")); err != nil {
			b.Fatal(err)
		}
		ctx, stop := context.WithCancel(b.Context())
		began := time.Now()
		go s.Run(ctx)
		for {
			if st, _ := func() (Status, bool) {
				var x Status
				d.views.Read(func() { x, _ = d.book.Status(number) })
				return x, true
			}(); st.State == Done {
				break
			}
			d.views.WaitFor(ctx, d.ledger.Last()+1)
		}
		b.ReportMetric(people/time.Since(began).Seconds(), "mails/s")
		stop()
	}
}
