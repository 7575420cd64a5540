package sekisho

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files again; a changed line is a broken promise, a new one is a new kind")

// specimens is one entry of every kind, each field with a value of its own.
func specimens() []Entry {
	hash := func(from byte) (h [32]byte) {
		for i := range h {
			h[i] = from + byte(i)
		}
		return h
	}
	bodies := []Body{
		&LedgerOpened{Name: "members", Drill: "jal-2014", Software: "sekisho 0.1", Dropped: 300},
		&LedgerClosed{},
		&Assigned{Space: "member", First: 4001, Count: 131, Root: hash(0)},
		&SessionOpened{Door: DoorGate, Principal: 3, Role: "call_centre", Endpoint: "pc-0417", Verified: true,
			Address: netip.MustParseAddr("10.1.2.3"), Application: 2, TLS: true},
		&SessionClosed{Session: 4, Reason: "terminate", Bytes: 70_000},
		&SessionRefused{Door: DoorConsole, Principal: 5, Endpoint: "unverified@2001:db8::1", Address: netip.MustParseAddr("2001:db8::1"), Reason: "password"},
		&Shape{Statement: 9, Verb: Export, Space: "member", Tables: []string{"member", "passport"},
			Columns: []string{"member.email", "passport.number"}, Categories: Identity | TravelDoc | Unclassified},
		&Access{Session: 4, Shape: 7, Number: 11, Class: Exact, More: true, Purpose: 6, Rows: 5, Least: 23, Reach: 1_000_000,
			Subjects: []uint32{4001, 4002, 4002, 17, math.MaxUint32}},
		&AccessClosed{Session: 4, Number: 11, Outcome: CutOff, Released: 8, SQLState: "53400"},
		&Refused{Session: 4, Number: 12, Statement: 10, Tables: []string{"card"}, SQLState: "0A000", Reason: "aggregate"},
		&RosterRead{Space: "member", Count: 1_000_000, Dimensions: []string{"partner", "residence"}, SHA256: hash(32)},
		&SensorRead{Sensor: "zeek-conn", SHA256: hash(64), Lines: 500, Accepted: 498, Rejected: 2, From: 1_411_084_800_000_000, Until: 1_411_171_200_000_000},
		&Egress{Sensor: "zeek-conn", Endpoint: "pc-0417", Source: netip.MustParseAddr("10.1.2.3"), Target: netip.MustParseAddr("203.0.113.66"),
			Port: 443, Protocol: "tcp", Start: 1_411_084_800_000_000, End: 1_411_084_860_000_000, Out: 9_000_000, In: 1200, Partial: true, Ref: "CwA9Lj3ubGM"},
		&Alert{Detector: "sweep", Principal: 3, Endpoint: "pc-0417", From: 1_411_084_800_000_000, Until: 1_411_088_400_000_000,
			Observed: 9000, Limit: 120, Learning: true, Target: netip.MustParseAddr("203.0.113.66"), Basis: []uint64{8, 900}},
		&IncidentOpened{Alert: 14, By: 1, Endpoints: []string{"pc-0417", "pc-0533"}},
		&IncidentRevised{Incident: 15, By: 1, Endpoints: []string{"pc-0417"}, Since: 1_408_320_000_000_000, Until: 1_411_430_400_000_000,
			Hostile:     []netip.Prefix{netip.MustParsePrefix("203.0.113.66/32"), netip.MustParsePrefix("2001:db8::/32")},
			Compression: 1000, Through: 15, WorstCase: 750_000, Suspected: 190_000, SentAtMost: 21_000, Confirmed: 4131, SentKnown: true, Reason: "scope"},
		&FileMatched{Incident: 15, By: 1, SHA256: hash(96), Rows: 4200, Damaged: 69, Space: "member", Subjects: []uint32{1, 5, 200}},
		&UserChanged{User: 1, By: 2, Action: "created"},
		&SignedIn{User: 1, Address: netip.MustParseAddr("127.0.0.1"), OK: true},
		&Certified{Action: "login", Endpoint: "pc-0417", Serial: "5f3a0c66d1e84b7792ab34cd56ef7801", Until: 1_411_128_123_000_000, Principal: 3, By: 1},
		&PolicyRead{SHA256: hash(128), Rules: 18, Mistakes: 2},
		&Ruled{Session: 4, Number: 12, Statement: 10, Verb: Read, Tables: []string{"member", "passport"}, Categories: Identity | TravelDoc, Purpose: 6, Enforced: true,
			Decision: "mask travel_document=partial, cap 500 rows", Rules: []string{"call-centre-reads", "documents-masked"},
			ReasonEn: "passport and visa data are masked", ReasonJa: "旅券の情報はマスクされます"},
		&OnBehalf{Session: 4, Number: 13, Principal: 7, Endpoint: "pc-0533", Verified: true, Source: SourceLocal},
		&BudgetReached{Budget: "person-month", State: BudgetEnded, Session: 4, Space: "member", Principal: 3, Role: "call_centre", Endpoint: "pc-0417", Purpose: 6,
			Window: 2_592_000, Limit: 60, Used: 60},
		&ExportAsked{Refused: 308, Principal: 3, Role: "call_centre", Statement: 9, Exact: 2, Tables: []string{"member", "passport"}, Most: 60_000, Lasts: 86_400, Reason: 4, By: 5},
		&ExportDecided{Request: 319, Action: "approved", Most: 50_000, Until: 1_411_171_323_000_000, Reason: 6, By: 1},
		&ExportUsed{Request: 319, Session: 4, Number: 13},
		&DecoyPlaced{Action: "placed", Space: "member", Subject: 4100, Tables: []string{"member"}, Group: "front-office", Mailbox: 1, Request: 319, By: 5},
		&FactStated{Incident: 15, Code: "first_malicious", Happened: 1_408_320_000_000_000, Known: 1_411_430_400_000_000, Source: "provider", Certainty: "likely", Corrects: 331, Said: 7, By: 1},
		&RoleChanged{Incident: 15, Role: "incident_commander", Action: "handed_over", Person: 3, Said: 8, By: 1},
		&PlaybookChosen{Incident: 15, Name: "malware", Edition: "2026-1", SHA256: hash(160), Document: 1, By: 1},
		&TaskChanged{Incident: 15, Task: "malware/isolate", Action: "assigned", Person: 3, Due: 1_411_444_800_000_000, Said: 9, By: 1},
		&DecisionMade{Incident: 15, Code: "not_report", Title: 10, Options: []uint32{11, 12}, Chosen: 1, Two: true, Said: 13, By: 1},
		&Answered{Incident: 15, About: 335, Action: "approved", Said: 14, By: 3},
		&EvidenceAdded{Incident: 15, SHA256: hash(192), Size: 70_000, Title: 15, Kept: 16, Taken: 1_411_444_800_000_000, Person: 3, By: 1},
		&CustodyMoved{Incident: 15, Evidence: 337, Person: 5, Kept: 17, Said: 18, Checked: true, By: 3},
		&Raised{Incident: 15, What: "host_health", Source: "provider", Endpoint: "db-02", Known: 1_411_444_800_000_000, Person: 3, Said: 19, By: 1},
		&LessonNoted{Incident: 15, Lesson: 340, Action: "changed", Person: 3, Due: 1_411_444_800_000_000, Said: 20, By: 1},
		&Acknowledged{Incident: 15, About: 14, Said: 21, By: 3},
		&Escalated{Incident: 15, About: 14, Stage: "acknowledge", Rung: 3, Role: "executive", Person: 5, Due: 1_411_444_800_000_000},
		&IncidentEnding{Incident: 15, Action: "close", Outcome: "resolved", Said: 22, By: 1},
		&ContainmentProposed{Incident: 15, System: "member-db", Cuts: CutEgress | CutGate,
			Endpoints:  []ContainedEndpoint{{"pc-0417", []netip.Prefix{netip.MustParsePrefix("10.1.4.17/32"), netip.MustParsePrefix("fd00:1::417/128")}}, {Name: "pc-0533"}},
			Principals: []uint32{3, 7}, Roles: []string{"call_centre"}, Tables: []string{"member", "passport"},
			Destinations: []netip.Prefix{netip.MustParsePrefix("203.0.113.66/32")}, Follow: true,
			Spared: []string{"ops-1"}, Protected: []string{"pc-0533"}, Executive: 9, Hands: []string{"gate", "router"}, Alone: true, Lasts: 86_400, Keep: true, Owner: 5, Reason: 4, By: 5},
		&ContainmentDecided{Order: 343, Action: "approved", Until: 1_411_171_323_000_000, Reason: 6, By: 1},
		&ContainmentReported{Hand: "router", Orders: []uint64{343, 350}, State: "drift", Intended: 1800, Enforced: 1799, Extra: 2, Missing: []string{"10.1.4.17"}, Reason: "table_gone"},
		&ContainmentLifted{Order: 343, All: true, Cuts: CutGate, Endpoints: []string{"pc-0417"}, Cause: "person", Reason: 8, By: 5},
		&ContainmentReviewed{Order: 343, Verdict: "upheld", Reason: 10, By: 1},
		&ContainmentProlonged{Order: 343, Until: 1_411_257_723_000_000, Owner: 7, Reason: 11, By: 5},
		&NoticeReceived{Incident: 15, Source: "provider", Ground: "n4-e", Received: 1_411_084_800_000_000, Department: 1, Endpoint: "web-2", Said: 2, By: 1},
		&AwareJudged{Incident: 15, About: 14, Action: "rejected", Said: 3, By: 2},
		&ClockMoved{Incident: 15, Request: 360, Action: "approved", Was: 1_411_084_800_000_000, Start: 1_411_171_200_000_000, Said: 4, By: 2},
		&DutyReported{Incident: 15, Regime: "jp-appi", Step: "preliminary", Action: "sent", Request: 361, Sent: 1_411_344_000_000_000, Reference: 5, By: 1},
		&LegalFactStated{Incident: 15, Question: "improper_purpose", Answer: "yes", Happened: 1_411_084_800_000_000, Said: 6, By: 2},
		&TextWritten{Incident: 313, Form: "partner", About: "partner-a", Language: "ja", Before: 340, Revision: 314, Through: 350, Document: 7, SHA256: hash(160), By: 5},
		&TextDecided{Text: 363, Action: "proposed", Reason: 8, By: 5},
		&MailingAsked{Incident: 313, Revision: 314, List: "suspected", Again: true, Texts: []uint64{361, 363}, Space: "member", Listed: 190_000, People: 189_999, Reason: 8, By: 5},
		&MailingListed{Mailing: 365, More: true, Subjects: []uint32{3, 4, 5, 900}},
		&MailingDecided{Mailing: 365, Action: "approved", Reason: 9, By: 1},
		&MailStarted{Mailing: 365, Subjects: []uint32{3, 4, 5}},
		&MailEnded{Started: 368, Taken: []uint32{3}, Denied: []uint32{4}, Later: []uint32{5}, Unclear: []uint32{900}},
		&MailUnsent{Mailing: 365, Why: "no_address", Subjects: []uint32{901}},
		&MailBounced{Mailing: 365, Status: "5.1.1", Final: true, Subjects: []uint32{3}},
		&MailSettled{Mailing: 365, As: "sent", Subjects: []uint32{900}, Reason: 10, By: 1},
		&EnquiryReceived{Asked: "affected", Language: "ja", Asker: 4, Said: 7, Receipt: hash(3), By: 5},
		&EnquiryMatched{Enquiry: 373, Space: "member", Subject: 4100, Code: hash(5)},
		&EnquiryMailed{Enquiry: 373, Letter: "code", Basis: 374, Outcome: "taken"},
		&IdentityChecked{Enquiry: 373, Space: "member", Subject: 4100, Means: "licence", Result: "confirmed", By: 5},
		&EnquiryRouted{Enquiry: 373, Action: "assigned", To: 5, Incident: 15, By: 1},
		&EnquiryAnswered{Enquiry: 373, Template: "affected 2026-11-01", Document: 3, SHA256: hash(9), Result: "extended", Through: 376, Until: 1_411_171_323_000_000, By: 5},
		&EnquiryClosed{Enquiry: 373, Reason: "answered", By: 5},
		&AnswersAllowed{Incident: 15, Action: "asked", Request: 379, TextEn: 4, TextJa: 5, Reason: 8, By: 1},
		&Observation{Sensor: "mail-gateway", Class: 4009, Activity: 2, Severity: 4, At: 1_411_084_800_000_000, Endpoint: "mx-01", Address: netip.MustParseAddr("10.1.0.25"),
			Target: netip.MustParseAddr("203.0.113.9"), Port: 25, Blocked: true, Actor: 3, Object: 8, Domain: 2, Sender: 5, To: []uint32{4, 9}, Size: 412_000,
			Content: hash(160), Traits: []string{"attachment", "lookalike"}, Ref: hash(192)},
		&EventsRead{Sensor: "mail-gateway", SHA256: hash(200), Events: 9, Accepted: 5, Repeated: 3, Rejected: 1, From: 1_411_084_800_000_000, Until: 1_411_084_860_000_000},
		&DrillStep{Action: "injected", Case: "jtb-2016", Step: 3, At: 1_458_345_600_000_000, Said: 2, By: 1, SHA256: hash(210)},
		&SubjectRevised{Incident: 15, Space: "guest", WorstCase: 40, Suspected: 12, SentAtMost: 7, Confirmed: 3, SentKnown: true},
		&LeaseGranted{Gate: 2, Epoch: 5, Question: 17, Whose: LeaseHolder{Budget: "person-month", Space: "member", Principal: 3, Role: "call_centre", Endpoint: "pc-0417", Purpose: 6}, Share: 40, Used: 23, Lasts: 3600},
		&LeaseReturned{Gate: 2, Epoch: 5, Question: 18, Whose: LeaseHolder{Budget: "person-month", Space: "member", Principal: 3, Role: "call_centre", Endpoint: "pc-0417", Purpose: 6}, Share: 24, Used: 22, Lasts: 3599},
		&LeaseEnded{Gate: 2, Whose: LeaseHolder{Budget: "person-month", Space: "member", Principal: 3, Role: "call_centre", Endpoint: "pc-0417", Purpose: 6}, Share: 24, State: "lapsed"},
		&LeaseTaken{Issuer: 1, Whose: LeaseHolder{Budget: "person-month", Space: "member", Principal: 3, Role: "call_centre", Endpoint: "pc-0417", Purpose: 6}, Share: 40, Boot: "0f5b6c9e", Ends: 86_400_000_000, Until: 1_411_088_400_000_000},
		&ExportMarked{Exact: 2, Decoys: 3, By: 5},
		&PassedBy{Principal: 7, Tables: []string{"crm.member", "crm.passport"}, From: 1_411_084_800_000_000, Until: 1_411_088_400_000_000, Rows: 412_000},
		&InstrumentRead{Instrument: "policy", Edition: "2026-1", SHA256: hash(7), Duties: 45, Clauses: 18},
		&EvidenceStated{Evidence: "minutes", Producer: "H", Space: "thing", Units: []uint32{4, 5}, From: 1_411_084_800_000_000, Until: 1_442_620_800_000_000, Item: "review",
			State: "failed", Value: 80, Said: 12, Document: 3, SHA256: hash(11), By: 5},
		&EvidenceSigned{Evidence: 400, Action: "countersigned", Said: 13, By: 6},
		&UnitListed{Population: "membership", Space: "thing", Unit: 4, Action: "listed", From: 1_411_084_800_000_000, Company: 2, Owner: 5, Said: 14, By: 1},
		&ExceptionAsked{Duty: "policy/M3a", Space: "staff", Units: []uint32{7, 9}, What: "waived", From: 1_411_084_800_000_000, Until: 1_442_620_800_000_000, Owner: 5, Said: 15, By: 1},
		&ExceptionDecided{Exception: 403, Action: "approved", Said: 16, By: 6},
		&ControlStated{Instrument: "iso27001", Control: "A.5.1", Applicable: true, Claim: "implemented", Basis: []uint64{400, 403}, From: 1_411_084_800_000_000,
			Review: 1_442_620_800_000_000, Owner: 5, Said: 17, By: 1},
		&PopulationFrozen{Population: "people", From: 1_396_278_000_000_000, At: 1_411_084_800_000_000, More: true, Space: "staff", Units: []uint32{3, 5, 200}, Present: []uint64{183, 92, 183},
			Companies: []uint32{1, 1, 2}, Departments: []uint32{11, 12, 21}, Executives: []uint32{5}, Through: 405},
		&DutyReminded{Duty: "policy/M5a", From: 1_396_278_000_000_000, Until: 1_427_814_000_000_000, Company: 2, Rung: 1, Role: "ciso", Person: 5, Due: 1_411_084_800_000_000, Open: 212, Through: 406},
		&LedgerVerified{Through: 407, Hash: hash(21), OK: true},
		&DirectoryRead{Source: "hr", Form: "csv", SHA256: hash(120), Whole: true, People: 50_000, Joined: 900, Changed: 1200, Left: 700, Units: 12, Refused: 3, By: 1},
		&PersonChanged{Read: 418, Staff: 17, Action: "joined", Effective: 1_396_278_000_000_000, Joined: 1_396_278_000_000_000, Left: 1_427_814_000_000_000, Employed: "secondee",
			Executive: true, Leave: true, Record: 40, Postings: []PersonPosting{{Unit: 3, Post: 5, As: "main", From: 1_396_278_000_000_000, Until: 1_427_814_000_000_000}, {Unit: 4, As: "concurrent"}}},
		&UnitChanged{Read: 418, Unit: 3, Action: "opened", Is: "department", Parent: 1, Title: 60, Effective: 1_396_278_000_000_000},
		&ErasureAsked{Records: []VaultRecords{{"staff", []uint32{17}}, {"person", []uint32{40, 41}}}, Person: 17, Reason: 61, By: 1},
		&ErasureDecided{Erasure: 421, Action: "destroyed", Records: 3, Reason: 62, By: 2},
		&CourseRead{Course: "suspicious-mail", Edition: "2026-11", SHA256: hash(96), Document: 3, Seconds: 300, Draw: 8, Pass: 80, Attempts: 3},
		&TrainingPlanned{Course: 384, Whom: "company", Unit: 2, Kinds: []string{"employee", "executive"}, Of: 340, From: 1_411_344_000_000_000, Due: 1_414_022_400_000_000, Joiners: 2_592_000, Reason: 6, By: 1},
		&TrainingAssigned{Plan: 385, Why: "population", Due: 1_414_022_400_000_000, People: []uint32{1, 2, 5, 900}},
		&TrainingChanged{Plan: 385, Action: "excused", Due: 1_414_108_800_000_000, People: []uint32{5}, Reason: 7, By: 1},
		&TrainingBegun{Plan: 385, Person: 2, Attempt: 1, Language: "ja", Session: 4, Questions: []uint64{4, 0, 7}},
		&TrainingTried{Begun: 388, Answers: []uint64{1, 6, 2}, Right: 2, Count: 3, Passed: true},
		&TrainingCompleted{Person: 2, Course: "suspicious-mail", Edition: "2026-11", Plan: 385, Begun: 388, Source: "door", System: "hr-lms", When: 1_411_344_600_000_000, Scored: true, Score: 87, Seconds: 600,
			SHA256: hash(32), By: 2},
		&TrainingJudged{Completions: []uint64{390, 391}, Action: "countersigned", Reason: 8, By: 1},
		&TrainingWritten{Plan: 385, Stage: "escalated", To: 7, People: []uint32{1, 900}},
		&StaffLink{Person: 2, Action: "used", Link: 392, HMAC: hash(64), Until: 1_411_344_900_000_000},
		&LureAsked{Title: 7, Lures: []string{"itinerary ja 2026-11"}, Documents: []uint32{4}, SHA256: hash(11), From: 1_411_084_800_000_000, Until: 1_411_344_000_000_000, Opens: 540, Closes: 1080, Days: 62,
			Units: []uint32{2, 3}, Listed: 903, People: 900, Key: 1, Reason: 8, By: 1},
		&LureListed{Campaign: 434, More: true, Staff: []uint32{3, 4, 900}, Lures: []uint32{0, 1, 0}, At: []uint32{86_399, 60, 7_200}},
		&LureDecided{Campaign: 434, Action: "approved", Reason: 9, By: 2},
		&LureSeen{Campaign: 434, Who: 0xfedcba9876543210, Lure: 1, Did: "clicked", Visit: 0x80402010, Signs: []string{"network", "script"}},
		&LureNamed{Campaign: 434, Action: "asked", Request: 438, Staff: []uint32{900}, Until: 1_411_171_323_000_000, Reason: 10, By: 1},
		&LureSummed{Campaign: 434, Unit: 2, Level: "very_difficult", Figures: []string{"mailed", "reported"}, Counts: []uint64{900, 212}},
		&LureForgotten{Campaign: 434},
		&SuspectReported{Staff: 900, How: "mail", Document: 5, SHA256: hash(12)},
		&LureSorted{Campaign: 434, Teaches: []string{"virus", "bec"}},
		&LureLinked{Staff: []uint32{900, 901}, Links: []uint32{7, 8}},
		&DocumentWritten{Document: 4, Sort: "handbook", Before: 448, English: 70, EnglishSHA: hash(13), Japanese: 71, JapaneseSHA: hash(14), Public: true, Acknowledge: true, ReviewDays: 366, Owner: 5, Said: 72, By: 1},
		&DocumentDecided{Version: 449, Action: "approved", Role: "ciso", Said: 73, By: 2},
		&DocumentPublished{Version: 449, Action: "published", From: 1_411_084_800_000_000, Said: 74, By: 2},
		&DocumentReviewed{Version: 449, Review: 452, Outcome: "agreed", Said: 75, By: 2},
		&PublicationChecked{Version: 449, English: "same", Japanese: "differs", Found: [2][32]byte{hash(15), hash(16)}},
		&DocumentAcknowledged{Version: 449, Staff: 900, SHA256: hash(17)},
		&HandlingRead{Edition: "2026-04", SHA256: hash(18), Version: 449, Unruled: Loyalty, Stores: []uint32{4, 5}, Columns: []uint64{12, 7}, Unnamed: []uint64{0, 1}},
		&Labelled{What: "export", Form: "rows", About: 303, Number: 7, Categories: Identity | TravelDoc, Class: "strict", Edition: "2026-04", SHA256: hash(18), Until: 1_411_430_400_000_000, By: 3},
		&AssetSeen{Check: 461, At: 1_411_084_800_000_000, Things: []uint32{4, 5}, States: []string{"seen", "missing"}, Counts: []uint64{12, 0}, Notes: []uint32{0, 27}, By: 3},
		&AssetEnded{Thing: 4, End: 457, Action: "witnessed", How: "shredded", At: 1_411_084_800_000_000, Pieces: 12, Witnesses: 2, Said: 28, By: 5},
		&Registered{Noun: "contract", Thing: 4, Action: "changed", Owner: 3, Unit: 2, Of: 5, Traits: []string{"personal_data", "tier_1"}, Members: []uint32{3, 9},
			From: 1_408_320_000_000_000, Until: 1_411_430_400_000_000, Fields: 6, By: 1},
		&PostChanged{Post: "administrator", Space: "unit", Unit: 2, Person: 3, Deputy: true, Action: "appointed", From: 1_411_084_800_000_000, Said: 23, By: 1},
		&CheckPlanned{Noun: "inspection", Space: "unit", Units: []uint32{2, 5}, Checklist: "inspection", Edition: "2026-1", SHA256: hash(20), Document: 8,
			Items: []string{"admin", "entry"}, Must: []string{"admin"}, Due: 1_411_430_400_000_000, Lead: 3, Other: 7, Expert: 24, Scope: 25, By: 1},
		&CheckChanged{Check: 461, Action: "concluded", Due: 1_411_430_400_000_000, At: 1_411_084_800_000_000, Person: 3, Result: "conditions", Said: 26, By: 3},
		&CheckAnswered{Check: 461, Items: []string{"admin", "entry"}, Answers: []string{"yes", "partly"}, Notes: []uint32{0, 27}, By: 3},
		&PaperAdded{About: 461, What: "photo", Media: "image/jpeg", Size: 70_000, SHA256: hash(21), Original: hash(22), Document: 9, Title: 28, By: 3},
		&CheckSigned{Check: 461, Party: "inspected", Person: 7, Door: "staff", SHA256: hash(23), Agreed: true, Said: 29},
		&FindingRaised{Check: 461, Space: "unit", Unit: 2, Grade: "medium", Code: "entry", Ref: hash(24), Title: 30, Owner: 7, Due: 1_411_430_400_000_000, By: 3},
		&ActionChanged{Finding: 466, Action: "assigned", Person: 7, Due: 1_411_430_400_000_000, At: 1_411_084_800_000_000, Said: 31, By: 3},
		&Attended{Check: 461, Present: []uint32{3, 5, 7}, Absent: []uint32{9}, By: 3},
		&ScanRead{Tool: "nmap", SHA256: hash(25), At: 1_411_084_800_000_000, Servers: []uint32{10, 11}, Silent: []uint32{12}, Strange: 2, Results: 5, Fresh: 3, Document: 10, By: 3},
		&BudgetDecided{Year: 2014, Unit: 2, Step: "decided", Amount: 120_000_000, Currency: "JPY", Meeting: 461, At: 1_411_084_800_000_000, Said: 32, By: 1},
		&ServiceSeen{Sensor: "zeek", Thing: 13, First: 1_411_084_800_000_000, Last: 1_411_084_860_000_000, Endpoints: []string{"pc-0417"}, Machines: 1, Times: 40, Bytes: 70_000},
		&PostureSeen{Source: "mdm", Thing: 14, Endpoint: "pc-0417", At: 1_411_084_800_000_000, Managed: "yes", Encrypted: "yes", Patched: "no", Offsite: "unknown", Platform: "Windows 11 24H2", Holder: 7, By: 3},
		&OffsiteDecided{Permit: 474, Action: "approved", Person: 7, Endpoint: "pc-0417", Categories: Identity | Contact, From: 1_411_084_800_000_000, Until: 1_411_430_400_000_000, Said: 33, By: 3},
		&Evaluated{Person: 7, Year: 2014, At: 1_411_084_800_000_000, Item: 1, By: 3},
		&CaseOpened{Rule: "password_shared", Gravity: "serious", Intent: "negligence", Repeated: true, Rank: "employee", Happened: 1_411_084_800_000_000, Known: 1_411_084_860_000_000, Subject: 2, Said: 3, By: 3},
		&CaseDecided{Case: 476, Action: "proposed", Measure: "warning", Said: 4, By: 3},
		&Looked{At: "evaluation", Cases: []uint64{476}, By: 3},
		&EvaluationConfirmed{Year: 2014, Count: 49_000, By: 5},
		&PackMade{From: 1_380_000_000_000_000, Until: 1_411_916_400_000_000, Through: 4_711, Chain: [32]byte{7, 8, 9}, Whole: true, Entries: 4_711, Stated: 2, SHA256: [32]byte{1, 2, 3}, By: 5},
		&AuditorAdmitted{User: 6, Action: "admitted", Until: 1_411_916_400_000_000, Said: 3, By: 5},
		&AuditorLooked{Session: 4_700, Page: "GET /duties/{instrument}/{id}", About: "/duties/policy/M3a", Refused: true},
	}
	var entries []Entry
	for _, b := range bodies { // by its kind, so that a new one in a gap moves no other
		n := b.Kind() - 1
		entries = append(entries, Entry{ID{Gate: 2, Epoch: 3, Seq: uint64(n) + 299}, 1_411_084_923_000_000 + Time(n), b})
	}
	return entries
}

