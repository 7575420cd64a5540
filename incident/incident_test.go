package incident_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
	"sekisho/incident"
	"sekisho/ledger"
	"sekisho/sekishotest"
	"sekisho/trace"
	"sekisho/view"
	"sekisho/watch"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

// house is every fold over one ledger, answering as a living one would: what
// is raised becomes an entry at once.
type house struct {
	book    *sekishotest.Book
	trace   *trace.Trace
	watch   *watch.Watch
	cases   *incident.Book
	applied int
}

func newHouse() *house {
	return &house{book: sekishotest.New(), trace: trace.New(), cases: incident.New(),
		watch: watch.New(watch.Config{Egress: watch.Egress{Hostile: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}})}
}

func (h *house) settle() {
	for ; h.applied < len(h.book.Entries); h.applied++ {
		e := h.book.Entries[h.applied]
		h.trace.Apply(&e)
		for _, b := range h.watch.React(&e) {
			h.book.Put(b)
		}
		for _, b := range h.cases.React(&e) {
			h.book.Put(b)
		}
	}
}

// TestScripts plays testdata/*.txt. Besides the commands of sekishotest a section
// may hold "incidents", which tells all of them, "ask", which answers and
// revises the latest by sekisho itself, and "timeline".
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no scripts", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			h := newHouse()
			sections := sekishotest.Sections(string(text))
			for i, s := range sections {
				var out []string
				for line := range strings.Lines(s.In) {
					switch strings.TrimSpace(line) {
					case "incidents":
						out = append(out, h.incidents()...)
					case "ask":
						out = append(out, h.ask(t)...)
					case "timeline":
						for _, f := range h.cases.List()[0].Timeline {
							out = append(out, f.At.Go().Format("01-02T15:04 ")+f.English(func(o uint32) string { return fmt.Sprint("staff ", o) }))
						}
					default:
						if err := h.book.Run(line); err != nil {
							t.Fatal(err)
						}
						h.settle()
					}
				}
				got := strings.Join(out, "\n")
				if got != s.Out && !*update {
					t.Errorf("after\n%s\ngot\n%s\nwant\n%s", s.In, got, s.Out)
				}
				sections[i].Out = got
			}
			if *update {
				if err := os.WriteFile(name, []byte(sekishotest.Format(sections)), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func (h *house) incidents() (out []string) {
	for _, i := range h.cases.List() {
		out = append(out, fmt.Sprintf("incident %d: %d alerts, endpoints %v, principals %v, targets %v", i.Number, len(i.Alerts), i.Endpoints, i.Principals, i.Targets))
		for _, r := range i.Revisions {
			out = append(out, fmt.Sprintf("  %s: %d %+d, %d %+d, %d %+d, %d %+d", r.Body.Reason,
				r.Body.WorstCase, r.Move.WorstCase, r.Body.Suspected, r.Move.Suspected, r.Body.SentAtMost, r.Move.SentAtMost, r.Body.Confirmed, r.Move.Confirmed))
		}
	}
	return out
}

func (h *house) ask(t *testing.T) (out []string) {
	i := h.cases.List()[0]
	a, err := h.trace.Impact(i.Question("member", h.trace.LastTime()), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []trace.Number{a.Numbers.WorstCase, a.Numbers.Suspected, a.Numbers.SentAtMost, a.Numbers.Confirmed} {
		out = append(out, n.Formula.Text)
	}
	for _, n := range a.NotObserved {
		out = append(out, "- "+n.Text)
	}
	r := i.Revise(a, 0)
	if r == nil {
		return append(out, "no revision")
	}
	h.book.Put(r[0])
	h.settle()
	return append(out, "revised: "+r[0].(*sekisho.IncidentRevised).Reason)
}

// TestTheHouseAsItRuns lets a view.Set drive the folds over a real ledger that
// is stopped and started between any two entries, and finds each alert and
// each incident once, and the same incidents after every start.
func TestTheHouseAsItRuns(t *testing.T) {
	script := `shape m member members identity
		session s1 7 clerk pc-0417
		session s2 8 clerk pc-0533
		read s1 m 1..500
		wait 1h
		read s2 m 1..500
		egress pc-0417 203.0.113.66 5000
		wait 1000h
		read s1 m 1..500`
	source := sekishotest.New()
	for line := range strings.Lines(script) {
		if err := source.Run(line); err != nil {
			t.Fatal(err)
		}
	}
	for stop := 1; stop <= len(source.Entries); stop++ {
		dir := t.TempDir()
		var told []string
		given := 1                   // the source's LedgerOpened is the ledger's own affair
		alias := map[uint64]uint64{} // the source's sequence numbers → the ledger's
		for life, upTo := range []int{stop, len(source.Entries), len(source.Entries)} {
			var now time.Time
			set := func(i int) { now = source.Entries[i].Time.Go() }
			set(given - 1)
			l, err := ledger.Open(ledger.Config{Dir: dir, FS: disk.OS{}, Gate: 1, Name: "test", Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			// Entries that come while nobody answers are answered at the start.
			for ; given < upTo; given++ {
				set(given)
				id, err := l.Append(t.Context(), aliased(source.Entries[given].Body, alias))
				if err != nil {
					t.Fatal(err)
				}
				alias[source.Entries[given].ID.Seq] = id.Seq
			}
			cases := incident.New()
			w := watch.New(watch.Config{Egress: watch.Egress{Hostile: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}})
			views := view.New(view.Config{Follow: l.Follow, Hurry: l.Hurry, Last: l.Last, Append: l.Append, Reactions: []view.Reaction{w.Reaction(), cases.Reaction()}})
			ctx, end := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- views.Run(ctx) }()
			if life > 0 {
				waitForAnswers(t, l, views, 4, 3)
			}
			views.Read(func() {
				told = append(told, tellAll(t, cases))
			})
			end()
			<-done
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if told[1] != told[2] {
			t.Fatalf("stopped at %d: before and after a start the incidents are\n%s\n%s", stop, told[1], told[2])
		}
		kinds := map[sekisho.Kind]int{}
		for e, err := range ledger.Read(disk.OS{}, dir, 1) {
			if err != nil {
				t.Fatal(err)
			}
			kinds[e.Body.Kind()]++
		}
		if kinds[sekisho.KindAlert] != 4 || kinds[sekisho.KindIncidentOpened] != 3 {
			t.Fatalf("stopped at %d: %d alerts and %d incidents in the ledger, want 4 and 3", stop, kinds[sekisho.KindAlert], kinds[sekisho.KindIncidentOpened])
		}
	}
}

// waitForAnswers follows the views until so many alerts and incidents have
// come by.
func waitForAnswers(t *testing.T, l *ledger.Ledger, views *view.Set, alerts, incidents int) {
	t.Helper()
	for e, err := range l.Follow(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Body.(type) {
		case *sekisho.Alert:
			alerts--
		case *sekisho.IncidentOpened:
			incidents--
		}
		if alerts <= 0 && incidents <= 0 {
			if err := views.WaitFor(t.Context(), l.Last()); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
}

// aliased is a body whose references name the ledger's entries.
func aliased(b sekisho.Body, alias map[uint64]uint64) sekisho.Body {
	if a, ok := b.(*sekisho.Access); ok {
		c := *a
		c.Session, c.Shape = alias[a.Session], alias[a.Shape]
		return &c
	}
	return b
}

func tellAll(t *testing.T, cases *incident.Book) string {
	b, err := json.Marshal(cases.List())
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
