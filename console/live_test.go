package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sekisho"
)

func TestLivePageSaysWhoReadWhat(t *testing.T) {
	h := newHouse(t)
	h.lookup("sato", "pc-0417", sekisho.Identity|sekisho.Contact, 1001)
	h.lookup("suzuki", "unverified@10.9.9.9", sekisho.TravelDoc, 1001, 1002, 1002)
	b := h.signedIn("en")
	for path, want := range map[string][]string{
		"/":                          {"sato", "pc-0417", "desk", "inquiry", "Identity", "Contact", "crm.member", "Completed", "suzuki", "unverified", "Travel document", "22 Sep 2014 10:00:00"},
		"/?endpoint=pc-0417":         {"sato"},
		"/?category=travel_document": {"suzuki"},
		"/?principal=nobody":         {"No access to customer data matches"},
	} {
		a := b.get(path)
		for _, w := range want {
			if !strings.Contains(a.body, w) {
				t.Errorf("%s lacks %q", path, w)
			}
		}
	}
	if a := b.get("/?endpoint=pc-0417"); strings.Contains(a.body, "suzuki") {
		t.Error("the filter lets others through")
	}
	if a := b.get("/?category=nonsense"); a.status != http.StatusBadRequest {
		t.Errorf("a category that does not exist got %d", a.status)
	}
	var p livePage
	must(t, json.Unmarshal([]byte(b.json("/").body), &p))
	if len(p.Accesses) != 2 || p.Accesses[0].Customers != 2 || p.Accesses[0].Rows != 3 || p.Accesses[0].Verified {
		t.Errorf("as JSON: %+v", p.Accesses)
	}
	if a := b.get("/"); strings.Contains(a.body, "1001") {
		t.Error("the live page names a customer")
	}
}

// A long result is one line, which counts each customer once, and changes
// until it ends.
func TestLiveFollowsOneStatement(t *testing.T) {
	h := newHouse(t)
	session := h.lookup("sato", "pc-0417", sekisho.Identity, 1)
	shape := h.append(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}})
	state := func() string {
		p := h.console.liveSince(liveFilter{}, 0)
		a := p.Accesses[0]
		return fmt.Sprintf("%d lines; number %d: %d customers, %d rows, %s", len(p.Accesses), a.Number, a.Customers, a.Rows, a.Outcome)
	}
	chunk := func(more bool, subjects ...uint32) {
		h.append(&sekisho.Access{Session: session, Shape: shape, Number: 2, Class: sekisho.Exact, More: more, Rows: uint64(len(subjects)), Subjects: subjects})
	}
	for _, step := range []struct {
		do   func()
		want string
	}{
		{func() { chunk(true, 5, 6, 5) }, "2 lines; number 2: 2 customers, 3 rows, open"},
		{func() { chunk(true, 6, 7) }, "2 lines; number 2: 3 customers, 5 rows, open"},
		{func() {
			h.append(&sekisho.AccessClosed{Session: session, Number: 2, Outcome: sekisho.ClientGone})
		}, "2 lines; number 2: 3 customers, 5 rows, client gone"},
		{func() {
			h.append(&sekisho.Refused{Session: session, Number: 3, SQLState: "42501", Reason: "names"})
		}, "3 lines; number 3: 0 customers, 0 rows, refused"},
		// One that is cut is one line, however its refusal and its end are written.
		{func() {
			h.append(&sekisho.Access{Session: session, Shape: shape, Number: 4, Class: sekisho.Exact, More: true, Rows: 2, Subjects: []uint32{8, 9}})
			h.append(&sekisho.AccessClosed{Session: session, Number: 4, Outcome: sekisho.CutOff})
			h.append(&sekisho.Refused{Session: session, Number: 4, SQLState: "53400", Reason: "budget"})
		}, "4 lines; number 4: 2 customers, 2 rows, cut off"},
		{func() {
			h.append(&sekisho.Access{Session: session, Shape: shape, Number: 5, Class: sekisho.Exact, More: true, Rows: 1, Subjects: []uint32{8}})
			h.append(&sekisho.Refused{Session: session, Number: 5, SQLState: "53400", Reason: "export"})
			h.append(&sekisho.AccessClosed{Session: session, Number: 5, Outcome: sekisho.CutOff})
		}, "5 lines; number 5: 1 customers, 1 rows, cut off"},
	} {
		if step.do(); state() != step.want {
			t.Errorf("got  %s\nwant %s", state(), step.want)
		}
	}
}

// What was written before its row came, and is taken back, shows nobody.
func TestLiveTakesBack(t *testing.T) {
	h := newHouse(t)
	session := h.lookup("sato", "pc-0417", sekisho.Identity, 1)
	shape := h.append(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}})
	for n := uint64(2); n < 5; n++ {
		h.append(&sekisho.Access{Session: session, Shape: shape, Number: n, Class: sekisho.Exact, Rows: 1, Subjects: []uint32{7}})
	}
	h.append(&sekisho.AccessClosed{Session: session, Number: 3, Outcome: sekisho.Completed})
	got := ""
	for _, a := range h.console.liveSince(liveFilter{}, 0).Accesses {
		got = fmt.Sprintf("%d:%d/%d ", a.Number, a.Customers, a.Rows) + got
	}
	if want := "1:1/1 2:1/1 3:0/0 4:1/1 "; got != want {
		t.Errorf("statement:customers/rows are %s, not %s", got, want)
	}
}