// The bytes of an entry stay as they are for ever. The golden file holds them
// beside what they say.
func TestGoldenBytes(t *testing.T) {
	var got strings.Builder
	before := Kind(0)
	for i, e := range specimens() {
		if k := e.Body.Kind(); k <= before {
			t.Errorf("specimen %d, of kind %d, follows one of kind %d", i, k, before)
		}
		before = e.Body.Kind()
		fmt.Fprintf(&got, "kind %d, entry %v, %v\n%s %+v\n", e.Body.Kind(), e.ID, e.Time, strings.TrimPrefix(fmt.Sprintf("%T", e.Body), "*sekisho."), reflect.ValueOf(e.Body).Elem())
		for b := e.AppendEncode(nil); len(b) > 0; {
			n := min(32, len(b))
			fmt.Fprintf(&got, "  %s\n", hex.EncodeToString(b[:n]))
			b = b[n:]
		}
	}
	const name = "testdata/entries.txt"
	if *update {
		if err := os.WriteFile(name, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("%s differs; got\n%s", name, got.String())
	}

	// And the file alone, without this program's specimens, reads back.
	i, bytes := 0, ""
	check := func() {
		if bytes == "" {
			return
		}
		b, err := hex.DecodeString(bytes)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Decode(b)
		if err != nil || !reflect.DeepEqual(e, specimens()[i]) {
			t.Errorf("golden entry %d reads as %+v, %v", i, e, err)
		}
		i, bytes = i+1, ""
	}
	for line := range strings.Lines(string(want)) {
		if hexa, ok := strings.CutPrefix(line, "  "); ok {
			bytes += strings.TrimSpace(hexa)
		} else {
			check()
		}
	}
	check()
	if i != len(specimens()) {
		t.Errorf("the golden file holds %d entries, want %d", i, len(specimens()))
	}
}

// There is a specimen of every kind, and no field in it is left at its zero
// value: a field that is not written would show.
func TestSpecimensAreComplete(t *testing.T) {
	all := specimens()
	have := map[Kind]bool{}
	for _, e := range all {
		have[e.Body.Kind()] = true
	}
	for k := Kind(1); k < 300; k++ {
		if known := newBody(k) != nil; known != have[k] {
			t.Errorf("kind %d: read %v, with a specimen %v", k, known, have[k])
		}
	}
	for _, e := range all {
		v := reflect.ValueOf(e.Body).Elem()
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%T: field %s has its zero value", e.Body, v.Type().Field(i).Name)
			}
		}
	}
}

