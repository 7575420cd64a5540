package console

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"sekisho"
	"sekisho/catalog"
	"sekisho/duty"
)

// promised fills a house with something of everything that the policy promises,
// by entries, and names its pages: those of the console, and those of "sato" at
// the employees' door.
func (s *staffHouse) promised() (pages, door map[string]string) {
	s.t.Helper()
	now := sekisho.At(s.clock.now())
	const day = 24 * 3600 * 1_000_000
	said := func(text string) uint32 { return s.vault.Space("said").OfText([]byte(text)) }
	keep := func(text string) uint32 { return s.vault.Space("document").OfText([]byte(text)) }
	thing := func(name string) uint32 { return s.vault.Space("thing").OfText([]byte(name)) }
	unit := func(name string) uint32 { return s.vault.Space("unit").OfText([]byte(name)) }
	s.append(&sekisho.LedgerVerified{OK: true})
	s.hire("sato", "exec suzuki", "head tanaka", "ito")
	l := s.withLures()
	s.door.Lures = l
	s.console.cfg.School = s.school
	campaign := s.play(l)
	plan := s.assign("suspicious-mail", 30)
	second := s.assign("customer-data", 40)
	company := unit("company/air")
	bodies := []sekisho.Body{
		&sekisho.PostChanged{Post: "administrator", Space: "unit", Unit: company, Person: s.staff("sato"), Action: "appointed", From: now},
		&sekisho.PostChanged{Post: "administrator", Space: "unit", Unit: company, Person: s.staff("ito"), Deputy: true, Action: "appointed", From: now},
		&sekisho.BudgetDecided{Year: 2014, Step: "planned", Amount: 120_000_000, Currency: "JPY", At: now, Said: said("計画"), By: s.staff("suzuki")},
		&sekisho.BudgetDecided{Year: 2014, Step: "spent", Amount: 90_000_000, Currency: "JPY", At: now, By: s.staff("suzuki")},
	}
	for _, d := range s.duties.Register().Instrument("policy").Duties[:20] {
		bodies = append(bodies, &sekisho.PostChanged{Post: "responsible", Space: d.Unit().Space, Unit: d.Unit().Ordinal, Person: s.staff("tanaka"), Action: "appointed", From: now})
	}
	traits := map[string][]string{"supplier": {"personal_data", "tier_1"}, "contract": {"personal_data"}, "server": {"public"}, "council": {"oversight", "quorum_2"}, "cloud": {"personal_data"}}
	members := map[string][]uint32{"supplier": {s.staff("vendor1")}, "council": {s.staff("suzuki"), s.staff("tanaka")}}
	for _, noun := range registerNouns {
		bodies = append(bodies, &sekisho.Registered{Noun: noun, Thing: thing(noun + "/対象"), Action: "registered", Owner: s.staff("sato"), Unit: company, Traits: traits[noun], Members: members[noun], From: now - 30*day, By: s.staff("ito")})
	}
	text := "# 情報セキュリティハンドブック\n\nお客さまの情報を守ります。"
	bodies = append(bodies, &sekisho.ServiceSeen{Sensor: "office", Thing: thing("cloud/files.example.com"), First: now - day, Last: now, Endpoints: []string{"pc-1"}, Machines: 3, Times: 40, Bytes: 9000},
		&sekisho.PostureSeen{Source: "mdm", Thing: thing("terminal/pc-1"), Endpoint: "pc-1", At: now, Managed: "yes", Encrypted: "yes", Patched: "no", Offsite: "yes", Platform: "Windows 11", Holder: s.staff("sato"), By: s.staff("ito")},
		&sekisho.OffsiteDecided{Action: "asked", Person: s.staff("sato"), Endpoint: "pc-1", Categories: sekisho.Identity, From: now, Until: now + 30*day, Said: said("出張"), By: s.staff("sato")},
		&sekisho.ExceptionAsked{Duty: "policy/M3a", Space: "staff", Units: []uint32{s.staff("tanaka")}, What: "waived", From: now, Until: now + 90*day, Owner: s.staff("suzuki"), Said: said("長期の海外勤務"), By: s.staff("ito")},
		&sekisho.EvidenceStated{Evidence: "minutes", Producer: "H", Space: "thing", Units: []uint32{thing("council/対象")}, From: now, Item: "meeting", Said: said("議事録"), By: s.staff("ito")},
		&sekisho.EvidenceStated{Evidence: "training_completion", Producer: "S", Space: "staff", Units: []uint32{s.staff("sato")}, From: now, Item: "customer-data", Said: said("他のシステムから"), By: s.staff("ito")},
		&sekisho.DutyReminded{Duty: "policy/M3a", From: now, Until: now + 90*day, Company: company, Rung: 1, Role: "administrator", Person: s.staff("sato"), Due: now, Open: 3},
		&sekisho.DutyReminded{Duty: "policy/M3a", From: now, Until: now + 90*day, Rung: 1, Role: "training_lead", Due: now, Open: 3},
		&sekisho.CaseOpened{Rule: "password_shared", Gravity: "slight", Intent: "negligence", Rank: "employee", Happened: now - 5*day, Known: now - 4*day, By: s.staff("hori")})
	s.append(bodies...)
	first := s.append(&sekisho.DocumentWritten{Document: thing("document/handbook"), Sort: "handbook", Public: true, Acknowledge: true, ReviewDays: 365, Japanese: keep(text), JapaneseSHA: hashOf(text), English: keep("# Handbook\n\nWe keep it."), EnglishSHA: hashOf("# Handbook\n\nWe keep it."), By: s.staff("ito")})
	s.append(&sekisho.DocumentPublished{Version: first, Action: "published", From: now, By: s.staff("suzuki")})
	s.append(&sekisho.DocumentWritten{Document: thing("document/handbook"), Sort: "handbook", Before: first, Public: true, ReviewDays: 365, Japanese: keep(text + "\n\n追記"), JapaneseSHA: hashOf(text + "\n\n追記"), By: s.staff("ito")})
	pages = map[string]string{"duties": "/duties", "council": "/duties?council=1", "controls": "/duties?instrument=iso27001", "appi": "/duties?instrument=appi", "mine": "/duties/mine", "person": "/people/sato", "training": "/training", "plan": fmt.Sprintf("/training/%d", second), "phishing": "/phishing",
		"campaign": fmt.Sprintf("/phishing/%d", campaign), "lure": "/phishing/lures/itinerary", "documents": "/documents", "document": "/documents/handbook", "checks": "/checks", "posts": "/posts", "scans": "/scans", "terminals": "/terminals", "evaluation": "/evaluation", "directory": "/directory"}
	for _, d := range s.duties.Register().Duties() {
		pages["duty "+d.Name()] = "/duties/" + d.Name()
	}
	door = map[string]string{"my": "/my", "my course": fmt.Sprintf("/my/training/%d", plan), "my document": fmt.Sprintf("/my/documents/%d", first), "my drills": "/my/phishing"}
	for _, noun := range duty.Nouns() {
		space, u := noun.Space, company
		switch noun.Space {
		case "thing":
			u = thing(noun.Of + "/対象")
		case "instrument":
			u = duty.UnitOf("iso27001").Ordinal
		}
		c := s.append(&sekisho.CheckPlanned{Noun: noun.Name, Space: space, Units: []uint32{u}, Due: now + 10*day, Lead: s.staff("ito"), Other: s.staff("sato"), Scope: said("今年の範囲"), Items: []string{"a1", "a2"}, By: s.staff("ito")})
		s.append(&sekisho.CheckChanged{Check: c, Action: "held", At: now, By: s.staff("ito")},
			&sekisho.CheckAnswered{Check: c, Items: []string{"a1", "a2"}, Answers: []string{"yes", "partly"}, Notes: []uint32{0, said("一部のみ")}, By: s.staff("ito")},
			&sekisho.PaperAdded{About: c, What: "report", Media: "application/pdf", Size: 10, Document: keep("%PDF"), Title: said("報告書"), By: s.staff("ito")})
		if noun.Attended {
			s.append(&sekisho.Attended{Check: c, Present: []uint32{s.staff("suzuki")}, Absent: []uint32{s.staff("tanaka")}, By: s.staff("ito")})
		}
		f := s.append(&sekisho.FindingRaised{Check: c, Space: space, Unit: u, Grade: "medium", Code: "a2", Title: said("施錠されていない"), Owner: s.staff("sato"), Due: now + 20*day, By: s.staff("ito")})
		s.append(&sekisho.ActionChanged{Finding: f, Action: "assigned", Person: s.staff("sato"), Due: now + 20*day, Said: said("鍵の交換"), By: s.staff("ito")})
		pages["check "+noun.Name], pages["finding "+noun.Name] = fmt.Sprintf("/checks/%d", c), fmt.Sprintf("/findings/%d", f)
		if noun.Name == "inspection" {
			door["my check"] = fmt.Sprintf("/my/checks/%d", c)
		}
	}
	s.settle()
	for _, noun := range registerNouns {
		pages["register "+noun] = "/registers?noun=" + noun
		pages["thing "+noun] = fmt.Sprintf("/registers/%d", thing(noun+"/対象"))
	}
	return pages, door
}