func TestLiveStream(t *testing.T) {
	h := newHouse(t)
	b := h.signedIn("ja")
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	defer stop()
	r := b.request("GET", "/live/events", nil).WithContext(ctx)
	r.Header.Set("Accept-Language", "ja")
	res, err := b.Do(r)
	must(t, err)
	defer res.Body.Close()
	if got := res.Header.Get("Content-Type"); !strings.HasPrefix(got, "text/event-stream") {
		t.Fatalf("the stream is %s", got)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	next := func(event string) string {
		for found := false; lines.Scan(); {
			if lines.Text() == "event: "+event {
				found = true
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok && found {
				return data
			}
		}
		t.Fatalf("the stream ended before %q: %v", event, lines.Err())
		return ""
	}
	next("hello")
	h.lookup("sato", "pc-0417", sekisho.Identity, 1001)
	var f fragment
	must(t, json.Unmarshal([]byte(next("accesses")), &f))
	for _, want := range []string{"sato", "pc-0417", "本人", "参照"} {
		if !strings.Contains(f.Rows, want) {
			t.Errorf("the event lacks %q:\n%s", want, f.Rows)
		}
	}
	if !strings.Contains(f.Chart, "<svg") {
		t.Error("the event has no chart")
	}
	h.console.Close(context.Background())
	for lines.Scan() { // ends, or the test's deadline does
	}
	if ctx.Err() != nil {
		t.Error("the stream outlived the console")
	}
}

// A browser that stopped reading holds up neither the ledger's followers nor
// the browsers beside it.
func TestSlowBrowserHoldsNobodyUp(t *testing.T) {
	h := newHouse(t)
	b := h.signedIn("en")
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for range 3 {
		res, err := b.Do(b.request("GET", "/live/events", nil).WithContext(ctx))
		must(t, err)
		defer res.Body.Close()
	}
	session := h.lookup("sato", "pc-0417", sekisho.Identity, 1)
	for n := range uint64(3000) {
		_, err := h.ledger.Append(ctx, &sekisho.Refused{Session: session, Number: n + 2, Reason: strings.Repeat("x", 500)})
		must(t, err)
	}
	h.settle()
	if a := b.get("/"); a.status != http.StatusOK || !strings.Contains(a.body, "The newest 25 are shown") {
		t.Errorf("beside it the page is %d", a.status)
	}
	if a := b.get("/?rows=more&endpoint=pc"); a.status != http.StatusOK || !strings.Contains(a.body, "The newest 300 are shown") || strings.Contains(a.body, "rows=more\">") {
		t.Errorf("asked for more, the page is %d", a.status)
	}
}

// What the page keeps has a bound, whatever the ledger holds.
func TestLiveForgets(t *testing.T) {
	l := NewLive()
	apply := func(seq uint64, at sekisho.Time, b sekisho.Body) {
		l.Apply(&sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: seq}, Time: at, Body: b})
	}
	for i := range uint64(3*livePast + 7) {
		apply(i+1, sekisho.Time(i*60e6), &sekisho.Access{Session: 1, Number: i, Class: sekisho.Exact, Subjects: []uint32{1}})
	}
	if len(l.ring) > 2*livePast || len(l.minutes) > liveMinutes+2 || len(l.open) != 0 {
		t.Errorf("kept %d lines, %d minutes, %d open", len(l.ring), len(l.minutes), len(l.open))
	}
	apply(100_000, 1e15, &sekisho.Access{Session: 1, Number: 99, More: true, Subjects: []uint32{7}})
	apply(100_001, 1e15, &sekisho.LedgerOpened{})
	if row := l.ring[len(l.ring)-1]; row.outcome != "process ended" || len(l.open) != 0 {
		t.Errorf("after a crash a statement is %q", row.outcome)
	}
}

// What the policy refuses is shown with the policy's own words, in the reader's
// language; what it would have said in observe mode, as that.
func TestLiveShowsThePolicysWords(t *testing.T) {
	h := newHouse(t)
	session := h.lookup("sato", "pc-0417", sekisho.Identity, 1)
	h.append(&sekisho.Ruled{Session: session, Number: 2, Enforced: true, Decision: "refuse", Rules: []string{"never-by-people"}, ReasonEn: "never shown to people", ReasonJa: "人には表示されません"})
	h.append(&sekisho.Refused{Session: session, Number: 2, SQLState: "42501", Reason: "policy_refused"})
	shape := h.append(&sekisho.Shape{Verb: sekisho.Read, Space: "member", Tables: []string{"crm.member"}})
	h.append(&sekisho.Ruled{Session: session, Number: 3, Decision: "cap 500 rows", Rules: []string{"call-centre-500"}, ReasonEn: "at most 500", ReasonJa: "500 行まで"})
	h.append(&sekisho.Access{Session: session, Shape: shape, Number: 3, Class: sekisho.Exact, Rows: 1, Subjects: []uint32{7}})
	h.append(&sekisho.Access{Session: session, Shape: shape, Number: 4, Class: sekisho.Exact, Rows: 1, Subjects: []uint32{7}})
	for lang, want := range map[string][]string{
		"en": {"never shown to people", "never-by-people", "The policy would say: cap 500 rows"},
		"ja": {"人には表示されません", "never-by-people", "ポリシーに従うなら： cap 500 rows"},
	} {
		b := h.signedIn(lang)
		r := b.request("GET", "/", nil)
		r.Header.Set("Accept-Language", lang)
		res, err := b.Do(r)
		must(t, err)
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		must(t, err)
		for _, words := range want {
			if strings.Count(string(body), words) != 1 {
				t.Errorf("%s: %q stands there %d times", lang, words, strings.Count(string(body), words))
			}
		}
	}
}
