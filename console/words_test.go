package console

import (
	"io/fs"
	"maps"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"text/template/parse"

	"sekisho"
)

var testZone = time.FixedZone("JST", 9*60*60)

func tongueOf(t testing.TB, lang string) *tongue {
	t.Helper()
	one, err := readTongue(lang, testZone)
	must(t, err)
	return one
}

// Both languages say the same things. English has a second form for one.
func TestBothLanguagesHaveEveryWord(t *testing.T) {
	en, ja := tongueOf(t, "en"), tongueOf(t, "ja")
	verbs := regexp.MustCompile(`%(\[\d\])?[a-z]`)
	count := func(text string) []string {
		found := verbs.FindAllString(text, -1)
		slices.Sort(found)
		return found
	}
	for key, text := range en.words {
		other, ok := ja.words[key]
		if !ok && strings.HasSuffix(key, ".one") {
			continue
		}
		if !ok {
			t.Errorf("ja.txt lacks %q", key)
		} else if len(count(text)) != len(count(other)) {
			t.Errorf("%q takes %v in English and %v in Japanese", key, count(text), count(other))
		}
	}
	for key := range ja.words {
		if !en.has(key) {
			t.Errorf("en.txt lacks %q", key)
		}
	}
}

// Every word that the program or a template asks for by name exists.
func TestEveryWordAskedForExists(t *testing.T) {
	en := tongueOf(t, "en")
	asked := regexp.MustCompile(`\{\{[^}]*?\bt "([a-z][a-zA-Z0-9_.]*)"|\bcount "([a-z_.]+)"|\.say\("([a-z_.0-9]+)"\)`)
	hints := regexp.MustCompile(`(?:fail\(http\.Status\w+, |key: )"([a-z_]+)"`)
	used := 0
	must(t, fs.WalkDir(assets, "templates", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := assets.ReadFile(path)
		must(t, err)
		for _, action := range regexp.MustCompile(`\{\{.*?\}\}`).FindAllString(string(raw), -1) {
			for _, m := range regexp.MustCompile(`\b(?:t|count) "([a-z][a-zA-Z0-9_.]*)"`).FindAllStringSubmatch(action, -1) {
				used++
				if !en.has(m[1]) {
					t.Errorf("%s asks for %q", path, m[1])
				}
			}
		}
		return nil
	}))
	for path, text := range sources(t) {
		for _, m := range hints.FindAllStringSubmatch(text, -1) {
			used++
			if !en.has("hint." + m[1]) {
				t.Errorf("%s asks for %q", path, "hint."+m[1])
			}
		}
		for _, m := range asked.FindAllStringSubmatch(text, -1) {
			if m[3] != "" && !en.has(m[3]) {
				t.Errorf("%s asks for %q", path, m[3])
			}
		}
	}
	if used < 100 {
		t.Errorf("only %d words are asked for: the test looks in the wrong place", used)
	}
}

// Every word that a ledger can hold has a text: kinds, fields, codes.
func TestEveryWordOfTheLedgerHasAText(t *testing.T) {
	en := tongueOf(t, "en")
	need := func(key string) {
		if !en.has(key) {
			t.Errorf("no text for %q", key)
		}
	}
	listed := map[sekisho.Kind]bool{}
	for _, b := range oneOfEach() {
		listed[b.Kind()] = true
		need("kind." + kindName(b.Kind()))
		need("kind.what." + kindName(b.Kind()))
		body := reflect.TypeOf(b).Elem()
		if body.Name() != kindName(b.Kind()) {
			t.Errorf("kind %d is called %q, its type %q", b.Kind(), kindName(b.Kind()), body.Name())
		}
		for i := range body.NumField() {
			need("field." + body.Field(i).Name)
		}
	}
	for kind, name := range kindNames {
		if !listed[kind] {
			t.Errorf("kind %s is not listed in oneOfEach", name)
		}
	}
	for _, c := range sekisho.AllCategories() {
		need("category." + c.String())
	}
	for v := sekisho.Read; v <= sekisho.Other; v++ {
		need("verb." + v.String())
	}
	for c := sekisho.Exact; c <= sekisho.AnyRow; c++ {
		need("class." + c.String())
		need("class.what." + c.String())
	}
	for o := sekisho.Completed; o <= sekisho.Unrecorded; o++ {
		need("outcome." + strings.ReplaceAll(o.String(), " ", "_"))
	}
	for s := sekisho.SourceNone; s <= sekisho.SourceTag; s++ {
		need("stated." + s.String())
	}
	for d := sekisho.DoorGate; d <= sekisho.DoorDesk; d++ {
		need("door." + d.String())
	}
}

