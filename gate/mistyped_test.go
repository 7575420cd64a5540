package gate

import (
	"strings"
	"testing"
)

// Where the gate only observes, whoever mistypes reads what the server says of
// it, whole, and nobody is taken to have been read. What the server's grammar
// says of a value is withheld there, too.
func TestMistyped(t *testing.T) {
	h := newHouse(t)
	direct, through := h.rawDirect(), h.raw("watched")
	for _, script := range []string{
		"Q selec 1",
		"Q select 1 +",
		"Q select name frm crm.member wher member_no = 1001",
		"Q select 'é' selec 'ü' frmo",
		`P "" selec 1` + "\nS",
		`Q select "`,
	} {
		diff(t, script, through.run(script), direct.run(script))
	}
	if got := through.run("Q select email::regtype from crm.member where member_no = 1001"); !strings.Contains(got, "withheld by sekisho") || strings.Contains(got, "example") {
		t.Errorf("a value that is no type's name: %s", got)
	}
	through.conn.Close()
	h.stop()
	accounts := h.accounts()
	if len(accounts) == 0 {
		t.Error("nobody was read of whom the server told")
	}
	for _, a := range accounts {
		if !strings.Contains(a.tables, "crm.member") {
			t.Errorf("somebody who mistyped has read: %+v", a)
		}
	}
}