// What a reader sees of a page: no marks, no scripts, nothing that is shown as
// code on purpose, and no example of what can be typed.
var (
	unseen   = regexp.MustCompile(`(?s)<(script|style|code|pre|head)\b.*?</(script|style|code|pre|head)>|<!--.*?-->`)
	labels   = regexp.MustCompile(`(?:title|aria-label|data-label|alt)="([^"]*)"`)
	marks    = regexp.MustCompile(`<[^>]*>`)
	rawCode  = regexp.MustCompile(`\b[a-z]+(?:_[a-z0-9]+)+\b|\b[A-Z]+_[A-Z_]+\b|dutyreg\.|\bmy\.[a-z]+\.|%!`)
	ownCodes = regexp.MustCompile(`^(quorum_3|no_service|personal_data)$`) // traits, as the hints of the registers name them to be typed
)

func readable(page string) string {
	page = unseen.ReplaceAllString(page, " ")
	var b strings.Builder
	for _, m := range labels.FindAllStringSubmatch(page, -1) {
		b.WriteString(m[1] + "\n")
	}
	b.WriteString(marks.ReplaceAllString(page, " "))
	return html.UnescapeString(b.String())
}

// No page about what the policy promises shows a code where a reader expects
// words, in either language, at the console or at the employees' door.
func TestPagesSpeakInWords(t *testing.T) {
	s := newStaffHouse(t)
	pages, door := s.promised()
	look := func(b *browser, lang, name, path string) {
		t.Helper()
		a := b.get(path)
		if a.status != 200 {
			t.Errorf("%s in %s: %d\n%s", name, lang, a.status, readable(a.body))
			return
		}
		seen := map[string]bool{}
		for _, raw := range rawCode.FindAllString(readable(a.body), -1) {
			if !seen[raw] && !ownCodes.MatchString(raw) {
				t.Errorf("%s in %s (%s) shows %q", name, lang, path, raw)
			}
			seen[raw] = true
		}
	}
	// Handling rules that nobody has approved yet: nothing but codes is known of a
	// category. Approved ones bring their own words.
	shipped, err := catalog.ReadHandling(catalog.ShippedHandling())
	must(t, err)
	handling := Handling{Rules: shipped.Strictest(), Proposed: shipped, Used: ^sekisho.Categories(0)}
	s.console.cfg.Handling = func() Handling { return handling }
	s.door.StaffSources.Handling = s.console.cfg.Handling
	pages["handling"], pages["audit"], pages["review"], door["my handling"] = "/handling", "/audit", "/review", "/my/handling"
	s.as("hori", hr, "en")
	for _, lang := range languages {
		admin, hori, mine := s.signedIn(lang), s.stranger(lang), s.enters("sato", lang)
		hori.want("/signin", went, "", "name", "hori", "password", "a password of hori")
		for name, path := range pages {
			if name == "evaluation" {
				look(hori, lang, name, path)
				continue
			}
			look(admin, lang, name, path)
		}
		for name, path := range door {
			look(mine, lang, name, path)
		}
		strictest := handling
		handling.Rules, handling.Version = shipped, 1
		look(admin, lang, "approved handling", "/handling")
		look(mine, lang, "my approved handling", "/my/handling")
		handling = strictest
	}
}

