package tell

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/sheet"
	"sekisho/trace"
)

// A Fact is something that a sentence can rest on.
type Fact struct {
	Known   bool
	Source  string   // "ledger", "config", "stated"
	Entries []uint64 // sequence numbers
	Num     uint64
	At      sekisho.Time
	En, Ja  string // a text in each language
	List    []Item
}

// Item is one of a list, such as a category and how many people it concerns.
type Item struct {
	En, Ja string
	Num    uint64
}

// A Stated fact is what a person wrote down about an incident: what no machine
// knows, such as the cause.
type Stated struct {
	Key   string // "cause", "prevention", "measures", "misuse", "police", "other", …
	Text  string
	Entry uint64
	Num   uint64 // how many, where it is a number
}

// Company is who speaks.
type Company struct {
	// Name as it stands under notices, in Japanese and in English.
	Name   string `yaml:"name"`
	NameEn string `yaml:"name_en"`
	// Address of the head office, for forms.
	Address   string `yaml:"address"`
	AddressEn string `yaml:"address_en"`
	// Representative signs, such as 代表取締役社長 … .
	Representative   string `yaml:"representative"`
	RepresentativeEn string `yaml:"representative_en"`
	// Business is what the company does, for the regulator's form.
	Business   string `yaml:"business"`
	BusinessEn string `yaml:"business_en"`
	// Officer answers questions of authorities: department, name, telephone.
	Officer   string `yaml:"officer"`
	OfficerEn string `yaml:"officer_en"`
	// Contact is where people ask: telephone, page, hours.
	Contact   string `yaml:"contact"`
	ContactEn string `yaml:"contact_en"`
}

// Ground is everything from which drafts are filled.
type Ground struct {
	Incident *incident.Incident
	Answer   *trace.Answer // what the numbers are now
	About    string        // the partner that the text is for; empty for none
	Partner  string        // the roster's dimension of partners, such as "partner"
	Company  Company
	// Called says what a name of the catalog is called in a language.
	Called func(name, lang string) string
	Stated []Stated
	// Decoys with a mailbox, by the entries that placed them: mail to one is
	// misuse that was noticed.
	Mailboxes []uint64
	// Misuse are the reports of misuse at the contact point that staff have laid to
	// the incident, by entry. What people state of misuse takes their place.
	Misuse    []uint64
	Mailings  []Status
	Published *Said // when the public statement was handed over
	// Cut are the containment orders in force, by entry, and how many endpoints
	// they cut off.
	Cut          []uint64
	CutEndpoints uint64
	// Due are the deadlines of the law that apply.
	Due []Deadline
}

// Deadline is one clock of the law.
type Deadline struct {
	Key    string // "appi_preliminary", "appi_final", "gdpr_33", …
	At     sekisho.Time
	Entry  uint64
	En, Ja string // the recipient
}

// factNames are all facts that sentences may speak of.
var factNames = []string{
	"about", "company", "address", "representative", "business", "officer", "contact",
	"detected", "found_by_machine", "found_by_person", "occurred", "reaches_back", "alerts", "endpoints", "accounts", "slow", "sent_out", "sent_bytes",
	"worst_case", "suspected", "sent_at_most", "confirmed", "any_people", "revision", "subjects", "subjects_most",
	"categories", "residence", "partners", "partner_worst", "partner_suspected", "partner_confirmed", "valid",
	"rule7_1", "rule7_2", "rule7_3", "rule7_4", "rule7",
	"no_secrets", "secrets_taken", "observed", "gaps",
	"decoy_mail", "mailboxes", "misuse",
	"told", "told_since", "unreached", "published", "cut", "cut_endpoints",
	"cause", "cause_in", "prevention", "prevention_planned", "measures", "police", "contractor", "other", "medium", "consequences",
	"due_preliminary", "due_final", "recipient",
}

// maxEntries of one sentence: the first and the last of many say as much.
const maxEntries = 12

