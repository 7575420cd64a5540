package watch

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/sekishotest"
)

// What other machines report, day by day, and what the detectors make of it.
// Times are days and hours from the book's beginning.
func TestWhatIsReportedIsJudged(t *testing.T) {
	a, b, c := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2"), netip.MustParseAddr("203.0.113.3")
	type seen struct {
		day int
		o   sekisho.Observation
	}
	mail := func(domain uint32, traits ...string) sekisho.Observation {
		return sekisho.Observation{Class: classMail, Activity: 2, Endpoint: "mx", Domain: domain, Traits: traits, Content: [32]byte{1, byte(domain)}, To: []uint32{1}}
	}
	opens := func(endpoint string, domain uint32) sekisho.Observation {
		return sekisho.Observation{Class: classFile, Activity: 14, Endpoint: endpoint, Content: [32]byte{1, byte(domain)}, Actor: 7}
	}
	speaks := func(endpoint string, to netip.Addr) sekisho.Observation {
		return sekisho.Observation{Class: classNetwork, Activity: 6, Endpoint: endpoint, Target: to}
	}
	prevented := func(endpoint string, to netip.Addr) sekisho.Observation {
		return sekisho.Observation{Class: classNetwork, Activity: 5, Endpoint: endpoint, Target: to, Blocked: true}
	}
	finding := func(severity uint32, endpoint string, to netip.Addr) sekisho.Observation {
		return sekisho.Observation{Class: classFinding, Activity: 1, Severity: severity, Endpoint: endpoint, Target: to, Sensor: "provider"}
	}
	file := func(endpoint string, activity uint32, size uint64, traits ...string) sekisho.Observation {
		return sekisho.Observation{Class: classFile, Activity: activity, Endpoint: endpoint, Size: size, Traits: traits, Actor: 9}
	}
	cfg := Config{Servers: []Server{{"web-1", "none"}, {"db-1", "personal"}}, Egress: Egress{Hostile: []netip.Prefix{netip.PrefixFrom(a, 32)}}}
	for name, one := range map[string]struct {
		see  []seen
		want string
	}{
		"a lure from a stranger":              {[]seen{{0, mail(3, "attachment", "lookalike")}}, "lure mx"},
		"without an attachment":               {[]seen{{0, mail(3, "lookalike")}}, ""},
		"from somebody who looks like nobody": {[]seen{{0, mail(3, "attachment")}}, ""},
		"no stranger any more":                {[]seen{{0, mail(3)}, {2, mail(3, "attachment", "lookalike")}}, ""},
		"a stranger again":                    {[]seen{{0, mail(3)}, {200, mail(3, "attachment", "lookalike")}}, "lure mx"},
		"a known name from elsewhere":         {[]seen{{0, mail(3)}, {2, mail(3, "attachment", "spoofed")}}, "lure mx"},
		"who opened it": {[]seen{{0, mail(3, "attachment", "lookalike")}, {0, opens("pc-1", 3)}, {0, opens("pc-1", 3)}, {1, opens("pc-2", 3)}, {1, opens("pc-3", 4)}},
			"lure mx; opened pc-1 by 7; opened pc-2 by 7"},
		"a known hostile destination, once a week": {[]seen{{0, speaks("pc-1", a)}, {1, speaks("pc-1", a)}, {1, speaks("pc-2", a)}, {9, speaks("pc-1", a)}, {9, speaks("pc-1", b)}},
			"contact pc-1 203.0.113.1; contact pc-2 203.0.113.1; contact pc-1 203.0.113.1"},
		"an attempt that was prevented": {[]seen{{0, prevented("pc-1", a)}}, ""},
		"a finding names a destination, and the past is looked through": {[]seen{{0, speaks("pc-1", b)}, {1, speaks("pc-2", b)}, {2, finding(4, "web-1", b)}, {3, speaks("pc-3", b)}},
			"finding web-1 203.0.113.2; contact pc-1 203.0.113.2; contact pc-2 203.0.113.2; contact web-1 203.0.113.2; contact pc-3 203.0.113.2"},
		"a slight finding teaches nothing": {[]seen{{0, speaks("pc-1", b)}, {2, finding(3, "web-1", b)}}, ""},
		"one of two destinations is blocked": {[]seen{{0, speaks("pc-1", a)}, {0, finding(5, "pc-1", b)}, {1, prevented("pc-1", a)}, {1, speaks("pc-1", b)}, {2, speaks("pc-1", b)}, {2, prevented("pc-1", b)}},
			"contact pc-1 203.0.113.1; finding pc-1 203.0.113.2; contact pc-1 203.0.113.2; half_blocked pc-1 203.0.113.2 1 of 2"},
		"a third is found": {[]seen{{0, speaks("pc-1", a)}, {1, prevented("pc-1", a)}, {2, speaks("pc-1", c)}, {3, finding(4, "pc-1", c)}},
			"contact pc-1 203.0.113.1; finding pc-1 203.0.113.3; contact pc-1 203.0.113.3; half_blocked pc-1 203.0.113.3 1 of 2"},
		"a list where none belongs":    {[]seen{{0, file("web-1", 1, 1<<20, "table")}}, "file_birth web-1 by 9 1048576"},
		"and where it does":            {[]seen{{0, file("db-1", 1, 1<<20, "table")}}, ""},
		"at a machine nobody told of":  {[]seen{{0, file("pc-1", 1, 1<<20, "table")}}, ""},
		"a small one":                  {[]seen{{0, file("web-1", 1, 1<<10, "table")}}, ""},
		"a small one said to be grave": {[]seen{{0, file("web-1", 1, 1<<10, "personal_data")}}, "file_birth web-1 by 9 1024"},
		"a list that is deleted":       {[]seen{{0, file("web-1", 4, 1<<20, "table")}}, ""},
		"a large file without a name":  {[]seen{{0, file("db-1", 1, 1<<30, "no_extension")}}, "large_file db-1 by 9 1073741824"},
		"a full disk, once a day": {[]seen{{0, sekisho.Observation{Class: classDevice, Endpoint: "db-1", Traits: []string{"disk_full"}}}, {0, sekisho.Observation{Class: classDevice, Endpoint: "db-1", Traits: []string{"disk_full"}}},
			{1, sekisho.Observation{Class: classDevice, Endpoint: "pc-1", Traits: []string{"no_boot"}}}}, "disk_full db-1; no_boot pc-1"},
	} {
		book := sekishotest.New()
		began := book.Now
		for i := range one.see {
			book.Now = began + sekisho.Time(one.see[i].day)*day + sekisho.Time(i)*sekisho.Time(time.Minute.Microseconds())
			o := one.see[i].o
			o.At = book.Now
			book.Put(&o)
		}
		fold := func() (alerts, keys string) {
			w := New(cfg)
			var out, ks []string
			for i := range book.Entries {
				for _, body := range w.React(&book.Entries[i]) {
					a := body.(*sekisho.Alert)
					s := a.Detector + " " + a.Endpoint
					if a.Principal != 0 {
						s += fmt.Sprintf(" by %d", a.Principal)
					}
					if a.Target.IsValid() {
						s += " " + a.Target.String()
					}
					switch a.Detector {
					case "half_blocked":
						s += fmt.Sprintf(" %d of %d", a.Observed, a.Limit)
					case "file_birth", "large_file":
						s += fmt.Sprintf(" %d", a.Observed)
					}
					out, ks = append(out, s), append(ks, Key(a))
				}
			}
			return strings.Join(out, "; "), strings.Join(ks, "; ")
		}
		got, keys := fold()
		if got != one.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, one.want)
		}
		if _, again := fold(); again != keys {
			t.Errorf("%s: folded again, the keys are %s, not %s", name, again, keys)
		}
		distinct := map[string]bool{}
		for _, k := range strings.Split(keys, "; ") {
			if distinct[k] || k == "" && got != "" {
				t.Errorf("%s: the key %q stands twice, or is none", name, k)
			}
			distinct[k] = true
		}
	}
}

