package incident

import (
	"fmt"
	"strings"
	"testing"

	"sekisho"
)

// enquiries is a fold fed with a line of words: ask KIND; phone KIND; match N
// SUBJECT (with a code unless it is 0); mail N OUTCOME; proof N SUBJECT, by
// code; refuse N; hand N; code N; answer N; machine N; later N; close N; lay N
// INCIDENT; allow INCIDENT; approve N, reject N, end N. N is the entry of what
// it is about.
func enquiries(t *testing.T, script string) *Enquiries {
	t.Helper()
	b := NewEnquiries()
	for i, line := range strings.Split(script, "; ") {
		verb, rest, _ := strings.Cut(line, " ")
		var n, m uint64
		fmt.Sscan(rest, &n, &m)
		seq := uint64(i + 1)
		receipt := [32]byte{byte(seq)}
		var body sekisho.Body
		switch verb {
		case "ask":
			body = &sekisho.EnquiryReceived{Asked: rest, Receipt: receipt}
		case "phone":
			body = &sekisho.EnquiryReceived{Asked: rest, Receipt: receipt, By: 3}
		case "match":
			one := &sekisho.EnquiryMatched{Enquiry: n, Space: "member", Subject: uint32(m)}
			if m != 0 {
				one.Code = [32]byte{byte(seq)}
			}
			body = one
		case "mail":
			body = &sekisho.EnquiryMailed{Enquiry: n, Letter: "code", Basis: m, Outcome: "taken"}
		case "proof":
			body = &sekisho.IdentityChecked{Enquiry: n, Space: "member", Subject: uint32(m), Means: "code", Result: "confirmed"}
		case "refuse":
			body = &sekisho.IdentityChecked{Enquiry: n, Means: "licence", Result: "refused", By: 3}
		case "hand":
			body = &sekisho.EnquiryRouted{Enquiry: n, Action: "by_hand"}
		case "code":
			body = &sekisho.EnquiryRouted{Enquiry: n, Action: "code"}
		case "lay":
			body = &sekisho.EnquiryRouted{Enquiry: n, Action: "incident", Incident: m}
		case "answer":
			body = &sekisho.EnquiryAnswered{Enquiry: n, Result: "informed", By: 3}
		case "machine":
			body = &sekisho.EnquiryAnswered{Enquiry: n, Result: "informed"}
		case "later":
			body = &sekisho.EnquiryAnswered{Enquiry: n, Result: "extended", Until: 9000, By: 3}
		case "close":
			body = &sekisho.EnquiryClosed{Enquiry: n, Reason: "withdrawn"}
		case "allow":
			body = &sekisho.AnswersAllowed{Incident: n, Action: "asked"}
		case "approve":
			body = &sekisho.AnswersAllowed{Action: "approved", Request: n}
		case "reject":
			body = &sekisho.AnswersAllowed{Action: "rejected", Request: n}
		case "end":
			body = &sekisho.AnswersAllowed{Action: "ended", Request: n}
		default:
			t.Fatalf("no such line: %q", line)
		}
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: sekisho.Time(seq * 100), Body: body})
	}
	return b
}

// How far each enquiry has come, and what sekisho itself has to do next.
func TestEnquiries(t *testing.T) {
	for script, want := range map[string]string{
		"ask affected":                                                         "1 proof; to compare [1]",
		"ask affected; match 1 0":                                              "1 proof",
		"ask affected; match 1 5":                                              "1 proof; to mail [1]",
		"ask affected; match 1 5; mail 1 2":                                    "1 proof",
		"ask affected; match 1 5; mail 1 2; code 1":                            "1 proof; to compare [1]",
		"ask affected; match 1 5; code 1; match 1 5; mail 1 2":                 "1 proof; to mail [1]", // the letter of a code that counts no more
		"ask affected; match 1 5; mail 1 2; proof 1 5":                         "1 answer; to answer [1]",
		"ask affected; match 1 5; proof 1 5; machine 1":                        "1 answered; to mail [1]; told [1]",
		"ask affected; hand 1":                                                 "1 check; to compare [1]",
		"ask affected; hand 1; refuse 1":                                       "1 check",
		"ask affected; match 1 0; refuse 1; proof 1 5":                         "1 answer; to answer [1]",
		"phone accesses":                                                       "1 check",
		"ask complaint":                                                        "1 answer; to compare [1]; to answer [1]",
		"ask complaint; match 1 0; later 1":                                    "1 answer; to answer [1]",
		"ask complaint; match 1 0; later 1; answer 1":                          "1 answered",
		"ask complaint; match 1 0; answer 1; close 1":                          "1 closed",
		"ask affected; close 1; match 1 5":                                     "1 closed; to mail [1]",
		"match 7 5; mail 7 1; proof 7 5; hand 7; answer 7; close 7; approve 7": "",
		"ask misuse; ask misuse; match 1 0; match 2 0; lay 1 40":               "1 answer; 2 answer; to answer [1 2]; misuse of 40 [1]",
		"allow 40":                                 "",
		"allow 40; approve 1":                      "allowed [1]",
		"allow 40; reject 1; approve 1":            "",
		"allow 40; approve 1; allow 40; approve 3": "allowed [3]",
		"allow 40; approve 1; allow 40; reject 3":  "allowed [1]",
		"allow 40; approve 1; end 1":               "",
	} {
		b := enquiries(t, script)
		var out []string
		b.Each(func(q *Enquiry) bool {
			out = append(out, fmt.Sprint(q.Number, " ", q.Standing()))
			return true
		})
		list := func(what string, of []Enquiry) {
			var numbers []uint64
			for _, q := range of {
				numbers = append(numbers, q.Number)
			}
			if len(numbers) > 0 {
				out = append(out, fmt.Sprint(what, " ", numbers))
			}
		}
		list("to compare", b.Fresh(10))
		list("to mail", b.Unmailed())
		list("to answer", b.Unanswered())
		list("told", b.Told())
		list("misuse of 40", b.Misuse(40))
		var allowed []uint64
		for _, a := range b.Allowed() {
			allowed = append(allowed, a.Request)
		}
		if len(allowed) > 0 {
			out = append(out, fmt.Sprint("allowed ", allowed))
		}
		if got := strings.Join(out, "; "); got != want {
			t.Errorf("%s\n got %s\nwant %s", script, got, want)
		}
	}
}

// Codes of a person are counted over all enquiries, as far back as is kept.
func TestCodesOfAPerson(t *testing.T) {
	script := "ask affected"
	for range 12 {
		script += "; match 1 5"
	}
	b := enquiries(t, script+"; match 1 6")
	for since, want := range map[sekisho.Time]int{0: codesKept, 1200: 2, 1400: 0} {
		if got := b.CodesSince("member", 5, since); got != want {
			t.Errorf("since %d: %d, want %d", since, got, want)
		}
	}
	if b.CodesSince("member", 6, 0) != 1 || b.CodesSince("other", 5, 0) != 0 {
		t.Error("people are mixed up")
	}
}
