package trace_test

import (
	"fmt"
	"strings"
	"testing"

	"sekisho/trace"
)

// What a program read for people counts for the terminal that it stated, for
// the server that it runs on, and, where it stated none, for everybody.
func TestAccessesThroughAProgram(t *testing.T) {
	book := script(t, `
		time 2014-09-20T01:00:00Z
		shape m member members identity
		session own 7 clerk pc-1
		session web 20 service app-1
		behalf web
		read own m 1
		behalf web 8 pc-1
		read web m 2
		behalf web 8 pc-2
		read web m 3 4
		behalf web 9 -
		read web m 5
		read web m 6
		behalf web 8 pc-2
		any web m 10
		behalf web 8 pc-2
		read web m 7 8 9 chunks=3
		close web 1
		session un 21 service unverified@10.0.0.9
		behalf un
		behalf un 8 pc-3
		read un m 11`)
	ask := func(tr *trace.Trace) string {
		var out strings.Builder
		for _, e := range []string{"pc-1", "pc-2", "pc-3", "app-1", "pc-1 pc-2 app-1"} {
			a, err := tr.Impact(trace.Question{Endpoints: strings.Fields(e), Since: book.Now - day, Until: book.Now + day, Lists: true}, nil)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&out, "%s: %v", e, a.Lists.WorstCase)
			for _, n := range a.NotObserved {
				if strings.HasPrefix(n.Code, "terminal_") || n.Code == "any_row" {
					fmt.Fprintf(&out, " %s %d/%d", n.Code, n.Count, n.Reach)
				}
			}
			out.WriteString("\n")
		}
		return out.String()
	}
	// The nine entries: own, five of known terminals (two of them released in
	// part), two lost, one through an unverified server.
	want := `pc-1: [1 2 5 6 11] terminal_unknown 3/8 terminal_stated 4/8
pc-2: [3 4 5 6 7 11] terminal_unknown 3/8 terminal_stated 4/8 any_row 1/10
pc-3: [5 6 11] terminal_unknown 3/8 terminal_stated 4/8
app-1: [2 3 4 5 6 7 11] terminal_unknown 3/8 terminal_stated 4/8 any_row 1/10
pc-1 pc-2 app-1: [1 2 3 4 5 6 7 11] terminal_unknown 3/8 terminal_stated 4/8 any_row 1/10
`
	tr := fold(book.Entries)
	if got := ask(tr); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	// And so it is when the day has been packed.
	if err := book.Run("wait 48h"); err != nil {
		t.Fatal(err)
	}
	book.Run("sensor zeek for=1h")
	later := fold(book.Entries)
	now := book.Now
	book.Now -= 2 * day
	if got := ask(later); got != want {
		t.Errorf("packed: got\n%swant\n%s", got, want)
	}
	book.Now = now

	var who []string
	for _, ord := range []uint32{2, 5, 6} {
		for _, a := range later.WhoRead("member", ord, 0) {
			who = append(who, fmt.Sprintf("%d at %s through %d at %s lost=%v", a.Principal, a.Endpoint, a.Program, a.Through, a.Lost))
		}
	}
	if got := strings.Join(who, "\n"); got != "8 at pc-1 through 20 at app-1 lost=false\n9 at app-1 through 20 at app-1 lost=true\n20 at app-1 through 20 at app-1 lost=true" {
		t.Errorf("who read them:\n%s", got)
	}
	if d := later.ByEndpoint("member", "app-1", 0); len(d) != 1 || d[0].Customers != 6 {
		t.Errorf("at the program's server: %+v", d)
	}
	if d := later.ByPrincipal("member", 20, 0); len(d) != 1 || d[0].Customers != 6 {
		t.Errorf("by the program: %+v", d)
	}
	if d := later.ByPrincipal("member", 8, 0); len(d) != 1 || d[0].Customers != 5 {
		t.Errorf("by the person: %+v", d)
	}
}
