package sensor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho"
)

// keys stands in for the vault: ordinals by space and key.
type keys struct {
	mu  sync.Mutex
	all map[string][]string
}

func (k *keys) ordinal(space, key string) uint32 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[string][]string{}
	}
	if i := slices.Index(k.all[space], key); i >= 0 {
		return uint32(i + 1)
	}
	k.all[space] = append(k.all[space], key)
	return uint32(len(k.all[space]))
}

var eventsNow = time.Date(2016, 3, 19, 2, 0, 0, 0, time.UTC)

func reader(k *keys) *Events {
	return &Events{Source: "mail-gateway", Domains: []string{"aozora-air.example"}, Shared: []string{"enquiry@agency.example"}, Ordinal: k.ordinal, Now: eventsNow}
}

const lure = `{"class_uid":4009,"activity_id":2,"severity_id":1,"time":1458000000000,"metadata":{"uid":"m-1","version":"1.4.0"},
 "device":{"hostname":"MX-01"},"src_endpoint":{"ip":"203.0.113.9"},"smtp_from":"a@rental.example",
 "email":{"from":"Sora <sora@aoz0ra-air.example>","to":["Enquiry@agency.example"],"subject":"e-ticket copy",
 "files":[{"name":"e-ticket.zip","size":412000,"hashes":[{"algorithm_id":3,"value":"` + "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" + `"}]}]}}`

func TestAMailIsRead(t *testing.T) {
	k := &keys{}
	d, err := reader(k).Read([]byte("[" + lure + "]"))
	if err != nil || len(d.Observations) != 1 {
		t.Fatalf("%+v, %v", d, err)
	}
	b := d.Observations[0]
	if got := strings.Join(b.Traits, " "); got != "shared attachment archive lookalike" {
		t.Errorf("traits: %s", got)
	}
	if b.Endpoint != "mx-01" || b.Target.String() != "203.0.113.9" || b.Size != 412000 || b.Content[1] != 0x11 || len(b.To) != 1 {
		t.Errorf("%+v", b)
	}
	if k.all["mailbox"][b.Sender-1] != "sora@aoz0ra-air.example" || k.all["object"][b.Object-1] != "e-ticket copy" || k.all["domain"][b.Domain-1] != "aoz0ra-air.example" {
		t.Errorf("%v", k.all)
	}
	// No name, address or subject stands in the entry itself.
	text := fmt.Sprintf("%q", (&sekisho.Entry{Body: b}).AppendEncode(nil))
	for _, personal := range []string{"sora", "enquiry", "ticket", "agency"} {
		if strings.Contains(strings.ToLower(text), personal) {
			t.Errorf("the entry says %q", personal)
		}
	}
}