// A program's account reads some thousand rows in one statement every night.
// One night it reads a hundred times as many.
func TestAProgramThatReadsFarMore(t *testing.T) {
	book := sekishotest.New()
	run := func(format string, args ...any) {
		t.Helper()
		if err := book.Run(fmt.Sprintf(format, args...)); err != nil {
			t.Fatal(err)
		}
	}
	run("shape m member members identity")
	run("session job 7 batch srv-1")
	run("session desk 8 clerk pc-1")
	for range 21 {
		run("read job m 1..4000 chunks=4")
		run("wait 24h")
	}
	run("read job m 1..11000 chunks=11") // within three times the usual
	run("read desk m 1..30000 chunks=10")
	run("wait 2h")
	begin := len(book.Entries) + 1
	run("read job m 1..100000 chunks=100")
	w := New(Config{Bulk: Bulk{Roles: []string{"batch"}}})
	var out []string
	for i := range book.Entries {
		for _, body := range w.React(&book.Entries[i]) {
			if a := body.(*sekisho.Alert); a.Detector == "bulk" && !a.Learning {
				out = append(out, fmt.Sprintf("%d at %s: %d rows, quiet up to %d, from entry %d, at entry %d", a.Principal, a.Endpoint, a.Observed, a.Limit, a.Basis[0], a.Basis[1]))
			}
		}
	}
	want := fmt.Sprintf("[7 at srv-1: 13000 rows, quiet up to 12000, from entry %d, at entry %d]", begin, begin+12)
	if got := fmt.Sprint(out); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
