package tell

import (
	"errors"
	"testing"
)

func wantCode(t *testing.T, code string, err error) {
	t.Helper()
	var w *Wrong
	if !errors.As(err, &w) || w.Code != code {
		t.Errorf("%v, want %s", err, code)
	}
}

func same(a, b uint32) bool { return a == b }

// Who wrote a text cannot have it proposed by somebody who has read another one,
// and then approve it alone.
func TestNobodyApprovesTheirOwnWords(t *testing.T) {
	o, number := openOffice(t, 100)
	ctx := t.Context()
	k := Key{Incident: number, Form: "person", Language: "ja"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	read, _ := o.Book.Approved(k)
	evil, err := o.Save(ctx, k, map[string]string{"person_cause": "詳しくは https://example.net へ。"}, nil, 2)
	must(err)
	_, err = o.Propose(ctx, k, read.Number, 1)
	wantCode(t, "replaced", err)
	_, err = o.Propose(ctx, k, 4711, 1)
	wantCode(t, "replaced", err)
	// As it stands, whatever it is: then those words are not who wrote them to approve.
	text, err := o.Propose(ctx, k, 0, 1)
	must(err)
	if text != evil {
		t.Fatalf("version %d was proposed, want %d", text, evil)
	}
	wantCode(t, "own", o.Decide(ctx, text, "approved", "", 2, same))
	wantCode(t, "own", o.Decide(ctx, text, "approved", "", 1, same))
	must(o.Decide(ctx, text, "rejected", "", 2, same)) // to take one's words back needs nobody
	_, err = o.Propose(ctx, k, text, 1)
	must(err)
	must(o.Decide(ctx, text, "approved", "", 3, same))
}

// A mailing goes out with the text that is agreed to when it is approved, or not
// at all.
func TestNoMailingWithWordsOfBefore(t *testing.T) {
	o, number := openOffice(t, 100)
	ctx := t.Context()
	k := Key{Incident: number, Form: "person", Language: "ja"}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mailing, err := o.AskMailing(ctx, number, "worst-case", false, "", 1)
	must(err)
	_, err = o.Save(ctx, k, map[string]string{"person_cause": "原因は設定の誤りでした。"}, nil, 1)
	must(err)
	text, err := o.Propose(ctx, k, 0, 1)
	must(err)
	must(o.Decide(ctx, text, "approved", "the cause was wrong", 2, same))
	wantCode(t, "text_moved", o.DecideMailing(ctx, mailing, "approved", "", 2, same))
	must(o.DecideMailing(ctx, mailing, "rejected", "", 2, same))
	mailing, err = o.AskMailing(ctx, number, "worst-case", false, "", 1)
	must(err)
	must(o.DecideMailing(ctx, mailing, "approved", "", 2, same))
	s, err := o.Mailing(mailing)
	must(err)
	if s.State != Sending || len(s.Asked.Texts) != 1 || s.Asked.Texts[0] != text {
		t.Errorf("the mailing: %+v", s)
	}
}