func TestEveryClassIsRead(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{`{"class_uid":1001,"activity_id":1,"time":1458000000000,"device":{"name":"srv-9"},"actor":{"user":{"name":"svc.report"}},"file":{"path":"/srv/out/list.csv","name":"list.csv","size":99}}`,
			"1001 srv-9 actor=1 object=1 size=99 [table]"},
		{`{"class_uid":1001,"activity_id":1,"time":1458000000000,"device":{"name":"srv-9"},"file":{"name":"a","data_classifications":[{"category_id":1}]}}`, "1001 srv-9 actor=0 object=1 size=0 [no_extension personal_data]"},
		{`{"class_uid":1007,"activity_id":1,"time":1458000000000,"device":{"name":"pc-1"},"process":{"name":"a.exe","cmd_line":"a.exe /password","file":{"path":"C:\\t\\a.exe","name":"a.exe"}}}`, "1007 pc-1 actor=0 object=1 size=0 [program]"},
		{`{"class_uid":2004,"activity_id":1,"severity_id":4,"time":1458000000000,"finding_info":{"title":"odd traffic"},"evidences":[{"src_endpoint":{"hostname":"web-1"},"dst_endpoint":{"ip":"198.51.100.7","port":443}}]}`,
			"2004 web-1 actor=0 object=1 size=0 → 198.51.100.7:443"},
		{`{"class_uid":3002,"activity_id":1,"status_id":2,"time":1458000000000,"user":{"name":"anna"},"src_endpoint":{"ip":"10.1.1.1"}}`, "3002  actor=1 object=0 size=0 [failed]"},
		{`{"class_uid":4001,"activity_id":5,"time":1458000000000,"src_endpoint":{"hostname":"web-1","ip":"10.1.1.1"},"dst_endpoint":{"ip":"198.51.100.7","port":443}}`, "4001 web-1 actor=0 object=0 size=0 → 198.51.100.7:443 blocked"},
		{`{"class_uid":4003,"activity_id":1,"time":1458000000000,"src_endpoint":{"hostname":"web-1"},"query":{"hostname":"c2.example."}}`, "4003 web-1 actor=0 object=1 size=0"},
		{`{"class_uid":5001,"activity_id":1,"time":1458000000000,"device":{"hostname":"db-1"},"status_code":"disk_space","unmapped":{"free_bytes":1000}}`, "5001 db-1 actor=0 object=0 size=1000 [disk_full]"},
	} {
		d, err := reader(&keys{}).Read([]byte(c.event))
		if err != nil || len(d.Observations) != 1 {
			t.Errorf("%s: %+v, %v", c.event, d, err)
			continue
		}
		b := d.Observations[0]
		got := fmt.Sprintf("%d %s actor=%d object=%d size=%d", b.Class, b.Endpoint, b.Actor, b.Object, b.Size)
		if b.Target.IsValid() {
			got += fmt.Sprintf(" → %v:%d", b.Target, b.Port)
		}
		if b.Blocked {
			got += " blocked"
		}
		if len(b.Traits) > 0 {
			got += fmt.Sprint(" ", b.Traits)
		}
		if got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.event, got, c.want)
		}
	}
}

func TestWhatCannotBeReadIsNamed(t *testing.T) {
	for _, c := range []struct{ event, want string }{
		{`{"time":1}`, "class_uid is missing"},
		{`{"class_uid":1999,"time":1458000000000}`, "none that is taken in"},
		{`{"class_uid":"4001"}`, "class_uid is not of its type"},
		{`{"class_uid":4001}`, "time is missing"},
		{`{"class_uid":4001,"time":1558000000000}`, "a day ahead"},
		{`{"class_uid":4001,"time":1458000000000,"src_endpoint":{"ip":"here"}}`, "an address is none"},
		{`{"class_uid":4001,"time":1458000000000,"dst_endpoint":{"port":70000}}`, "port is out of range"},
		{`{"class_uid":4001,"time":1458000000000,"device":{"hostname":"a\u0007"}}`, "cannot be an endpoint's"},
		{`{"class_uid":4001,"time":1458000000000,"device":{"hostname":"unverified@1"}}`, "cannot be an endpoint's"},
		{`{"class_uid":4001,"activity_id":-3,"time":1458000000000}`, "out of range"},
		{`7`, "not of its type"},
	} {
		d, err := reader(&keys{}).Read([]byte(c.event))
		if err != nil || d.Rejected != 1 || !strings.Contains(d.Rejections[0].Reason, c.want) {
			t.Errorf("%s: %+v, %v; want %q", c.event, d, err, c.want)
		}
	}
	for _, batch := range []string{"{", "[{}", "[{},", "[] []", "nonsense", "[" + strings.Repeat("{},", MostEvents) + "{}]"} {
		if _, err := reader(&keys{}).Read([]byte(batch)); !errors.Is(err, ErrNotEvents) {
			t.Errorf("%.20s: %v", batch, err)
		}
	}
}

func TestLooksLike(t *testing.T) {
	for _, c := range []struct {
		domain, real string
		want         bool
	}{
		{"aozora-air.example", "aozora-air.example", false},
		{"mail.aozora-air.example", "aozora-air.example", false},
		{"aoz0ra-air.example", "aozora-air.example", true},
		{"aozora-alr.example", "aozora-air.example", true},
		{"aozoraair.example", "aozora-air.example", true},
		{"aozroa-air.example", "aozora-air.example", true},
		{"aozora-air.co.jp", "aozora-air.example", true},
		{"aozora-air.example.evil.test", "aozora-air.example", true},
		{"marnine.co.jp", "mamine.co.jp", true},
		{"kaede.co.jp", "mamine.co.jp", false},
		{"news.example", "neus.example", false}, // too short a name to tell
		{"weather.example", "aozora-air.example", false},
		{"ana-eticket.example", "skynippon.example", false},
		{"aozora-air-eticket.example", "aozora-air.example", true},
		{"skynippon-eticket.example", "skynippon.example", true},
	} {
		if got := LooksLike(c.domain, c.real); got != c.want {
			t.Errorf("%s like %s: %v", c.domain, c.real, got)
		}
	}
}

