package gate

import (
	"strings"
	"testing"
)

// The server may refuse the second meaning of a name, so that what runs by it is
// still the first: a write, or a COMMIT behind one.
func TestNamesThatMayStillMeanAWrite(t *testing.T) {
	const other = "select name from crm.member where member_no = 1001"
	h := newWritingHouse(t, "")
	for name, script := range map[string]string{
		"a statement, bound":             "P a update crm.member set city = 'Nara' where member_no = 1042\nS\nQ prepare a as " + other + "\nB \"\" a - -\nE \"\" 0\nS",
		"a statement, by EXECUTE":        "P a update crm.member set city = 'Nara' where member_no = 1042\nS\nQ prepare a as " + other + "\nQ execute a",
		"a statement that was described": "P a update crm.member set city = 'Nara' where member_no = 1042\nS\nQ prepare a as " + other + "\nD S a\nS",
		"a Close that was skipped":       "P a update crm.member set city = 'Nara' where member_no = 1042\nS\nP x select from where\nC S a\nS\nQ prepare a as " + other + "\nQ execute a",
		"a portal":                       "Q begin\nP u update crm.member set city = 'Nara' where member_no = 1042\nB c u - -\nS\nQ savepoint s\nQ declare c cursor for " + other + "\nQ rollback to s\nE c 0\nS\nQ commit",
		"a COMMIT":                       "P c commit\nS\nQ prepare c as " + other + "\nQ begin\nP u update crm.member set city = 'Nara' where member_no = 1043\nB \"\" u - -\nE \"\" 0\nB \"\" c - -\nE \"\" 0\nS",
	} {
		h.raw("sato").run(script + "\nQ rollback")
		if out := h.direct("select member_no from crm.member where city = 'Nara'"); out != "" {
			t.Errorf("%s: written: %q, and the ledger says %q", name, out, h.wrote())
		}
	}
}

// The server cuts long names, so that two of them may be one.
func TestLongNamesMeanNothing(t *testing.T) {
	h := newWritingHouse(t, "")
	n := strings.Repeat("n", 63)
	for _, script := range []string{
		"P Na select name from crm.airport\nS\nC S Nb\nS\nP Nc select email from crm.member where member_no = 1042\nS\nB \"\" Na - -\nE \"\" 0\nS",
		"P Na select name from crm.airport\nS\nC S Nb\nS\nP Nc update crm.member set city = 'Nara' where member_no = 1042\nS\nB \"\" Na - -\nE \"\" 0\nS",
		"P Na update crm.member set city = 'Nara' where member_no = 1042\nS\nB \"\" Nb - -\nE \"\" 0\nS",
		"Q begin\nP u update crm.member set city = 'Nara' where member_no = 1042\nB Na u - -\nE Nb 0\nS\nQ commit",
		"Q begin\nP f select name from crm.airport\nP u select email from crm.member where member_no = 1042\nB Na f - -\nC P Nb\nB Nc u - -\nE Na 0\nS\nQ commit",
		"P u select name from crm.airport\nB ü u - -\nE ü 0\nS",
	} {
		got := h.raw("sato").run(strings.ReplaceAll(script, "N", n) + "\nQ rollback")
		if !strings.Contains(got, "C42622") || strings.Contains(got, "m42@") {
			t.Errorf("%s:\n%s", script, got)
		}
	}
	if out := h.direct("select member_no from crm.member where city = 'Nara'"); out != "" {
		t.Errorf("written: %q", out)
	}
}

// The server keeps the statement of a Query that the gate ran in pieces, if it
// failed. Nobody can run it again.
func TestNothingIsLeftOfAWriteThatFailed(t *testing.T) {
	h := newWritingHouse(t, "", func(o *options) {
		r := o.gate.Roles["staff"]
		r.AskAbove = 3
		o.gate.Roles["staff"] = r
	})
	got := h.raw("sato").run("Q update crm.member set city = 'Nara' where member_no between 1001 and 1010 returning name\nB \"\" \"\" - -\nE \"\" 0\nS\nE \"\" 0\nS")
	if !strings.Contains(got, "unnamed prepared statement does not exist") || !strings.Contains(got, `portal \"\" does not exist`) {
		t.Error(got)
	}
	if out := h.direct("select member_no from crm.member where city = 'Nara'"); out != "" {
		t.Errorf("written: %q, and the ledger says %q", out, h.wrote())
	}
}
