package console

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The person of an inspected company reads the record on a telephone, and signs
// it there; nobody else can.
func TestASignatureAtTheEmployeesDoor(t *testing.T) {
	s := newStaffHouse(t)
	s.hire("abe", "kato")
	inspector := s.user("ito", plainUser)
	at := inspector.want("/checks", went, "", "noun", "selfcheck", "units", "sales", "due", "2014-10-31", "other", "abe").header.Get("Location")
	p := inspector.state(at)
	var answers []string
	for _, section := range p.Sections {
		for _, i := range section.Items {
			answers = append(answers, "answer."+i.ID, "no", "note."+i.ID, "名簿と合わない")
		}
	}
	inspector.want(at+"/answer", went, "", answers...)
	inspector.want(at+"/held", went, "")
	inspector.want(at+"/finding", went, "", "grade", "low", "text", "名簿の更新", "owner", "abe", "due", "2014-11-20")
	record := inspector.state(at).Record

	abe, kato := s.enters("abe", "ja"), s.enters("kato", "en")
	mine := fmt.Sprintf("/my/checks/%d", p.Number)
	abe.shows("/my", "署名待ち", "名簿の更新")
	abe.shows(mine, "名簿と合わない", record)
	for _, b := range []*browser{kato} {
		if a := b.get(mine); a.status != http.StatusNotFound {
			t.Errorf("somebody else reads it: %d", a.status)
		}
		b.want(mine, http.StatusNotFound, "", "record", record, "answer", "agree")
	}
	abe.want(mine, http.StatusConflict, "", "record", strings.Repeat("0", 64), "answer", "agree")
	abe.want(mine, http.StatusBadRequest, "理由", "record", record, "answer", "disagree")
	abe.want(mine, went, "", "record", record, "answer", "agree", "text", "承知しました")
	abe.want(mine, http.StatusConflict, "", "record", record, "answer", "agree")
	inspector.want(at+"/sign", went, "", "record", record)
	if p = inspector.state(at); p.State != "complete" || p.Signed[0].Door != "staff" {
		t.Errorf("after both: %s, %+v", p.State, p.Signed)
	}
}
