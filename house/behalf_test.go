package house

import (
	"math"
	"slices"
	"testing"

	"sekisho/gate"
	"sekisho/trace"
)

// From a statement of an application to the four numbers of the terminal that
// its user sits at.
func TestImpactOfATerminalBehindAnApplication(t *testing.T) {
	s := newSite(t)
	s.close()
	web := s.config.Gate.Principals[0]
	web.Name, web.SpeaksFor = "web", gate.SpeaksFor{User: true, Terminal: true}
	s.config.Gate.Principals = append(s.config.Gate.Principals, web)
	s.open()
	c := s.connect("postgres://web:open%20sesame@" + s.gate + "/crm?sslmode=disable")
	tx, err := c.Begin(t.Context())
	must(t, err)
	for _, one := range []struct {
		sql  string
		args []any
	}{
		{"select set_config('sekisho.user', $1, true), set_config('sekisho.terminal', $2, true)", []any{"alice", "pc-0417"}},
		{"select name from crm.member where member_no = $1", []any{int64(7)}},
	} {
		_, err := tx.Exec(t.Context(), one.sql, one.args...)
		must(t, err)
	}
	must(t, tx.Commit(t.Context()))
	_, err = c.Exec(t.Context(), "select name from crm.member where member_no = $1 /*terminal='pc-0533',user='bob'*/", int64(8))
	must(t, err)
	must(t, s.house.Settle(t.Context()))

	seven, _ := s.house.Vault.Space("member").Find("7")
	alice, _ := s.house.Vault.Space("staff").Find("alice")
	a, err := s.house.Trace.Impact(trace.Question{Endpoints: []string{"pc-0417"}, Until: math.MaxInt64, Lists: true}, nil)
	must(t, err)
	if !slices.Contains(a.Lists.WorstCase, seven) {
		t.Errorf("the worst case of the terminal is %v, and member 7 is %d", a.Lists.WorstCase, seven)
	}
	who := s.house.Trace.WhoRead("member", seven, 0)
	if len(who) != 1 || who[0].Principal != alice || who[0].Endpoint != "pc-0417" || who[0].Through != "unverified@127.0.0.1" || who[0].Lost {
		t.Errorf("who read member 7: %+v", who)
	}
	if of := s.house.Trace.Located("member", 0, math.MaxInt64); of.Accesses != 2 || of.Unknown != 2 {
		t.Errorf("the application's own server is not known, so neither are the terminals: %+v", of)
	}
	if got := s.house.Trace.Terminals(); !slices.Contains(got, "pc-0533") {
		t.Errorf("terminals: %v", got)
	}
}
