package console

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// attach sends a document as a page's form does.
func (b *browser) attach(path, what, title string, file []byte) answer {
	b.h.t.Helper()
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	must(b.h.t, form.WriteField("what", what))
	must(b.h.t, form.WriteField("title", title))
	part, err := form.CreateFormFile("file", "IMG_0417.JPG")
	must(b.h.t, err)
	part.Write(file)
	must(b.h.t, form.Close())
	r := b.request("POST", path, &body)
	r.Header.Set("Content-Type", form.FormDataContentType())
	return b.do(r)
}

// photo is a JPEG as a telephone writes it: lying on its side, with where it was
// taken, and a red corner at the top left when it is held upright.
func photo(t *testing.T, w, h int) []byte {
	t.Helper()
	picture := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := color.RGBA{200, 220, 240, 255}
			if x < w/4 && y >= h-h/4 { // bottom left as it lies: top left when turned
				c = color.RGBA{255, 0, 0, 255}
			}
			picture.SetRGBA(x, y, c)
		}
	}
	var b bytes.Buffer
	must(t, jpeg.Encode(&b, picture, nil))
	exif := []byte("Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00GPS 35.5494N 139.7798E")
	head := binary.BigEndian.AppendUint16([]byte("\xff\xd8\xff\xe1"), uint16(len(exif)+2))
	return append(append(head, exif...), b.Bytes()[2:]...)
}

func (b *browser) state(path string) (p CheckPage) {
	b.h.t.Helper()
	a := b.json(path)
	if a.status != http.StatusOK {
		b.h.t.Fatalf("%s: %d\n%s", path, a.status, a.body)
	}
	must(b.h.t, json.Unmarshal([]byte(a.body), &p))
	return p
}

// want does what a form asks for, and wants this status; a refusal says this.
func (b *browser) want(path string, status int, says string, form ...string) answer {
	b.h.t.Helper()
	f := url.Values{}
	for n := 0; n+1 < len(form); n += 2 {
		f.Add(form[n], form[n+1])
	}
	a := b.post(path, f)
	if a.status != status || !strings.Contains(a.body, says) {
		b.h.t.Fatalf("%s %v: %d, want %d and %q\n%s", path, form, a.status, status, says, a.body)
	}
	return a
}

// again signs a user in whose last stay is over.
func (h *house) again(name string) *browser {
	h.t.Helper()
	b := h.stranger("en")
	b.want("/signin", http.StatusSeeOther, "", "name", name, "password", "long enough a password")
	return b
}

const went = http.StatusSeeOther

