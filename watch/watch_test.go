package watch_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/sekishotest"
	"sekisho/watch"
)

var update = flag.Bool("update", false, "write what comes out into the golden files")

var config = watch.Config{Egress: watch.Egress{Hostile: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}}}

// TestScripts plays testdata/*.txt. Each section goes on where the one before
// it ended; its output is the alerts that it raised.
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
			book, w := sekishotest.New(), watch.New(config)
			folded := 0
			sections := sekishotest.Sections(string(text))
			for i, s := range sections {
				for line := range strings.Lines(s.In) {
					if err := book.Run(line); err != nil {
						t.Fatal(err)
					}
				}
				var out []string
				for ; folded < len(book.Entries); folded++ {
					for _, b := range w.React(&book.Entries[folded]) {
						out = append(out, tell(b.(*sekisho.Alert)))
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

func tell(a *sekisho.Alert) string {
	s := fmt.Sprintf("%s %s principal %d, %s +%v: %d, quiet up to %d", a.Detector, a.Endpoint, a.Principal,
		a.From.Go().Format("2006-01-02T15:04"), a.Until.Go().Sub(a.From.Go()).Truncate(time.Minute), a.Observed, a.Limit)
	if a.Target.IsValid() {
		s += ", to " + a.Target.String()
	}
	if a.Learning {
		s += ", learning"
	}
	return s
}

// fold gives all alerts of a book.
func fold(book *sekishotest.Book) []*sekisho.Alert {
	w := watch.New(config)
	var all []*sekisho.Alert
	for i := range book.Entries {
		for _, b := range w.React(&book.Entries[i]) {
			all = append(all, b.(*sekisho.Alert))
		}
	}
	return all
}

// run writes commands that are known to be right.
func run(t *testing.T, book *sekishotest.Book, format string, args ...any) {
	t.Helper()
	if err := book.Run(fmt.Sprintf(format, args...)); err != nil {
		t.Fatal(err)
	}
}

// office plays so many weeks of eight clerks who look up some 30 customers a
// day each, and of a batch account that reads 100,000 every Monday night.
func office(t *testing.T, book *sekishotest.Book, weeks int) {
	rng := rand.New(rand.NewPCG(1, 2))
	run(t, book, "time 2014-06-02T00:00:00Z") // a Monday
	run(t, book, "shape m member members identity,contact")
	for d := range weeks * 7 {
		midnight := book.Now
		if d%7 == 0 {
			run(t, book, "wait 2h")
			run(t, book, "session night 90 batch batch-01")
			run(t, book, "read night m 1..100000 chunks=100")
		}
		book.Now = midnight + 9*3600e6
		for clerk := range 8 {
			run(t, book, "session c%d %d clerk pc-%d", clerk, clerk+1, clerk+1)
			for range 20 + rng.IntN(20) {
				run(t, book, "read c%d m %d", clerk, 1+rng.IntN(1_000_000))
			}
		}
		book.Now = midnight + 24*3600e6
	}
}

func TestARegularBulkJobGoesQuietByItsOwnPast(t *testing.T) {
	book := sekishotest.New()
	book.Now = 0
	office(t, book, 10)
	var days []string
	for _, a := range fold(book) {
		days = append(days, fmt.Sprintf("%s %s", a.From.Go().Format("01-02"), a.Endpoint))
	}
	want := "[06-02 batch-01 06-09 batch-01]"
	if got := fmt.Sprint(days); got != want {
		t.Errorf("alerts on %s, want %s: the first two Mondays and no other day", got, want)
	}
}

func TestAClerksAccountThatSweepsIsSeenWhateverTheJobsRead(t *testing.T) {
	book := sekishotest.New()
	book.Now = 0
	office(t, book, 10)
	before := len(book.Entries)
	run(t, book, "wait 11h")
	run(t, book, "session x 3 clerk pc-3")
	run(t, book, "read x m 5000..5300 chunks=301")
	alerts := fold(book)
	last := alerts[len(alerts)-1]
	if last.Endpoint != "pc-3" || last.Principal != 3 || last.Learning {
		t.Fatalf("the last alert is %s", tell(last))
	}
	// Raised at the very access that crossed the limit, and judging the hour.
	if at := last.Basis[1]; at != uint64(before)+1+last.Observed || last.Observed != last.Limit+1 {
		t.Errorf("raised at entry %d with %d observed and a limit of %d; the sweep began at entry %d", at, last.Observed, last.Limit, before+2)
	}
	if last.Until-last.From != 3600e6 || last.From%3600e6 != 0 {
		t.Errorf("it judges %v to %v, not the hour", last.From, last.Until)
	}
}

func TestABatchAccountAtAClerksTerminalIsSeen(t *testing.T) {
	book := sekishotest.New()
	book.Now = 0
	office(t, book, 10)
	run(t, book, "wait 26h") // Tuesday night
	run(t, book, "session x 90 batch pc-3")
	run(t, book, "read x m 1..100000 chunks=100")
	alerts := fold(book)
	if last := alerts[len(alerts)-1]; last.Endpoint != "pc-3" || !last.Learning {
		t.Errorf("the last alert is %s", tell(last))
	}
}
