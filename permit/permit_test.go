package permit

import (
	"fmt"
	"strings"
	"testing"

	"sekisho"
)

const hour = sekisho.Time(3600e6)

// A ledger of requests for one text, ordinal 5, written as a line of words:
// ask; approve N, reject N and use N, where N is the entry of an ask; +Nh passes
// time. The answer tells each request, and which of them would be used.
func play(script string) string {
	b := New()
	now, seq := sekisho.Time(1000*hour), uint64(0)
	for line := range strings.SplitSeq(script, "; ") {
		var n uint64
		verb, rest, _ := strings.Cut(line, " ")
		fmt.Sscan(rest, &n)
		var body sekisho.Body
		switch verb {
		case "ask":
			body = &sekisho.ExportAsked{Exact: 5, Most: 100, Lasts: 7200}
		case "approve":
			body = &sekisho.ExportDecided{Request: n, Action: "approved", Most: 100, Until: now + 2*hour}
		case "reject":
			body = &sekisho.ExportDecided{Request: n, Action: "rejected"}
		case "withdraw":
			body = &sekisho.ExportDecided{Request: n, Action: "withdrawn"}
		case "remove": // whoever approves here
			body = &sekisho.UserChanged{Action: "removed"}
		case "use":
			body = &sekisho.ExportUsed{Request: n}
		default:
			fmt.Sscanf(verb, "+%dh", &n)
			now += sekisho.Time(n) * hour
			continue
		}
		seq++
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: now, Body: body})
	}
	var out []string
	for _, r := range b.List() {
		out = append(out, fmt.Sprintf("%d %s", r.Number, r.State(now)))
	}
	none := func(*Request) bool { return false }
	if r, ok := b.For(5, now, none); ok {
		out = append(out, fmt.Sprintf("for: %d %s", r.Number, r.State(now)))
	}
	return strings.Join(out, ", ")
}

func TestRequests(t *testing.T) {
	for script, want := range map[string]string{
		"ask":                                    "1 asked, for: 1 asked",
		"ask; approve 1":                         "1 approved, for: 1 approved",
		"ask; approve 1; use 1":                  "1 used, for: 1 used",
		"ask; approve 1; +2h":                    "1 expired, for: 1 expired",
		"ask; approve 1; use 1; +2h":             "1 used, for: 1 used",
		"ask; reject 1; approve 1":               "1 rejected, for: 1 rejected",
		"ask; approve 1; reject 1":               "1 approved, for: 1 approved",
		"ask; +169h":                             "1 expired, for: 1 expired",
		"ask; approve 1; ask":                    "3 asked, 1 approved, for: 1 approved",
		"ask; approve 1; ask; approve 3":         "3 approved, 1 approved, for: 1 approved",
		"ask; approve 1; ask; approve 3; use 1":  "3 approved, 1 used, for: 3 approved",
		"ask; approve 1; use 1; ask; reject 4":   "4 rejected, 1 used, for: 4 rejected",
		"approve 7; use 7":                       "",
		"ask; use 1":                             "1 asked, for: 1 asked",
		"ask; approve 1; withdraw 1; use 1":      "1 withdrawn, for: 1 withdrawn",
		"ask; approve 1; use 1; withdraw 1":      "1 used, for: 1 used",
		"ask; approve 1; remove; use 1":          "1 lapsed, for: 1 lapsed",
		"ask; approve 1; use 1; remove":          "1 used, for: 1 used",
		"ask; approve 1; remove; ask; approve 4": "4 approved, 1 lapsed, for: 4 approved",
	} {
		if got := play(script); got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
}

// A use that the gate has made, and the book does not know yet, counts.
func TestSpentBeforeTheBookKnows(t *testing.T) {
	b := New()
	b.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: 1}, Body: &sekisho.ExportAsked{Exact: 5}})
	b.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: 2}, Body: &sekisho.ExportDecided{Request: 1, Action: "approved", Until: hour}})
	if _, ok := b.For(5, 0, func(r *Request) bool { return r.Number == 1 }); ok {
		t.Error("it could be used twice")
	}
	if n := b.Waiting(0); n != 0 {
		t.Errorf("%d wait", n)
	}
}

