package survey_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sekisho/survey"
)

// said writes passages as one line each.
func said(list []survey.Passage) string {
	var lines []string
	for _, p := range list {
		line := p.Role
		if p.Session {
			line += fmt.Sprintf(" is connected as %d", p.Backend)
		} else {
			line += fmt.Sprintf(" moved %d rows in %d calls", p.Rows, p.Calls)
		}
		if p.Stolen {
			line += ", with a login of the gate's"
		}
		lines = append(lines, line+": "+strings.Join(p.Tables, " "))
	}
	return strings.Join(lines, "\n")
}

var member = []string{"crm.member"}

func TestOutsideSessions(t *testing.T) {
	gate, stranger := netip.MustParseAddr("10.0.0.5"), netip.MustParseAddr("10.0.0.99")
	sessions := []survey.Session{
		{Backend: 1, Role: "app", Address: gate, Tables: member},
		{Backend: 2, Role: "app", Address: stranger, Tables: member},
		{Backend: 3, Role: "dba", Superuser: true, Tables: member},
		{Backend: 4, Role: "monitor", Address: stranger}, // may read nothing
		{Backend: 5, Role: "app", Tables: member},        // by a socket
		{Backend: 6, Role: "app", Hidden: true, Tables: member},
	}
	for _, c := range []struct {
		name string
		own  survey.Own
		want string
	}{
		{"the gate knows its own connections",
			survey.Own{Logins: []string{"app"}, Backends: map[int32]bool{1: true}},
			`app is connected as 2, with a login of the gate's: crm.member
app is connected as 5, with a login of the gate's: crm.member
app is connected as 6, with a login of the gate's: crm.member
dba is connected as 3: crm.member`},
		{"somebody beside it knows its address",
			survey.Own{Logins: []string{"app"}, Addresses: []netip.Addr{gate}},
			`app is connected as 2, with a login of the gate's: crm.member
app is connected as 5, with a login of the gate's: crm.member
dba is connected as 3: crm.member`},
		{"other gates of the company come from where the stranger does",
			survey.Own{Logins: []string{"app"}, Backends: map[int32]bool{1: true}, Peers: []netip.Prefix{netip.MustParsePrefix("10.0.0.99/32")}},
			`app is connected as 5, with a login of the gate's: crm.member
app is connected as 6, with a login of the gate's: crm.member
dba is connected as 3: crm.member`},
		{"or by the socket",
			survey.Own{Logins: []string{"app"}, Backends: map[int32]bool{1: true}, PeersLocal: true},
			`app is connected as 2, with a login of the gate's: crm.member
app is connected as 6, with a login of the gate's: crm.member
dba is connected as 3: crm.member`},
		{"the gate comes by the socket",
			survey.Own{Logins: []string{"app"}, Local: true},
			`app is connected as 1, with a login of the gate's: crm.member
app is connected as 2, with a login of the gate's: crm.member
dba is connected as 3: crm.member`},
		{"nothing to tell by but the login",
			survey.Own{Logins: []string{"app"}},
			`dba is connected as 3: crm.member`},
		{"a gate without connections holds none of them",
			survey.Own{Logins: []string{"app"}, Backends: map[int32]bool{}},
			`app is connected as 1, with a login of the gate's: crm.member
app is connected as 2, with a login of the gate's: crm.member
app is connected as 5, with a login of the gate's: crm.member
app is connected as 6, with a login of the gate's: crm.member
dba is connected as 3: crm.member`},
	} {
		if got := said(survey.Outside(c.own, sessions, nil, nil, time.Time{})); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestOutsideRows(t *testing.T) {
	own := survey.Own{Logins: []string{"app"}}
	count := func(role, id string, calls, rows uint64) survey.Statement {
		return survey.Statement{Role: role, ID: id, Calls: calls, Rows: rows, Tables: member}
	}
	nobodys := survey.Statement{Role: "dba", ID: "9", Calls: 5, Rows: 5000}
	for _, c := range []struct {
		name        string
		before, now []survey.Statement
		want        string
	}{
		{"nothing before: since the server began to count", nil, []survey.Statement{count("dba", "1", 2, 400000), count("dba", "2", 1, 12000), count("app", "1", 9, 9), nobodys},
			"dba moved 412000 rows in 3 calls: crm.member"},
		{"only what is new", []survey.Statement{count("dba", "1", 2, 400000)}, []survey.Statement{count("dba", "1", 3, 400007)},
			"dba moved 7 rows in 1 calls: crm.member"},
		{"nothing new", []survey.Statement{count("dba", "1", 2, 400000)}, []survey.Statement{count("dba", "1", 2, 400000)}, ""},
		{"a question that found nobody is one, too", []survey.Statement{count("dba", "1", 2, 0)}, []survey.Statement{count("dba", "1", 3, 0)},
			"dba moved 0 rows in 1 calls: crm.member"},
		{"the counters were set back in between", []survey.Statement{count("dba", "1", 200, 400000)}, []survey.Statement{count("dba", "1", 1, 30)},
			"dba moved 30 rows in 1 calls: crm.member"},
		{"one statement that is counted twice, called from below, too", []survey.Statement{count("dba", "1", 1, 10), count("dba", "1", 1, 10)}, []survey.Statement{count("dba", "1", 1, 10), count("dba", "1", 2, 15)},
			"dba moved 5 rows in 1 calls: crm.member"},
		{"the worst first", nil, []survey.Statement{count("b", "1", 1, 10), count("a", "1", 1, 10), count("c", "1", 1, 11)},
			"c moved 11 rows in 1 calls: crm.member\na moved 10 rows in 1 calls: crm.member\nb moved 10 rows in 1 calls: crm.member"},
	} {
		if got := said(survey.Outside(own, nil, c.before, c.now, time.Unix(0, 0))); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