// posted is the door on a real socket, over a ledger in memory that can fail.
type posted struct {
	*testing.T
	url    string
	mu     sync.Mutex
	ledger []sekisho.Body
	fails  bool
	hold   chan struct{} // Take waits for it, if it is not nil
}

func openEvents(t *testing.T) *posted {
	p := &posted{T: t}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url = "http://" + l.Addr().String() + "/events"
	k := &keys{}
	done := make(chan error, 1)
	go func() {
		done <- ReceiveEvents(t.Context(), l, EventsOptions{
			Sources: []Source{{"mail-gateway", "one"}, {"edr", "two"}, {"nobody", ""}}, Reported: NewReported(), Ordinal: k.ordinal,
			Now: func() time.Time { return eventsNow },
			Take: func(b []sekisho.Body) error {
				p.mu.Lock()
				hold, fails := p.hold, p.fails
				p.mu.Unlock()
				if hold != nil {
					<-hold
				}
				if fails {
					return errors.New("the disk is full")
				}
				p.mu.Lock()
				defer p.mu.Unlock()
				p.ledger = append(p.ledger, b...)
				return nil
			},
		})
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *posted) post(token, batch string) (int, Taken, http.Header) {
	p.Helper()
	r, err := http.NewRequest("POST", p.url, strings.NewReader(batch))
	if err != nil {
		p.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	var t Taken
	b, _ := io.ReadAll(resp.Body)
	json.Unmarshal(b, &t)
	return resp.StatusCode, t, resp.Header
}

func TestEventsAreTakenInOnce(t *testing.T) {
	p := openEvents(t)
	line := strings.ReplaceAll(lure, "\n", "")
	other := strings.Replace(line, `"m-1"`, `"m-2"`, 1)
	if code, taken, _ := p.post("one", "["+line+`,{"class_uid":7}]`); code != 200 || taken.Accepted != 1 || taken.Rejected != 1 || taken.Reasons[0].Index != 1 {
		t.Errorf("%d, %+v", code, taken)
	}
	// The same again, one event a line, with another.
	if code, taken, _ := p.post("one", line+"\n"+other+"\n"+other); code != 200 || taken.Accepted != 1 || taken.Repeated != 2 {
		t.Errorf("%d, %+v", code, taken)
	}
	// Another source's event of that name is another event.
	if code, taken, _ := p.post("two", line); code != 200 || taken.Accepted != 1 {
		t.Errorf("%d, %+v", code, taken)
	}
	before := len(p.ledger)
	if code, taken, _ := p.post("one", line); code != 200 || taken.Repeated != 1 || len(p.ledger) != before {
		t.Errorf("%d, %+v, %d entries more", code, taken, len(p.ledger)-before)
	}
	for token, want := range map[string]int{"three": 401, "": 401, "One": 401} {
		if code, _, _ := p.post(token, line); code != want {
			t.Errorf("token %q: %d", token, code)
		}
	}
	if code, _, _ := p.post("one", "{"); code != 400 {
		t.Errorf("no batch: %d", code)
	}
	if code, _, _ := p.post("one", strings.Repeat(" ", MostBatch+1)); code != 413 {
		t.Errorf("too large: %d", code)
	}
}

func TestAnEventThatIsNotDurableIsNotTaken(t *testing.T) {
	p := openEvents(t)
	p.fails = true
	if code, _, h := p.post("one", lure); code != 503 || h.Get("Retry-After") == "" {
		t.Errorf("%d, %v", code, h)
	}
	p.mu.Lock()
	p.fails = false
	p.mu.Unlock()
	if code, taken, _ := p.post("one", lure); code != 200 || taken.Accepted != 1 {
		t.Errorf("sent again: %d, %+v", code, taken)
	}
}

func TestReportersArePushedBack(t *testing.T) {
	p := openEvents(t)
	p.hold = make(chan struct{})
	codes := make(chan int)
	for n := range mostWaiting + 1 {
		go func() {
			code, _, _ := p.post("one", strings.Replace(lure, "m-1", fmt.Sprint("n-", n), 1))
			codes <- code
		}()
	}
	if code := <-codes; code != 429 { // the others wait for the ledger
		t.Errorf("the first answer is %d", code)
	}
	close(p.hold)
	for range mostWaiting {
		if code := <-codes; code != 200 {
			t.Errorf("then %d", code)
		}
	}
}

func TestSilencesOfASource(t *testing.T) {
	r := NewReported()
	at := func(h int) sekisho.Time { return sekisho.At(eventsNow.Add(time.Duration(h) * time.Hour)) }
	for _, h := range []int{0, 5, 2, 30, 31} {
		r.Apply(&sekisho.Entry{Time: at(h), Body: &sekisho.EventsRead{Sensor: "proxy", Events: 1, Accepted: 1, From: at(h), Until: at(h)}})
	}
	tell := func(list []Silence) (s string) {
		for _, l := range list {
			s += fmt.Sprintf("%d-%d %v;", (l.From-at(0))/3600e6, (l.To-at(0))/3600e6, l.Never)
		}
		return s
	}
	for _, c := range []struct {
		name        string
		since, till int
		want        string
	}{
		{"proxy", 0, 31, "5-30 false;"}, {"proxy", 0, 60, "5-30 false;31-60 false;"}, {"proxy", 1, 6, ""}, {"dns", 0, 60, "0-60 true;"}, {"proxy", 31, 32, ""},
	} {
		if got := tell(r.Silent(c.name, 12*time.Hour, at(c.since), at(c.till))); got != c.want {
			t.Errorf("%s from %d to %d: %s, want %s", c.name, c.since, c.till, got, c.want)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("[" + lure + "]"))
	f.Add([]byte(lure + lure))
	f.Add([]byte(`{"class_uid":2004,"time":1458000000000,"evidences":[{"file":{"name":"x","hashes":[{"algorithm_id":3,"value":"zz"}]}}],"observables":[{"type_id":2,"value":"1.2.3.4"}]}`))
	f.Fuzz(func(t *testing.T, batch []byte) {
		k := &keys{}
		d, err := reader(k).Read(batch)
		if err != nil {
			if !errors.Is(err, ErrNotEvents) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if len(d.Observations)+d.Rejected != d.Events {
			t.Errorf("%d events: %d read, %d rejected", d.Events, len(d.Observations), d.Rejected)
		}
		for _, b := range d.Observations {
			e := sekisho.Entry{ID: sekisho.ID{Gate: 1, Epoch: 1, Seq: 1}, Time: 1, Body: b}
			raw := e.AppendEncode(nil)
			if _, err := sekisho.Decode(raw); err != nil {
				t.Errorf("an entry that cannot be read: %v", err)
			}
		}
	})
}

// What cannot be read is never left out in silence: a stray bracket ends nothing.
func TestNothingOfADeliveryIsLeftOutInSilence(t *testing.T) {
	const event = `{"class_uid":1007,"activity_id":1,"time":1458370000000,"metadata":{"uid":"%d"},"device":{"hostname":"pc-1"},"process":{"name":"a"}}`
	one, two := fmt.Sprintf(event, 1), fmt.Sprintf(event, 2)
	o := &Events{Source: "edr", Now: time.Unix(1458370001, 0), Ordinal: func(string, string) uint32 { return 1 }}
	for _, batch := range []string{one + "\n]\n" + two, one + "}" + two, "[" + one + "]]" + two, "[" + one + "]}", one + "\n]", "]", "}" + one} {
		if d, err := o.Read([]byte(batch)); !errors.Is(err, ErrNotEvents) {
			t.Errorf("%d events of %.40q… and the error %v", d.Events, batch, err)
		}
	}
	for batch, want := range map[string]int{one + "\n" + two + "\n": 2, "[" + one + "," + two + "]\r\n": 2, " [] ": 0, "": 0, "\n": 0} {
		if d, err := o.Read([]byte(batch)); err != nil || d.Events != want {
			t.Errorf("%.40q: %v", batch, err)
		}
	}
}

// Who once held a source's token has used up the names of the events to come. They
// are taken in all the same, whatever differs: also the bytes that left. What
// really is the same is not, however it is written, and whatever has become known
// of the machine meanwhile.
func TestNamesOfEventsCannotBeUsedUp(t *testing.T) {
	p := openEvents(t)
	const decoy = `{"class_uid":4001,"activity_id":6,"time":1458000000000,"metadata":{"uid":"%s"},"src_endpoint":{"ip":"10.1.4.17"},"dst_endpoint":{"ip":"203.0.113.9","port":443},"traffic":{"bytes_out":%d}}`
	line := strings.ReplaceAll(lure, "\n", "")
	for n := range 3 {
		if code, taken, _ := p.post("one", fmt.Sprintf(decoy, fmt.Sprint("m-", n), 0)); code != 200 || taken.Accepted != 1 {
			t.Fatalf("%d, %+v", code, taken)
		}
	}
	for what, real := range map[string]string{
		"another event": line, "more bytes": fmt.Sprintf(decoy, "m-2", 1_000_000_000), "another severity": strings.Replace(line, `"severity_id":1`, `"severity_id":4`, 1),
		"another file": strings.Replace(line, "0011223344", "ff11223344", 1), "another recipient": strings.Replace(line, "Enquiry@", "sales@", 1),
		"a second later": strings.Replace(line, "1458000000000", "1458000001000", 1), "it was prevented": strings.Replace(line, `"severity_id":1`, `"severity_id":1,"disposition_id":2`, 1),
	} {
		if code, taken, _ := p.post("one", real); code != 200 || taken.Accepted != 1 {
			t.Errorf("%s: %d, %+v", what, code, taken)
		}
	}
	var same map[string]any
	if err := json.Unmarshal([]byte(line), &same); err != nil {
		t.Fatal(err)
	}
	same["metadata"].(map[string]any)["logged_time"] = 1458000009000
	again, err := json.MarshalIndent(same, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if code, taken, _ := p.post("one", string(again)); code != 200 || taken.Repeated != 1 || taken.Accepted != 0 {
		t.Errorf("the same, written anew: %d, %+v", code, taken)
	}
	k := &keys{}
	known, unknown := reader(k), reader(k)
	if known.Bindings, err = NewBindings([]Binding{{Address: "10.1.4.17", Endpoint: "pc-0417"}}); err != nil {
		t.Fatal(err)
	}
	one, err := known.Read([]byte(fmt.Sprintf(decoy, "m-1", 7)))
	if err != nil {
		t.Fatal(err)
	}
	two, err := unknown.Read([]byte(fmt.Sprintf(decoy, "m-1", 7)))
	if err != nil || one.Observations[0].Ref != two.Observations[0].Ref || one.Observations[0].Endpoint == two.Observations[0].Endpoint {
		t.Errorf("of a machine that became known: %+v and %+v (%v)", one.Observations[0], two.Observations[0], err)
	}
}

// One old event in a delivery, or one from a clock that is ahead, covers up no
// silence.
func TestASilenceIsNotCoveredUp(t *testing.T) {
	r := NewReported()
	at := func(h int) sekisho.Time { return sekisho.At(eventsNow.Add(time.Duration(h) * time.Hour)) }
	delivered := func(now int, events ...int) {
		first, last := events[0], events[0]
		for i, h := range events {
			first, last = min(first, h), max(last, h)
			r.Apply(&sekisho.Entry{Time: at(now), Body: &sekisho.Observation{Sensor: "proxy", At: at(h), Ref: [32]byte{byte(now), byte(i)}}})
		}
		r.Apply(&sekisho.Entry{Time: at(now), Body: &sekisho.EventsRead{Sensor: "proxy", Events: uint64(len(events)), Accepted: uint64(len(events)), From: at(first), Until: at(last)}})
	}
	delivered(1, 0, 1)
	delivered(100, 1, 40, 100, 120) // an old one, one in between, one of now, one that has yet to happen
	var got []string
	for _, s := range r.Silent("proxy", 12*time.Hour, at(0), at(130)) {
		got = append(got, fmt.Sprintf("%d-%d", int64(s.From-at(0))/3600e6, int64(s.To-at(0))/3600e6))
	}
	if fmt.Sprint(got) != "[1-40 40-100 100-130]" {
		t.Errorf("silent: %v", got)
	}
}