func (f *Fact) rests(entries ...uint64) {
	for _, e := range entries {
		if e != 0 && !slices.Contains(f.Entries, e) && len(f.Entries) < maxEntries {
			f.Entries = append(f.Entries, e)
		}
	}
}

// Facts says what is known. Every name is in the answer; what is not known is not
// Known.
func (g *Ground) Facts() map[string]*Fact {
	facts := map[string]*Fact{}
	for _, n := range factNames {
		facts[n] = &Fact{}
	}
	know := func(name string, entries ...uint64) *Fact {
		f := facts[name]
		f.Known, f.Source = true, "ledger"
		f.rests(entries...)
		return f
	}
	g.company(facts)
	g.happened(know)
	g.numbers(know)
	g.secrets(know)
	g.done(know)
	for _, s := range g.Stated {
		if f := facts[s.Key]; f != nil && s.Text != "" {
			if f.Known && f.Source == "stated" {
				f.En, f.Ja = f.En+" "+s.Text, f.Ja+" "+s.Text
			} else {
				*f = Fact{Known: true, Source: "stated", En: s.Text, Ja: s.Text, Num: s.Num}
			}
			f.rests(s.Entry)
		}
	}
	return facts
}

func (g *Ground) company(facts map[string]*Fact) {
	say := func(name, ja, en string) {
		if ja != "" || en != "" {
			facts[name].Known, facts[name].Source, facts[name].Ja, facts[name].En = true, "config", cmp.Or(ja, en), cmp.Or(en, ja)
		}
	}
	c := g.Company
	say("company", c.Name, c.NameEn)
	say("address", c.Address, c.AddressEn)
	say("representative", c.Representative, c.RepresentativeEn)
	say("business", c.Business, c.BusinessEn)
	say("officer", c.Officer, c.OfficerEn)
	say("contact", c.Contact, c.ContactEn)
}

// happened is what the alerts tell.
func (g *Ground) happened(know func(string, ...uint64) *Fact) {
	i := g.Incident
	if i == nil {
		return
	}
	know("detected", i.Number).At = i.Opened
	if i.By != 0 {
		know("found_by_person", i.Number)
	}
	var out []Item
	bytes := uint64(0)
	for _, a := range i.Alerts {
		know("alerts", a.Seq).Num++
		if d := know("detected", a.Seq); a.At < d.At {
			d.At = a.At
		}
		know("found_by_machine", a.Seq)
		switch a.Body.Detector {
		case "egress":
			know("sent_bytes", a.Seq).Num += a.Body.Observed
			bytes += a.Body.Observed
			if t := a.Body.Target.String(); !slices.ContainsFunc(out, func(x Item) bool { return x.En == t }) {
				out = append(out, Item{En: t, Ja: t})
			}
			know("sent_out", a.Seq).List = out
		case "decoy_mail":
			know("decoy_mail", a.Seq).Num += a.Body.Observed
		}
		switch a.Body.Detector {
		case "decoy_mail", "outside":
		default:
			if f := know("occurred", a.Seq); f.At == 0 || a.Body.From < f.At {
				f.At = a.Body.From
			}
		}
	}
	if i.By != 0 {
		know("found_by_machine").Known = len(i.Alerts) > 0
	}
	if n := len(i.Revisions); n > 0 {
		r := i.Revisions[n-1]
		know("revision", r.Seq)
		if r.Body.By != 0 {
			know("reaches_back", r.Seq).At = r.Body.Since
		}
	}
	if len(i.Endpoints) > 0 {
		know("endpoints", i.Number).Num = uint64(len(i.Endpoints))
	}
	if len(i.Principals) > 0 {
		know("accounts", i.Number).Num = uint64(len(i.Principals))
	}
	if n := len(g.Misuse); n > 0 {
		f := know("misuse", g.Misuse...)
		f.Num = uint64(n)
		f.En = fmt.Sprintf("Our contact point has %s of mail, calls, charges or the like that may have to do with it.", sheet.Of(n, "report"))
		if n == 1 {
			f.En = "Our contact point has one report of mail, calls, charges or the like that may have to do with it."
		}
		f.Ja = fmt.Sprintf("当社の窓口に、関係が疑われる不正利用の申出が%d件寄せられています。", n)
	}
	if len(g.Mailboxes) > 0 {
		know("mailboxes", g.Mailboxes...).Num = uint64(len(g.Mailboxes))
	}
}