// An inspection of a group company: planned, visited with a checklist and a
// photo, a finding, signed by both sides, put right and seen to be right.
func TestAnInspection(t *testing.T) {
	h := newHouse(t)
	inspector := h.user("ito", plainUser, "ito.a")
	h.user("abe", plainUser)
	h.user("ueda", approver)

	h.staff("ito.a")
	inspector.want("/checks", http.StatusBadRequest, "Give a day", "noun", "inspection", "units", "JTA")
	inspector.want("/checks", http.StatusBadRequest, "two different people", "noun", "inspection", "units", "JTA", "due", "2014-10-31", "other", "ito.a")
	at := inspector.want("/checks", went, "", "noun", "inspection", "units", "JTA", "due", "2014-10-31").header.Get("Location")
	p := inspector.state(at)
	if p.State != "planned" || p.Items < 10 || p.Units[0].Name != "JTA" {
		t.Fatalf("after planning: %+v", p)
	}
	h.clock.pass(40 * 24 * time.Hour)
	inspector = h.again("ito")
	person, boss := h.again("abe"), h.again("ueda")
	if p = inspector.state(at); p.State != "overdue" {
		t.Errorf("after its day: %s", p.State)
	}
	if a := h.signedIn("ja").get("/checks"); !strings.Contains(a.body, "期限超過") {
		t.Errorf("the list does not say that it is late\n%s", a.body)
	}

	// Nobody else leads it; it is held in the past, not to come.
	person.want(at+"/held", http.StatusForbidden, "ito, who leads it")
	inspector.want(at+"/held", http.StatusBadRequest, "", "at", "2015-01-01")
	inspector.want(at+"/sign", http.StatusConflict, "has not taken place", "record", p.Record)
	inspector.want(at+"/held", went, "", "at", "2014-10-30T10:00")

	// Every item is answered; what is not met says what was seen.
	var answers []string
	for _, s := range p.Sections {
		for _, i := range s.Items {
			if i.ID != "desk" {
				answers = append(answers, "answer."+i.ID, "yes")
			}
		}
	}
	inspector.want(at+"/answer", http.StatusBadRequest, "desk", append(answers, "answer.desk", "no")...)
	inspector.want(at+"/answer", went, "", append(answers, "answer.desk", "no", "note.desk", "名簿が複合機に残っていた")...)

	// The photo is kept upright and smaller, without what the telephone wrote.
	taken := photo(t, 2400, 1200)
	if a := inspector.attach(at+"/paper", "photo", "二階の複合機", []byte("MZ\x90\x00 no picture")); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("a program as a photo: %d", a.status)
	}
	if a := inspector.attach(at+"/paper", "photo", "二階の複合機", taken); a.status != went {
		t.Fatalf("the photo: %d\n%s", a.status, a.body)
	}
	p = inspector.state(at)
	paper := p.Papers[0]
	original := sha256.Sum256(taken)
	if paper.Original != hex.EncodeToString(original[:]) {
		t.Errorf("the hash as it was handed in: %s", paper.Original)
	}
	shown := inspector.get(fmt.Sprintf("/papers/%d", paper.Entry))
	kept := sha256.Sum256([]byte(shown.body))
	if shown.header.Get("Content-Type") != "image/jpeg" || hex.EncodeToString(kept[:]) != paper.SHA256 || strings.Contains(shown.body, "GPS") || strings.Contains(shown.body, "Exif") {
		t.Errorf("what is kept: %s, %s", shown.header.Get("Content-Type"), paper.SHA256)
	}
	picture, err := jpeg.Decode(strings.NewReader(shown.body))
	must(t, err)
	if size := picture.Bounds().Size(); size != (image.Point{600, 1200}) {
		t.Errorf("the picture is %v", size)
	}
	if r, g, _, _ := picture.At(20, 20).RGBA(); r < 0xc000 || g > 0x4000 {
		t.Errorf("the top left corner is not red: %x %x", r, g)
	}

	// A finding with an owner and a day.
	inspector.want(at+"/finding", http.StatusBadRequest, "owner and a day", "grade", "medium", "code", "desk", "text", "名簿の置き忘れ", "owner", "abe")
	inspector.want(at+"/finding", went, "", "grade", "medium", "code", "desk", "text", "名簿の置き忘れ", "owner", "abe", "due", "2014-11-20")

	// Both sign the same record, as two people.
	p = inspector.state(at)
	if got := fmt.Sprint(p.Missing); got != "[unsigned]" || p.State != "unsigned" {
		t.Errorf("before the signatures: %s, %s", p.State, got)
	}
	inspector.want(at+"/sign", http.StatusConflict, "changed since", "record", strings.Repeat("0", 64))
	inspector.want(at+"/sign", went, "", "record", p.Record)
	boss.want(at+"/sign", http.StatusConflict, "Name the person", "record", p.Record)
	inspector.want(at+"/name", went, "", "person", "abe")
	if p = inspector.state(at); !strings.Contains(fmt.Sprint(p.Missing), "unsigned") || p.Signed[0].Stands {
		t.Errorf("naming the other side changes what is signed: %+v", p.Signed)
	}
	inspector.want(at+"/sign", went, "", "record", p.Record)
	boss.want(at+"/sign", http.StatusForbidden, "abe", "record", p.Record)
	inspector.want(at+"/sign", http.StatusConflict, "You have signed", "record", p.Record)
	person.want(at+"/sign", went, "", "record", p.Record, "text", "是正します")
	if p = inspector.state(at); p.State != "complete" || len(p.Missing) != 0 || p.Evidence != "inspection_visit" {
		t.Fatalf("after both signed: %+v", p.CheckLine)
	}

	// The correction: by its owner, seen by somebody else.
	finding := fmt.Sprintf("/findings/%d", p.Found[0].Number)
	inspector.want(finding+"/done", http.StatusForbidden, "abe owes this", "text", "片付けた")
	inspector.want(finding+"/verify", http.StatusConflict, "Nobody has said", "text", "見た")
	person.want(finding+"/done", went, "", "text", "回収箱を置いた")
	if a := person.attach(finding+"/paper", "proof", "回収箱", []byte("%PDF-1.7 回収箱の設置記録")); a.status != went {
		t.Errorf("a proof: %d", a.status)
	}
	person.want(finding+"/verify", http.StatusForbidden, "somebody else", "text", "大丈夫")
	inspector.want(finding+"/reopen", went, "", "text", "一週間後に空でなかった")
	person.want(finding+"/done", went, "", "text", "毎日回収する")
	inspector.want(finding+"/verify", went, "", "text", "三日続けて空だった")
	inspector.want(finding+"/done", http.StatusConflict, "over", "text", "again")
	if p = inspector.state(at); p.Open != 0 || p.Found[0].State != "closed" || p.Found[0].Again != 1 || p.State != "complete" {
		t.Errorf("at the end: %+v", p.Found)
	}

	// What is answered afterwards needs new signatures.
	inspector.want(at+"/answer", went, "", "answer.desk", "yes", "note.desk", "")
	if p = inspector.state(at); p.State != "unsigned" {
		t.Errorf("after a changed answer: %s", p.State)
	}
	for _, b := range []*browser{inspector, h.signedIn("ja")} {
		for _, path := range []string{"/checks", "/checks?noun=inspection", at, finding} {
			if a := b.get(path); a.status != http.StatusOK || strings.Contains(a.body, "[check.") || strings.Contains(a.body, "[finding.") {
				t.Errorf("%s: %d\n%s", path, a.status, a.body)
			}
		}
	}
}