// One's own page is no wider than a telephone, in both languages. With SHOTS=DIR
// it is left there as a picture.
func TestMyPageFits(t *testing.T) {
	s := newStaffHouse(t)
	_, door := s.promised()
	ctx := chrome(t)
	before := s.relay.count("sato@example.jp")
	must(t, chromedp.Do(ctx, chromedp.Navigate(s.server.URL+"/my"), chromedp.SendKeys(chromedp.CSS("input[name=name]"), "sato"), chromedp.Submit(chromedp.CSS("main form")), chromedp.WaitReady(chromedp.CSS(".good"))))
	s.until("a link", func() bool { return s.relay.count("sato@example.jp") > before })
	path, _ := s.relay.link("sato@example.jp")
	must(t, chromedp.Do(ctx, chromedp.Navigate(s.server.URL+path), chromedp.Submit(chromedp.CSS("main form")), chromedp.WaitReady(chromedp.CSS("ul.mine"))))
	must(t, chromedp.Do(ctx, chromedp.EmulateViewport(390, 844)))
	for _, lang := range languages {
		must(t, chromedp.Do(ctx, chromedp.Navigate(s.server.URL+door["my"]+"?lang="+lang), chromedp.WaitReady(chromedp.CSS("ul.duties"))))
		fits(t, ctx, "my", lang, 390)
	}
}