// numbers are the four, and how they break down.
func (g *Ground) numbers(know func(string, ...uint64) *Fact) {
	a := g.Answer
	if a == nil {
		return
	}
	latest := uint64(0)
	if i := g.Incident; i != nil && len(i.Revisions) > 0 {
		latest = i.Revisions[len(i.Revisions)-1].Seq
	}
	number := func(name string, n trace.Number) *Fact {
		f := know(name, latest)
		f.Num = n.Value
		f.rests(evidence(n.Evidence)...)
		return f
	}
	number("worst_case", a.Numbers.WorstCase)
	number("suspected", a.Numbers.Suspected)
	if a.SentKnown {
		number("sent_at_most", a.Numbers.SentAtMost)
	}
	if a.Numbers.Confirmed.Evidence.Entries > 0 {
		number("confirmed", a.Numbers.Confirmed)
	}
	if a.WorstCase > 0 {
		know("any_people", latest).Num = a.WorstCase
	}
	// The parts of the suspected, where there are any: the worst case holds normal
	// use, too.
	of := a.Numbers.Suspected
	if of.Value == 0 {
		of = a.Numbers.WorstCase
	}
	proof := append([]uint64{latest}, evidence(of.Evidence)...)
	list := func(name string, match func(trace.Part) bool, item func(trace.Part) Item) {
		for _, p := range of.Breakdown {
			if match(p) {
				f := know(name, proof...)
				f.List = append(f.List, item(p))
			}
		}
	}
	named := func(name string, n uint64) Item { return Item{g.called(name, "en"), g.called(name, "ja"), n} }
	for _, p := range a.Subjects {
		s, m := know("subjects", proof...), know("subjects_most", proof...)
		s.List, m.List = append(s.List, named(p.Space, p.Suspected)), append(m.List, named(p.Space, p.WorstCase))
	}
	list("categories", func(p trace.Part) bool { return p.Kind == "category" }, func(p trace.Part) Item {
		w := categoryWords[p.Value]
		return Item{cmp.Or(w[0], p.Value), cmp.Or(w[1], p.Value), p.Count}
	})
	list("residence", func(p trace.Part) bool { return p.Dimension == "residence" }, func(p trace.Part) Item {
		return Item{Country(p.Value, "en"), Country(p.Value, "ja"), p.Count}
	})
	list("partners", func(p trace.Part) bool { return g.Partner != "" && p.Dimension == g.Partner }, func(p trace.Part) Item { return Item{p.Value, p.Value, p.Count} })
	list("valid", func(p trace.Part) bool { return p.Kind == "date" && p.Value == "valid" }, func(p trace.Part) Item { return named(p.Dimension, p.Count) })
	if g.About != "" {
		about := know("about")
		about.En, about.Ja, about.Source = g.About, g.About, "config"
		for name, n := range map[string]trace.Number{"partner_worst": a.Numbers.WorstCase, "partner_suspected": a.Numbers.Suspected, "partner_confirmed": a.Numbers.Confirmed} {
			if name == "partner_confirmed" && n.Evidence.Entries == 0 {
				continue
			}
			f := know(name, latest)
			f.rests(evidence(n.Evidence)...)
			for _, p := range n.Breakdown {
				if p.Dimension == g.Partner && p.Value == g.About {
					f.Num = p.Count
				}
			}
		}
	}
	g.rule7(know, proof)
}