// Every reason for a refusal that the manual lists has a text, and every text
// is of a reason that the manual lists.
func TestEveryReasonOfTheManualHasAText(t *testing.T) {
	manual := readFile(t, "../docs/gate.md")
	_, list, ok := strings.Cut(manual, "\n| reason | what | instead |\n")
	if !ok {
		t.Fatal("docs/gate.md has no table of reasons any more")
	}
	list, _, _ = strings.Cut(list, "\n\n")
	known := map[string]bool{}
	for line := range strings.Lines(list) {
		if cells := strings.Split(line, "|"); len(cells) > 1 {
			for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[1], -1) {
				known["refusal."+m[1]] = true
			}
		}
	}
	if len(known) < 60 {
		t.Fatalf("only %d reasons were found", len(known))
	}
	en := tongueOf(t, "en")
	for key := range known {
		if !en.has(key) {
			t.Errorf("no text for %q", key)
		}
	}
	for key := range en.words {
		if strings.HasPrefix(key, "refusal.") && !known[key] {
			t.Errorf("%q is no reason of docs/gate.md", key)
		}
	}
}

func oneOfEach() []sekisho.Body {
	return []sekisho.Body{&sekisho.LedgerOpened{}, &sekisho.LedgerClosed{}, &sekisho.Assigned{}, &sekisho.SessionOpened{},
		&sekisho.SessionClosed{}, &sekisho.SessionRefused{}, &sekisho.Shape{}, &sekisho.Access{}, &sekisho.AccessClosed{},
		&sekisho.Refused{}, &sekisho.RosterRead{}, &sekisho.SensorRead{}, &sekisho.Egress{}, &sekisho.Alert{},
		&sekisho.IncidentOpened{}, &sekisho.IncidentRevised{}, &sekisho.FileMatched{}, &sekisho.UserChanged{}, &sekisho.SignedIn{}, &sekisho.Certified{}, &sekisho.PolicyRead{}, &sekisho.Ruled{}, &sekisho.OnBehalf{}, &sekisho.BudgetReached{},
		&sekisho.ExportAsked{}, &sekisho.ExportDecided{}, &sekisho.ExportUsed{}, &sekisho.DecoyPlaced{},
		&sekisho.ContainmentProposed{}, &sekisho.ContainmentDecided{}, &sekisho.ContainmentReported{}, &sekisho.ContainmentLifted{}, &sekisho.ContainmentReviewed{}, &sekisho.ContainmentProlonged{},
		&sekisho.FactStated{}, &sekisho.RoleChanged{}, &sekisho.PlaybookChosen{}, &sekisho.TaskChanged{}, &sekisho.DecisionMade{}, &sekisho.Answered{}, &sekisho.EvidenceAdded{}, &sekisho.CustodyMoved{}, &sekisho.Raised{}, &sekisho.LessonNoted{}, &sekisho.Acknowledged{}, &sekisho.Escalated{}, &sekisho.IncidentEnding{},
		&sekisho.NoticeReceived{}, &sekisho.AwareJudged{}, &sekisho.ClockMoved{}, &sekisho.DutyReported{}, &sekisho.LegalFactStated{},
		&sekisho.TextWritten{}, &sekisho.TextDecided{}, &sekisho.MailingAsked{}, &sekisho.MailingListed{}, &sekisho.MailingDecided{}, &sekisho.MailStarted{}, &sekisho.MailEnded{}, &sekisho.MailUnsent{}, &sekisho.MailBounced{}, &sekisho.MailSettled{},
		&sekisho.EnquiryReceived{}, &sekisho.EnquiryMatched{}, &sekisho.EnquiryMailed{}, &sekisho.IdentityChecked{}, &sekisho.EnquiryRouted{}, &sekisho.EnquiryAnswered{}, &sekisho.EnquiryClosed{}, &sekisho.AnswersAllowed{},
		&sekisho.Observation{}, &sekisho.EventsRead{}, &sekisho.DrillStep{}, &sekisho.SubjectRevised{},
		&sekisho.CourseRead{}, &sekisho.TrainingPlanned{}, &sekisho.TrainingAssigned{}, &sekisho.TrainingChanged{}, &sekisho.TrainingBegun{}, &sekisho.TrainingTried{}, &sekisho.TrainingCompleted{}, &sekisho.TrainingJudged{}, &sekisho.TrainingWritten{}, &sekisho.StaffLink{},
		&sekisho.InstrumentRead{}, &sekisho.EvidenceStated{}, &sekisho.EvidenceSigned{}, &sekisho.UnitListed{}, &sekisho.ExceptionAsked{}, &sekisho.ExceptionDecided{}, &sekisho.ControlStated{}, &sekisho.PopulationFrozen{}, &sekisho.DutyReminded{}, &sekisho.LedgerVerified{},
		&sekisho.LureAsked{}, &sekisho.LureListed{}, &sekisho.LureDecided{}, &sekisho.LureSeen{}, &sekisho.LureNamed{}, &sekisho.LureSummed{}, &sekisho.LureForgotten{}, &sekisho.LureSorted{}, &sekisho.LureLinked{}, &sekisho.SuspectReported{},
		&sekisho.HandlingRead{}, &sekisho.Labelled{}, &sekisho.AssetSeen{}, &sekisho.AssetEnded{},
		&sekisho.DocumentWritten{}, &sekisho.DocumentDecided{}, &sekisho.DocumentPublished{}, &sekisho.DocumentReviewed{}, &sekisho.PublicationChecked{}, &sekisho.DocumentAcknowledged{},
		&sekisho.DirectoryRead{}, &sekisho.PersonChanged{}, &sekisho.UnitChanged{}, &sekisho.ErasureAsked{}, &sekisho.ErasureDecided{},
		&sekisho.LeaseGranted{}, &sekisho.LeaseReturned{}, &sekisho.LeaseEnded{}, &sekisho.LeaseTaken{}, &sekisho.ExportMarked{}, &sekisho.PassedBy{},
		&sekisho.Registered{}, &sekisho.PostChanged{}, &sekisho.CheckPlanned{}, &sekisho.CheckChanged{}, &sekisho.CheckAnswered{}, &sekisho.PaperAdded{}, &sekisho.CheckSigned{}, &sekisho.FindingRaised{}, &sekisho.ActionChanged{}, &sekisho.Attended{}, &sekisho.ScanRead{}, &sekisho.BudgetDecided{}, &sekisho.ServiceSeen{}, &sekisho.PostureSeen{}, &sekisho.OffsiteDecided{}, &sekisho.Evaluated{}, &sekisho.CaseOpened{}, &sekisho.CaseDecided{}, &sekisho.Looked{}, &sekisho.EvaluationConfirmed{},
		&sekisho.PackMade{}, &sekisho.AuditorAdmitted{}, &sekisho.AuditorLooked{},
	}
}