func TestRoundTrip(t *testing.T) {
	for _, e := range specimens() {
		empty := Entry{ID: e.ID, Time: e.Time, Body: newBody(e.Body.Kind())}
		for _, e := range []Entry{e, empty} {
			b := e.AppendEncode([]byte("before"))
			if !bytes.HasPrefix(b, []byte("before")) {
				t.Errorf("%T: AppendEncode changed what was there", e.Body)
			}
			b = b[len("before"):]
			got, err := Decode(b)
			if err != nil {
				t.Errorf("%T: %v", e.Body, err)
				continue
			}
			if !reflect.DeepEqual(got, e) {
				t.Errorf("%T: got %+v, want %+v", e.Body, got.Body, e.Body)
			}
			for i := range b { // nothing is shared with the input
				b[i] = 0xff
			}
			if !reflect.DeepEqual(got, e) {
				t.Errorf("%T: changed with the bytes it was read from", e.Body)
			}
		}
	}
}

// The decoder refuses what the encoder would not have written.
func TestDecodeRefuses(t *testing.T) {
	head := "0101020365" + "808080808080a002" // version, kind 1, gate 2, epoch 3, sequence 101, time
	access := "010802036500"                  // the same of kind 8, at time 0
	for _, c := range []struct{ name, hex, want string }{
		{"nothing", "", "ends early"},
		{"another version", "02", "format version 2"},
		{"an unknown kind", "01630203650" + "0", "unknown kind of entry: 99 in entry 2.3.101"},
		{"a long varint", "0181000203650" + "0", "varint longer than needed"},
		{"a varint of more than 64 bits", "01ffffffffffffffffffff7f", "bad varint"},
		{"a gate of more than 32 bits", "0101" + "8080808010" + "036500", "does not fit 32 bits"},
		{"a time after all time", "0101020365" + "ffffffffffffffffff01", "time out of range"},
		{"a string longer than the input", head + "7f", "more than the bytes that follow"},
		{"a byte left over", "010202036500" + "00", "1 bytes left over"},
		{"a truth value of 2", access + "01020301" + "02", "truth value of 2"},
		{"more ordinals than bytes", access + "010203010000000000" + "05" + "02", "more than the bytes that follow"},
		{"an ordinal below 0", access + "010203010000000000" + "01" + "01", "ordinal -1 out of range"},
		{"an address of 5 bytes", "011302036500" + "01" + "05" + "0102030405" + "01", "address of 5 bytes"},
		{"a mapped address", "011302036500" + "01" + "10" + "00000000000000000000ffff7f000001" + "01", "address of 16 bytes"},
		{"a hash cut short", "010302036500" + "00" + "01" + "01" + "0000", "ends early"},
	} {
		b, err := hex.DecodeString(c.hex)
		if err != nil {
			t.Fatal(c.name, err)
		}
		_, err = Decode(b)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownKind) {
			t.Errorf("%s: %v is neither malformed nor unknown", c.name, err)
		}
	}
	if _, err := Decode(make([]byte, MaxEntry+1)); !errors.Is(err, ErrMalformed) {
		t.Errorf("too long: %v", err)
	}
	for _, e := range specimens() {
		b := e.AppendEncode(nil)
		for n := range b {
			if _, err := Decode(b[:n]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%T cut to %d of %d bytes: %v", e.Body, n, len(b), err)
			}
		}
	}
}

// An unknown kind still says which entry it is: a newer gate wrote it.
func TestUnknownKindKeepsItsName(t *testing.T) {
	e, err := Decode([]byte{1, 0x63, 2, 3, 0x65, 7, 1, 2, 3})
	if !errors.Is(err, ErrUnknownKind) || e.ID != (ID{2, 3, 101}) || e.Time != 7 || e.Body != nil {
		t.Errorf("%+v, %v", e, err)
	}
}

// What decodes is exactly what encodes to the same bytes: one entry has one
// form, so that its hash names it.
func FuzzDecode(f *testing.F) {
	for _, e := range specimens() {
		f.Add(e.AppendEncode(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := Decode(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknownKind) {
				t.Errorf("an error of no kind: %v", err)
			}
			return
		}
		if again := e.AppendEncode(nil); !bytes.Equal(again, b) {
			t.Errorf("%x decodes to %+v, which encodes to %x", b, e, again)
		}
	})
}