// called is what a name of the catalog is called.
func (g *Ground) called(name, lang string) string {
	if g.Called != nil {
		return g.Called(name, lang)
	}
	return (&Config{}).Called(name, lang)
}

// rule7 says which numbers of Rule 7 of APPI the figures alone speak for. Number
// iii, an act against the company, is a person's word, unless something was sent
// to a hostile destination. What a person has answered goes before the figures.
func (g *Ground) rule7(know func(string, ...uint64) *Fact, proof []uint64) {
	has := func(category sekisho.Categories) bool {
		return slices.ContainsFunc(g.Answer.Numbers.WorstCase.Breakdown, func(p trace.Part) bool { return p.Kind == "category" && p.Value == category.String() })
	}
	add := func(name, en string, entries ...uint64) {
		know(name, entries...)
		f := know("rule7", entries...)
		f.List = append(f.List, Item{En: en, Ja: map[string]string{"i": "第1号（要配慮個人情報）", "ii": "第2号（財産的被害のおそれ）", "iii": "第3号（不正の目的をもった行為）", "iv": "第4号（1,000人超）"}[en]})
	}
	said := map[string]incident.LegalFact{} // the latest answer to each question
	if g.Incident != nil {
		for _, f := range g.Incident.Legal.Facts {
			said[f.Body.Question] = f
		}
	}
	answered := func(question, name, en string) bool {
		f, ok := said[question]
		if ok && f.Body.Answer == "yes" {
			add(name, en, f.Seq)
		}
		return ok && f.Body.Answer != "unknown"
	}
	if !answered(law.SpecialCare, "rule7_1", "i") && has(sekisho.SpecialCare) {
		add("rule7_1", "i", proof...)
	}
	if !answered(law.PaymentRisk, "rule7_2", "ii") && (has(sekisho.Payment) || has(sekisho.Credential)) {
		add("rule7_2", "ii", proof...)
	}
	if i := g.Incident; !answered(law.ImproperPurpose, "rule7_3", "iii") && i != nil {
		for _, a := range i.Alerts {
			if a.Body.Detector == "egress" || a.Body.Detector == "decoy_mail" {
				add("rule7_3", "iii", a.Seq)
				break
			}
		}
	}
	if g.Answer.WorstCase > 1000 {
		add("rule7_4", "iv", proof...)
	}
}

// blinding are the notes of an answer that leave room for something that the
// ledger did not see leave the database.
var blinding = map[string]bool{"before_ledger": true, "gate_down": true, "gate_down_more": true, "after_ledger": true, "any_row": true,
	"any_row_reach_unknown": true, "passed_by": true, "confirmed_outside": true}

// secrets says whether the ledger shows that no passwords and no card numbers were
// read. It does only if it saw everything: every access by these endpoints in the
// window is there, each says which categories it touched, no column is
// unclassified, and none of them is a password or a card.
func (g *Ground) secrets(know func(string, ...uint64) *Fact) {
	a := g.Answer
	if a == nil {
		return
	}
	seen := map[string]bool{}
	for _, p := range a.Numbers.WorstCase.Breakdown {
		if p.Kind == "category" {
			seen[p.Value] = true
		}
	}
	proof := evidence(a.Numbers.WorstCase.Evidence)
	if seen[sekisho.Credential.String()] || seen[sekisho.Payment.String()] {
		know("secrets_taken", proof...)
	}
	if len(a.Observed) > 0 {
		f := know("observed", proof...)
		f.Num = a.Numbers.WorstCase.Evidence.Entries
	}
	blind := false
	for _, n := range a.NotObserved {
		if blinding[n.Code] && !(n.Code == "after_ledger" && n.Seconds < 1) {
			blind = true
			f := know("gaps", proof...)
			f.Num++
			w := gapWords[n.Code]
			if !slices.ContainsFunc(f.List, func(i Item) bool { return i.En == w[0] }) {
				f.List = append(f.List, Item{En: w[0], Ja: w[1]})
			}
		}
	}
	if !blind && !a.Nameless() && len(seen) > 0 && !seen[sekisho.Unclassified.String()] &&
		!seen[sekisho.Credential.String()] && !seen[sekisho.Payment.String()] {
		know("no_secrets", proof...)
	}
}