// An approval is taken back until it is used, once and for good; nothing else
// answers a request again.
func TestAnApprovalIsTakenBack(t *testing.T) {
	for name, c := range map[string]struct {
		then []sekisho.Body
		want State
	}{
		"taken back":              {[]sekisho.Body{&sekisho.ExportDecided{Request: 1, Action: "withdrawn"}}, Withdrawn},
		"and approved again":      {[]sekisho.Body{&sekisho.ExportDecided{Request: 1, Action: "withdrawn"}, &sekisho.ExportDecided{Request: 1, Action: "approved", Until: hour}}, Withdrawn},
		"rejected afterwards":     {[]sekisho.Body{&sekisho.ExportDecided{Request: 1, Action: "rejected"}}, Approved},
		"used, and taken back":    {[]sekisho.Body{&sekisho.ExportUsed{Request: 1}, &sekisho.ExportDecided{Request: 1, Action: "withdrawn"}}, Used},
		"used at the same moment": {[]sekisho.Body{&sekisho.ExportDecided{Request: 1, Action: "withdrawn"}, &sekisho.ExportUsed{Request: 1}}, Withdrawn},
		"approved for longer":     {[]sekisho.Body{&sekisho.ExportDecided{Request: 1, Action: "approved", Until: 9 * hour}}, Approved},
	} {
		b := New()
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: 1}, Body: &sekisho.ExportAsked{Exact: 5}})
		b.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: 2}, Body: &sekisho.ExportDecided{Request: 1, Action: "approved", Until: hour}})
		for i, body := range c.then {
			b.Apply(&sekisho.Entry{ID: sekisho.ID{Seq: uint64(3 + i)}, Body: body})
		}
		r, ok := b.For(5, 0, func(*Request) bool { return false })
		if !ok || r.State(0) != c.want || r.Decided.Until > hour {
			t.Errorf("%s: %s until %d, want %s", name, r.State(0), r.Decided.Until, c.want)
		}
	}
}

// Two statements are the same by their bytes alone, letters that are none
// included.
func TestKeysTellStatementsApart(t *testing.T) {
	seen := map[string]string{}
	for name, s := range map[string]Statement{
		"a text":          {Principal: 1, Role: "r", Text: []byte("select 'a'")},
		"another text":    {Principal: 1, Role: "r", Text: []byte("select 'b'")},
		"no letters":      {Principal: 1, Role: "r", Text: []byte("select '\xff'")},
		"no letters, too": {Principal: 1, Role: "r", Text: []byte("select '\xfe'")},
		"another person":  {Principal: 2, Role: "r", Text: []byte("select 'a'")},
		"for somebody":    {Principal: 1, Person: 3, Role: "r", Text: []byte("select 'a'")},
		"another role":    {Principal: 1, Role: "s", Text: []byte("select 'a'")},
		"a parameter":     {Principal: 1, Role: "r", Text: []byte("select 'a'"), Parameters: []byte{0, 1}},
		"a type":          {Principal: 1, Role: "r", Text: []byte("select 'a'"), Types: []byte{0, 1}},
		"other tables":    {Principal: 1, Role: "r", Text: []byte("select 'a'"), Tables: []string{"crm.member"}},
		"the second":      {Principal: 1, Role: "r", Text: []byte("select 'a'"), Index: 1},
	} {
		key := string(s.Key())
		if seen[key] != "" {
			t.Errorf("%s is %s", name, seen[key])
		}
		seen[key] = name
		back, err := ParseStatement(key)
		if err != nil || string(back.Key()) != key || string(back.Text) != string(s.Text) {
			t.Errorf("%s reads back as %+v, %v", name, back, err)
		}
	}
}