// No template holds a word of its own: text between tags, and attributes that
// a person reads, come from the catalogue.
func TestNoBareWordsInTemplates(t *testing.T) {
	press, err := newPress(tongueOf(t, "en"))
	must(t, err)
	tags := regexp.MustCompile(`(?s)<[^>]*>`)
	read := regexp.MustCompile(`\b(?:title|alt|placeholder|aria-label|data-label)="([^"]*)"`)
	seen := 0
	desk, err := newDoorPress(tongueOf(t, "en"), "desk")
	must(t, err)
	for name, page := range desk.pages {
		press.pages["desk/"+name] = page
	}
	staff, err := newDoorPress(tongueOf(t, "en"), "staff")
	must(t, err)
	for name, page := range staff.pages {
		press.pages["staff/"+name] = page
	}
	for name, page := range press.pages {
		for _, one := range page.Templates() {
			if one.Tree == nil {
				continue
			}
			seen++
			var b strings.Builder
			flatten(&b, one.Tree.Root)
			text := b.String()
			for _, m := range read.FindAllStringSubmatch(text, -1) {
				if strings.ContainsFunc(m[1], unicode.IsLetter) {
					t.Errorf("%s: a bare word in an attribute: %s", name, m[0])
				}
			}
			for _, piece := range tags.Split(text, -1) {
				if piece = strings.ReplaceAll(piece, "&amp;", ""); strings.ContainsFunc(piece, unicode.IsLetter) {
					t.Errorf("%s: a bare word: %q", name, strings.TrimSpace(piece))
				}
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d templates were read", seen)
	}
}

// flatten writes the text of a template with every action as "·".
func flatten(b *strings.Builder, n parse.Node) {
	list := func(l *parse.ListNode) {
		if l != nil {
			for _, one := range l.Nodes {
				flatten(b, one)
			}
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		list(n)
	case *parse.TextNode:
		b.Write(n.Text)
	case *parse.IfNode:
		list(n.List)
		list(n.ElseList)
	case *parse.RangeNode:
		list(n.List)
		list(n.ElseList)
	case *parse.WithNode:
		list(n.List)
		list(n.ElseList)
	default:
		b.WriteString("·")
	}
}

func TestNumbersAndTimes(t *testing.T) {
	en, ja := tongueOf(t, "en"), tongueOf(t, "ja")
	at := sekisho.At(time.Date(2014, 9, 19, 15, 4, 5, 0, time.UTC))
	for _, one := range []struct{ got, want string }{
		{number(uint64(0)), "0"}, {number(999), "999"}, {number(1000), "1,000"}, {number(uint32(1234567)), "1,234,567"},
		{en.when(at), "20 Sep 2014 00:04:05"}, {ja.when(at), "2014/09/20 00:04:05"},
		{en.day(at), "20 September 2014"}, {ja.day(at), "2014年9月20日"},
		{en.iso(at), "2014-09-20T00:04:05+09:00"}, {en.zoneName(at.Go()), "JST, UTC+09:00"},
		{en.count("n.customers", 1), "1 customer"}, {en.count("n.customers", 5000), "5,000 customers"},
		{ja.count("n.customers", 1), "1 人"}, {en.bytes(999), "999 B"}, {en.bytes(4_200_000), "4.2 MB"},
		{en.code("outcome", "cut off"), "Cut off"}, {en.code("outcome", "newer"), "newer"},
	} {
		if one.got != one.want {
			t.Errorf("got %q, want %q", one.got, one.want)
		}
	}
}

func TestLanguage(t *testing.T) {
	for accept, want := range map[string]string{
		"": "en", "ja": "ja", "ja-JP,ja;q=0.9,en;q=0.8": "ja", "en-GB,ja;q=0.9": "en", "fr,ja;q=0.5": "ja",
		"ja;q=0.2,en;q=0.3": "en", "*": "en", "ja;q=x": "ja",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Accept-Language", accept)
		if got := language(r); got != want {
			t.Errorf("Accept-Language %q gave %s, want %s", accept, got, want)
		}
	}
}

// sources are the Go files of the package.
func sources(t testing.TB) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, path := range goFiles(t) {
		out[path] = readFile(t, path)
	}
	if len(out) < 5 {
		t.Fatalf("found only %v", slices.Collect(maps.Keys(out)))
	}
	return out
}

// A sentence about one thing has no s, and no sentence loses a number by it.
func TestSentencesAboutOne(t *testing.T) {
	en, ja := tongueOf(t, "en"), tongueOf(t, "ja")
	for _, one := range []struct{ got, want string }{
		{en.say("clocks.second", number(1)), "1 judgement waits for a second person."},
		{en.say("clocks.second", number(2)), "2 judgements wait for a second person."},
		{en.say("clock.unit.days", 1), "1 day"}, {en.say("clock.unit.days", 21), "21 days"},
		{en.say("finding.again", number(1)), "opened again once"},
		{ja.say("clock.unit.days", 1), strings.Replace(ja.say("clock.unit.days", 2), "2", "1", 1)},
	} {
		if one.got != one.want {
			t.Errorf("got %q, want %q", one.got, one.want)
		}
	}
	verbs := regexp.MustCompile(`%[^%]`)
	for key, text := range en.words {
		if many, ok := en.words[strings.TrimSuffix(key, ".one")]; ok && key != "answer.stands.one" && strings.HasSuffix(key, ".one") && strings.Contains(text, "%") && strings.Contains(many, "%") && len(verbs.FindAllString(text, -1)) != len(verbs.FindAllString(many, -1)) {
			t.Errorf("%s takes other arguments than %q", key, many)
		}
	}
}