// done is what the company did.
func (g *Ground) done(know func(string, ...uint64) *Fact) {
	for _, m := range g.Mailings {
		if n := m.Counts[Taken] + m.Counts[HeldSent]; n > 0 {
			f := know("told", m.Number)
			f.Num += n
			if s := know("told_since", m.Number); s.At == 0 || m.At < s.At {
				s.At = m.At
			}
		}
		if n := m.Counts[Unsent] + m.Counts[Denied] + m.Counts[Bounced]; n > 0 {
			know("unreached", m.Number).Num += n
		}
	}
	if g.Published != nil {
		know("published", g.Published.Entry).At = g.Published.At
	}
	if len(g.Cut) > 0 {
		know("cut", g.Cut...)
		know("cut_endpoints", g.Cut...).Num = g.CutEndpoints
	}
	for _, d := range g.Due {
		name := map[string]string{"appi_preliminary": "due_preliminary", "appi_final": "due_final"}[d.Key]
		if name != "" {
			know(name, d.Entry).At = d.At
			if d.En != "" {
				r := know("recipient", d.Entry)
				r.En, r.Ja = d.En, cmp.Or(d.Ja, d.En)
			}
		}
	}
}

// evidence is the sequence numbers of an answer's entries.
func evidence(e trace.Evidence) (list []uint64) {
	for _, id := range append([]string{e.First, e.Last}, e.Some...) {
		if at := strings.LastIndexByte(id, '.'); at >= 0 {
			if n, err := strconv.ParseUint(id[at+1:], 10, 64); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

var categoryWords = map[string][2]string{
	"identity": {"names and membership details", "氏名・生年月日・会員番号等"}, "contact": {"addresses, e-mail addresses and telephone numbers", "住所・メールアドレス・電話番号"},
	"travel_document": {"passport or visa details", "旅券・査証の情報"}, "payment": {"card or bank account details", "カード・口座の情報"},
	"credential": {"passwords or other secrets for signing in", "パスワード等の認証情報"}, "loyalty": {"miles, points and status", "マイル・ポイント・会員区分"},
	"employment": {"place of work, department and title", "勤務先・部署・役職"}, "itinerary": {"bookings and travel", "予約・旅程"},
	"special_care": {"information that needs special care", "要配慮個人情報"}, "relation": {"partner of origin, family and companions", "取扱提携先・家族・同行者"},
	"unclassified": {"data not yet classified", "未分類の項目"},
}

var gapWords = map[string][2]string{
	"before_ledger": {"the time before recording began", "記録開始前の期間"}, "gate_down": {"times when the checkpoint was down", "関門が停止していた期間"},
	"gate_down_more": {"times when the checkpoint was down", "関門が停止していた期間"}, "after_ledger": {"the time after the last record", "最後の記録より後の期間"},
	"any_row":               {"accesses of which it cannot be told whom they reached", "対象者を特定できないアクセス"},
	"any_row_reach_unknown": {"accesses of which it cannot be told whom they reached", "対象者を特定できないアクセス"},
	"passed_by":             {"connections that went past the checkpoint", "関門を通らなかった接続"}, "confirmed_outside": {"people found in a recovered file who are in no record of access", "アクセス記録にないが回収ファイルに含まれる人"},
}

// FactOf is the fact that a code of the incident room speaks of; empty for one
// that no draft can use.
func FactOf(code string) string {
	switch code {
	case "entry":
		return "cause"
	case "secondary":
		return "misuse"
	case "subjects_notified":
		return "measures"
	case "cause", "cause_in", "prevention", "prevention_planned", "measures", "misuse", "police", "contractor", "other", "consequences":
		return code
	}
	return ""
}
