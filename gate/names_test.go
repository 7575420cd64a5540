package gate

import "testing"

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
