package tell

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho"
	"sekisho/disk"
)

// fatesOf writes a mailing down, as "taken 1 2, waiting 3".
func (d *desk) fatesOf(number uint64) string {
	var parts []string
	d.views.Read(func() {
		for _, f := range Fates() {
			if list := d.book.In(number, 0, f); len(list) > 0 {
				parts = append(parts, f.String()+" "+strings.Trim(fmt.Sprint(list), "[]"))
			}
		}
	})
	return strings.Join(parts, ", ")
}

// Every way that a person can go in a mailing, and that the counts add up.
func TestFates(t *testing.T) {
	d, err := openDesk(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	m := d.mailing(t, 7, 1, 2, 3, 4, 5, 6, 7)
	var w uint64
	for _, c := range []struct {
		what string
		body func() sekisho.Body
		want string
	}{
		{"people without addresses", func() sekisho.Body { return &sekisho.MailUnsent{Mailing: m, Why: "no_address", Subjects: []uint32{7}} }, "waiting 1 2 3 4 5 6, unsent 7"},
		{"a window begins", func() sekisho.Body { return &sekisho.MailStarted{Mailing: m, Subjects: []uint32{1, 2, 3, 4, 5}} }, "waiting 6, under_way 1 2 3 4 5, unsent 7"},
		{"it ends, and 5 was not reached", func() sekisho.Body {
			return &sekisho.MailEnded{Started: w, Taken: []uint32{1}, Denied: []uint32{2}, Later: []uint32{3}, Unclear: []uint32{4}}
		}, "waiting 5 6, taken 1, later 3, denied 2, unsent 7, unclear 4"},
		{"it ends a second time", func() sekisho.Body { return &sekisho.MailEnded{Started: w, Taken: []uint32{2, 3, 4, 5}} }, "waiting 5 6, taken 1, later 3, denied 2, unsent 7, unclear 4"},
		{"somebody who is not in it comes back", func() sekisho.Body {
			return &sekisho.MailBounced{Mailing: m, Final: true, Status: "5.1.1", Subjects: []uint32{6, 99}}
		}, "waiting 5 6, taken 1, later 3, denied 2, unsent 7, unclear 4"},
		{"a late report about the unclear", func() sekisho.Body { return &sekisho.MailBounced{Mailing: m, Status: "4.4.1", Subjects: []uint32{4}} }, "waiting 5 6, taken 1 4, later 3, denied 2, unsent 7"},
		{"one comes back", func() sekisho.Body {
			return &sekisho.MailBounced{Mailing: m, Final: true, Status: "5.1.1", Subjects: []uint32{1}}
		}, "waiting 5 6, taken 4, later 3, denied 2, unsent 7, bounced 1"},
		{"they are told by post", func() sekisho.Body { return &sekisho.MailSettled{Mailing: m, As: "post", Subjects: []uint32{1, 5, 7}} }, "waiting 5 6, taken 4, later 3, denied 2, posted 1 7"},
		{"the refused are to be written to again", func() sekisho.Body { return &sekisho.MailSettled{Mailing: m, As: "again", Subjects: []uint32{2, 4}} }, "waiting 2 5 6, taken 4, later 3, posted 1 7"},
	} {
		seq := d.put(t, c.body())
		if _, ok := c.body().(*sekisho.MailStarted); ok {
			w = seq
		}
		if got := d.fatesOf(m); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.what, got, c.want)
		}
		s, _ := d.book.Status(m)
		sum := uint64(0)
		for _, n := range s.Counts {
			sum += n
		}
		if sum != 7 {
			t.Errorf("%s: %d people of 7", c.what, sum)
		}
	}
}

