package trace_test

import (
	"slices"
	"strings"
	"testing"

	"sekisho"
	"sekisho/trace"
)

// Writes are in no number, and yet answered for: whose records, and by whom.
func TestAWriteIsNoDisclosure(t *testing.T) {
	book := script(t, `
		time 2014-09-20T00:00:00Z
		shape m member members identity,contact
		session s 7 clerk pc-0417
		read s m 1..4 least=50`)
	seq := uint64(len(book.Entries))
	session := book.Entries[seq-2].ID.Seq
	update := book.Put(&sekisho.Shape{Verb: sekisho.Update, Space: "member", Tables: []string{"members"}, Columns: []string{"members.name"}, Categories: sekisho.Identity})
	truncate := book.Put(&sekisho.Shape{Verb: sekisho.Delete, Space: "member", Tables: []string{"members"}, Columns: []string{"members.name"}, Categories: sekisho.Identity})
	unseen := book.Put(&sekisho.Shape{Verb: sekisho.Delete, Space: "member", Tables: []string{"passports"}})
	book.Put(&sekisho.Access{Session: session, Shape: update, Number: 8, Class: sekisho.Exact, Rows: 3, Subjects: []uint32{4, 5, 6}})
	book.Put(&sekisho.Access{Session: session, Shape: truncate, Number: 9, Class: sekisho.AnyRow, Reach: 10})
	ask := func() trace.Answer {
		a, err := fold(book.Entries).Impact(trace.Question{Endpoints: []string{"pc-0417"}, Since: book.Now - day, Until: book.Now + day, Lists: true}, members(t))
		if err != nil {
			t.Fatal(err)
		}
		return *a
	}
	a := ask()
	if a.WorstCase != 4 || !slices.Equal(a.Lists.WorstCase, []uint32{1, 2, 3, 4}) {
		t.Errorf("worst case %d: %v", a.WorstCase, a.Lists.WorstCase)
	}
	if i := slices.IndexFunc(a.NotObserved, func(n trace.Note) bool { return n.Code == "written" }); i < 0 || a.NotObserved[i].Count != 3 || a.NotObserved[i].Reach != 1 {
		t.Errorf("the answer does not say whose records were written: %+v", a.NotObserved)
	}
	who := fold(book.Entries).WhoRead("member", 5, 0)
	if len(who) != 1 || who[0].Verb != sekisho.Update || who[0].Endpoint != "pc-0417" || strings.Join(who[0].Columns, " ") != "members.name" {
		t.Errorf("the history of a customer whose record was changed: %+v", who)
	}
	// Of a write that the gate could not read, nobody knows what it showed.
	book.Put(&sekisho.Access{Session: session, Shape: unseen, Number: 10, Class: sekisho.AnyRow, Reach: 10})
	if a := ask(); a.WorstCase != 10 {
		t.Errorf("worst case %d beside a write that may have shown anything", a.WorstCase)
	}
}