// Who asked to be tried later is tried after a quarter of an hour, then an hour,
// and in the end not any more.
func TestLater(t *testing.T) {
	now := time.Date(2026, 6, 1, 9, 0, 0, 0, time.UTC)
	d, err := openDesk(t.TempDir(), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	m := d.mailing(t, 7, 1)
	due := func() (ords, tired []uint32) {
		d.views.Read(func() { ords, tired = d.book.find(m).due(sekisho.At(now), 10) })
		return ords, tired
	}
	for _, wait := range append([]time.Duration{0}, backoffs...) {
		if now = now.Add(wait - time.Second); wait > 0 {
			if ords, tired := due(); len(ords)+len(tired) != 0 {
				t.Errorf("a second before %v: %v, %v", wait, ords, tired)
			}
		}
		now = now.Add(2 * time.Second)
		if ords, tired := due(); !slices.Equal(ords, []uint32{1}) || len(tired) != 0 {
			t.Errorf("after %v: %v, %v", wait, ords, tired)
		}
		w := d.put(t, &sekisho.MailStarted{Mailing: m, Subjects: []uint32{1}})
		d.put(t, &sekisho.MailEnded{Started: w, Later: []uint32{1}})
	}
	if ords, tired := due(); len(ords) != 0 || !slices.Equal(tired, []uint32{1}) {
		t.Errorf("in the end: %v, %v", ords, tired)
	}
}

// One notice for each person and revision, whichever mailings were asked for.
func TestOneNoticeForEachPersonAndRevision(t *testing.T) {
	d, err := openDesk(t.TempDir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer d.stop()
	toTell := func(revision uint64, again bool) (list []uint32) {
		d.views.Read(func() { list = d.book.ToTell(1, revision, "member", again, []uint32{1, 2, 3, 4}) })
		return list
	}
	want := func(what string, got []uint32, want ...uint32) {
		t.Helper()
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	first := d.mailing(t, 7, 1, 2)
	w := d.put(t, &sekisho.MailStarted{Mailing: first, Subjects: []uint32{1}})
	d.put(t, &sekisho.MailEnded{Started: w, Unclear: []uint32{1}})
	want("the same revision", toTell(7, true), 3, 4)
	want("a later revision", toTell(8, false), 3, 4)
	want("a later revision, told again", toTell(8, true), 1, 2, 3, 4)
	d.put(t, &sekisho.MailingDecided{Mailing: first, Action: "ended", By: 2})
	want("after it was ended, who waited is free", toTell(7, false), 2, 3, 4)
	half := d.put(t, &sekisho.MailingAsked{Incident: 1, Revision: 7, Space: "member"})
	d.put(t, &sekisho.MailingListed{Mailing: half, More: true, Subjects: []uint32{3}})
	want("a list that was never finished holds nobody", toTell(7, false), 2, 3, 4)
	d.put(t, &sekisho.MailingListed{Mailing: half, Subjects: []uint32{4}})
	want("once it is", toTell(7, false), 2)
	d.put(t, &sekisho.MailingDecided{Mailing: half, Action: "rejected", By: 2})
	want("and when it is rejected", toTell(7, false), 2, 3, 4)
	if s, _ := d.book.Status(half); s.State != Turned {
		t.Error(s.State)
	}
}

// What a journal remembers of a window, and that it fails towards unclear.
func TestJournalFailsTowardsUnclear(t *testing.T) {
	people := []uint32{5, 6, 7, 8}
	for _, c := range []struct {
		name   string
		damage func(raw disk.File)
		want   string
	}{
		{"whole", func(disk.File) {}, "taken [5] denied [6] later [] unclear [7]"},
		{"a record is damaged", func(f disk.File) { f.WriteAt([]byte{0xff}, 2*recordLen+5) }, "taken [] denied [6] later [] unclear [5 7 8]"},
		{"the beginning is damaged", func(f disk.File) { f.WriteAt([]byte{0xff}, 5) }, "taken [] denied [] later [] unclear [5 6 7 8]"},
		{"the end is torn", func(f disk.File) { f.Truncate(6*recordLen - 3) }, "taken [5] denied [6] later [] unclear [7 8]"},
		{"it is empty", func(f disk.File) { f.Truncate(0) }, "taken [] denied [] later [] unclear [5 6 7 8]"},
	} {
		name := filepath.Join(t.TempDir(), "journal")
		j, err := OpenJournal(disk.OS{}, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{j.begin(3, people), j.going(3, 5), j.answered(3, 5, Taken), j.going(3, 6), j.answered(3, 6, Denied), j.going(3, 7)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		c.damage(j.f)
		j.Close()
		if j, err = OpenJournal(disk.OS{}, name); err != nil {
			t.Fatal(err)
		}
		e := (&Sender{Journal: j}).remembered(9, 3, people)
		if got := fmt.Sprintf("taken %v denied %v later %v unclear %v", e.Taken, e.Denied, e.Later, e.Unclear); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if e := (&Sender{Journal: j}).remembered(9, 4, people); len(e.Unclear) != 4 {
			t.Errorf("%s: of another mailing it says %+v", c.name, e)
		}
		j.Close()
	}
}

// A return address names whose notice it was, and nobody else can make one.
func TestReturnAddresses(t *testing.T) {
	o := &Office{Key: [32]byte{1}}
	o.Config.Mail.Returns, o.Config.Mail.From = "back.example.jp", "notice@example.jp"
	a := o.ReturnAddress(1<<40, 4_000_000_000)
	if m, s, ok := o.Returned(strings.ToUpper(a)); !ok || m != 1<<40 || s != 4_000_000_000 || !GoodAddress(a) {
		t.Errorf("%s: %d, %d, %v", a, m, s, ok)
	}
	other := &Office{Key: [32]byte{2}, Config: o.Config}
	for _, bad := range []string{other.ReturnAddress(1<<40, 5), strings.Replace(a, "b-a", "b-b", 1) + "x", "b-@back.example.jp", strings.Replace(a, "back", "front", 1), "b-" + strings.Repeat("a", 200) + "@back.example.jp", ""} {
		if _, _, ok := o.Returned(bad); ok {
			t.Errorf("%q is taken for one", bad)
		}
	}
	one, two := Status{Asked: &sekisho.MailingAsked{Incident: 1, Revision: 7, Space: "member"}}, Status{Number: 9, Asked: &sekisho.MailingAsked{Incident: 1, Revision: 7, Space: "member", Again: true}}
	if o.messageID(one, 5) != o.messageID(two, 5) || o.messageID(one, 5) == o.messageID(one, 6) {
		t.Error("a Message-ID is not one for each person and revision")
	}
}

func FuzzParseReport(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--x--\r\n"))
	f.Add([]byte("Subject: away\r\n\r\nBack on Monday"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, ok := ParseReport(text)
		if !ok && r != (Report{}) || len(r.Status) > 11 || strings.Trim(r.Status, "0123456789.") != "" {
			t.Errorf("%+v", r)
		}
	})
}

func FuzzReturned(f *testing.F) {
	o := &Office{Key: [32]byte{1}}
	o.Config.Mail.Returns = "back.example.jp"
	f.Add(o.ReturnAddress(7, 5))
	f.Fuzz(func(t *testing.T, a string) {
		if m, s, ok := o.Returned(a); ok && !strings.EqualFold(o.ReturnAddress(m, s), a) {
			t.Errorf("%q is taken for %d, %d", a, m, s)
		}
	})
}

func FuzzReadAddresses(f *testing.F) {
	f.Add("key,email\n5,a@example.jp\n")
	f.Add("\ufeffemail,x,key\r\n\"a\"\"b\",1,5\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		found, err := readAddresses(context.Background(), strings.NewReader(text), map[string]uint32{"5": 5})
		if err == nil && len(found) > 1 || err != nil && errors.Is(err, context.Canceled) {
			t.Errorf("%v, %v", found, err)
		}
	})
}
