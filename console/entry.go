package console

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strconv"
	"strings"

	"sekisho"
)

// entryPage shows one entry, field by field. Customers stay ordinals here: to
// see who one of them is, one asks for the customer, which is recorded.
type entryPage struct {
	ID     string       `json:"id"`
	Seq    uint64       `json:"seq"`
	Time   sekisho.Time `json:"time"`
	Kind   string       `json:"kind"`
	Fields []entryField `json:"fields"`
	Bytes  string       `json:"bytes,omitempty"` // hexadecimal, if they are few
	Size   int          `json:"size"`
	Prev   uint64       `json:"prev,omitempty"`
	Next   uint64       `json:"next,omitempty"`
}

func (*entryPage) file() string { return "entry" }

type entryField struct {
	Name  string   `json:"name"`
	Value string   `json:"value"`
	Text  string   `json:"text,omitempty"`  // the key behind an ordinal
	Group string   `json:"-"`               // of words that Value is a code in
	Entry uint64   `json:"entry,omitempty"` // the entry that Value names
	Time  bool     `json:"-"`
	At    int64    `json:"-"`
	List  []string `json:"list,omitempty"`
}

const maxShownBytes = 4096

// kindName is the kind's name in the code, such as "Access".
func kindName(k sekisho.Kind) string {
	if name := kindNames[k]; name != "" {
		return name
	}
	return fmt.Sprintf("kind %d", k)
}

var kindNames = map[sekisho.Kind]string{
	sekisho.KindLedgerOpened: "LedgerOpened", sekisho.KindLedgerClosed: "LedgerClosed", sekisho.KindAssigned: "Assigned",
	sekisho.KindSessionOpened: "SessionOpened", sekisho.KindSessionClosed: "SessionClosed", sekisho.KindSessionRefused: "SessionRefused",
	sekisho.KindShape: "Shape", sekisho.KindAccess: "Access", sekisho.KindAccessClosed: "AccessClosed", sekisho.KindRefused: "Refused",
	sekisho.KindRosterRead: "RosterRead", sekisho.KindSensorRead: "SensorRead", sekisho.KindEgress: "Egress", sekisho.KindAlert: "Alert",
	sekisho.KindIncidentOpened: "IncidentOpened", sekisho.KindIncidentRevised: "IncidentRevised", sekisho.KindFileMatched: "FileMatched",
	sekisho.KindUserChanged: "UserChanged", sekisho.KindSignedIn: "SignedIn",
	sekisho.KindCertified: "Certified", sekisho.KindPolicyRead: "PolicyRead", sekisho.KindRuled: "Ruled",
	sekisho.KindOnBehalf: "OnBehalf", sekisho.KindExportAsked: "ExportAsked", sekisho.KindExportDecided: "ExportDecided", sekisho.KindExportUsed: "ExportUsed",
	sekisho.KindBudgetReached:  "BudgetReached",
	sekisho.KindDecoyPlaced:    "DecoyPlaced",
	sekisho.KindFactStated:     "FactStated",
	sekisho.KindRoleChanged:    "RoleChanged",
	sekisho.KindPlaybookChosen: "PlaybookChosen",
	sekisho.KindTaskChanged:    "TaskChanged",
	sekisho.KindDecisionMade:   "DecisionMade",
	sekisho.KindAnswered:       "Answered",
	sekisho.KindEvidenceAdded:  "EvidenceAdded",
	sekisho.KindCustodyMoved:   "CustodyMoved",
	sekisho.KindRaised:         "Raised",
	sekisho.KindLessonNoted:    "LessonNoted",
	sekisho.KindAcknowledged:   "Acknowledged",
	sekisho.KindEscalated:      "Escalated",
	sekisho.KindIncidentEnding: "IncidentEnding",

	sekisho.KindContainmentProposed:  "ContainmentProposed",
	sekisho.KindContainmentDecided:   "ContainmentDecided",
	sekisho.KindContainmentReported:  "ContainmentReported",
	sekisho.KindContainmentLifted:    "ContainmentLifted",
	sekisho.KindContainmentReviewed:  "ContainmentReviewed",
	sekisho.KindContainmentProlonged: "ContainmentProlonged",
	sekisho.KindNoticeReceived:       "NoticeReceived",
	sekisho.KindAwareJudged:          "AwareJudged",
	sekisho.KindClockMoved:           "ClockMoved",
	sekisho.KindDutyReported:         "DutyReported",
	sekisho.KindLegalFactStated:      "LegalFactStated",

	sekisho.KindTextWritten:    "TextWritten",
	sekisho.KindTextDecided:    "TextDecided",
	sekisho.KindMailingAsked:   "MailingAsked",
	sekisho.KindMailingListed:  "MailingListed",
	sekisho.KindMailingDecided: "MailingDecided",
	sekisho.KindMailStarted:    "MailStarted",
	sekisho.KindMailEnded:      "MailEnded",
	sekisho.KindMailUnsent:     "MailUnsent",
	sekisho.KindMailBounced:    "MailBounced",
	sekisho.KindMailSettled:    "MailSettled",

	sekisho.KindEnquiryReceived: "EnquiryReceived",
	sekisho.KindEnquiryMatched:  "EnquiryMatched",
	sekisho.KindEnquiryMailed:   "EnquiryMailed",
	sekisho.KindIdentityChecked: "IdentityChecked",
	sekisho.KindEnquiryRouted:   "EnquiryRouted",
	sekisho.KindEnquiryAnswered: "EnquiryAnswered",
	sekisho.KindEnquiryClosed:   "EnquiryClosed",
	sekisho.KindAnswersAllowed:  "AnswersAllowed",

	sekisho.KindObservation: "Observation", sekisho.KindEventsRead: "EventsRead", sekisho.KindDrillStep: "DrillStep", sekisho.KindSubjectRevised: "SubjectRevised",

	sekisho.KindCourseRead: "CourseRead", sekisho.KindTrainingPlanned: "TrainingPlanned", sekisho.KindTrainingAssigned: "TrainingAssigned", sekisho.KindTrainingChanged: "TrainingChanged",
	sekisho.KindTrainingBegun: "TrainingBegun", sekisho.KindTrainingTried: "TrainingTried", sekisho.KindTrainingCompleted: "TrainingCompleted", sekisho.KindTrainingJudged: "TrainingJudged",
	sekisho.KindTrainingWritten: "TrainingWritten", sekisho.KindStaffLink: "StaffLink",

	sekisho.KindLeaseGranted:  "LeaseGranted",
	sekisho.KindLeaseReturned: "LeaseReturned",
	sekisho.KindLeaseEnded:    "LeaseEnded",
	sekisho.KindLeaseTaken:    "LeaseTaken",
	sekisho.KindExportMarked:  "ExportMarked",
	sekisho.KindPassedBy:      "PassedBy",

	sekisho.KindInstrumentRead:   "InstrumentRead",
	sekisho.KindEvidenceStated:   "EvidenceStated",
	sekisho.KindEvidenceSigned:   "EvidenceSigned",
	sekisho.KindUnitListed:       "UnitListed",
	sekisho.KindExceptionAsked:   "ExceptionAsked",
	sekisho.KindExceptionDecided: "ExceptionDecided",
	sekisho.KindControlStated:    "ControlStated",
	sekisho.KindPopulationFrozen: "PopulationFrozen",
	sekisho.KindDutyReminded:     "DutyReminded",
	sekisho.KindLedgerVerified:   "LedgerVerified",

	sekisho.KindLureAsked:       "LureAsked",
	sekisho.KindLureListed:      "LureListed",
	sekisho.KindLureDecided:     "LureDecided",
	sekisho.KindLureSeen:        "LureSeen",
	sekisho.KindLureNamed:       "LureNamed",
	sekisho.KindLureSummed:      "LureSummed",
	sekisho.KindLureForgotten:   "LureForgotten",
	sekisho.KindSuspectReported: "SuspectReported",
	sekisho.KindLureSorted:      "LureSorted",
	sekisho.KindLureLinked:      "LureLinked",

	sekisho.KindDocumentWritten: "DocumentWritten", sekisho.KindDocumentDecided: "DocumentDecided", sekisho.KindDocumentPublished: "DocumentPublished",
	sekisho.KindDocumentReviewed: "DocumentReviewed", sekisho.KindPublicationChecked: "PublicationChecked", sekisho.KindDocumentAcknowledged: "DocumentAcknowledged",

	sekisho.KindDirectoryRead: "DirectoryRead", sekisho.KindPersonChanged: "PersonChanged", sekisho.KindUnitChanged: "UnitChanged",
	sekisho.KindErasureAsked: "ErasureAsked", sekisho.KindErasureDecided: "ErasureDecided",
	sekisho.KindRegistered:          "Registered",
	sekisho.KindPostChanged:         "PostChanged",
	sekisho.KindCheckPlanned:        "CheckPlanned",
	sekisho.KindCheckChanged:        "CheckChanged",
	sekisho.KindCheckAnswered:       "CheckAnswered",
	sekisho.KindPaperAdded:          "PaperAdded",
	sekisho.KindCheckSigned:         "CheckSigned",
	sekisho.KindFindingRaised:       "FindingRaised",
	sekisho.KindActionChanged:       "ActionChanged",
	sekisho.KindAttended:            "Attended",
	sekisho.KindScanRead:            "ScanRead",
	sekisho.KindBudgetDecided:       "BudgetDecided",
	sekisho.KindServiceSeen:         "ServiceSeen",
	sekisho.KindPostureSeen:         "PostureSeen",
	sekisho.KindOffsiteDecided:      "OffsiteDecided",
	sekisho.KindHandlingRead:        "HandlingRead",
	sekisho.KindLabelled:            "Labelled",
	sekisho.KindAssetSeen:           "AssetSeen",
	sekisho.KindAssetEnded:          "AssetEnded",
	sekisho.KindEvaluated:           "Evaluated",
	sekisho.KindCaseOpened:          "CaseOpened",
	sekisho.KindCaseDecided:         "CaseDecided",
	sekisho.KindLooked:              "Looked",
	sekisho.KindEvaluationConfirmed: "EvaluationConfirmed",

	sekisho.KindPackMade: "PackMade", sekisho.KindAuditorAdmitted: "AuditorAdmitted", sekisho.KindAuditorLooked: "AuditorLooked",
}

func (c *Console) entry(v *visit) (page, error) {
	seq, err := strconv.ParseUint(v.r.PathValue("seq"), 10, 64)
	last := c.cfg.Ledger.Last()
	if err != nil || seq == 0 || seq > last {
		return nil, fail(http.StatusNotFound, "entry", ordinal(last))
	}
	ctx, stop := context.WithCancel(v.r.Context())
	defer stop()
	for e, err := range c.cfg.Ledger.Follow(ctx, seq) {
		if err != nil && !errors.Is(err, sekisho.ErrUnknownKind) {
			return nil, fmt.Errorf("reading entry %d: %w", seq, err)
		}
		if err := c.mayRead(&e); err != nil {
			return nil, err
		}
		p := c.decoded(&e)
		if seq < last {
			p.Next = seq + 1
		}
		p.Prev = seq - 1
		return p, nil
	}
	return nil, fail(http.StatusNotFound, "entry", ordinal(last))
}

func (c *Console) decoded(e *sekisho.Entry) *entryPage {
	p := &entryPage{ID: e.ID.String(), Seq: e.ID.Seq, Time: e.Time}
	if e.Body == nil {
		p.Kind = "unknown"
		return p
	}
	p.Kind = kindName(e.Body.Kind())
	raw := e.AppendEncode(nil)
	if p.Size = len(raw); p.Size <= maxShownBytes {
		p.Bytes = hex.EncodeToString(raw)
	}
	body := reflect.ValueOf(e.Body).Elem()
	for i := range body.NumField() {
		p.Fields = append(p.Fields, c.entryField(e.Body, body.Type().Field(i).Name, body.Field(i).Interface()))
	}
	return p
}

// entryField decides by name and type what a field means.
func (c *Console) entryField(body sekisho.Body, name string, value any) entryField {
	f := entryField{Name: name, Value: fmt.Sprint(value)}
	switch x := value.(type) {
	case sekisho.Time:
		f.Time, f.At, f.Value = x != 0, int64(x), x.String()
		if x == 0 {
			f.Value = ""
		}
	case sekisho.Verb, sekisho.Class, sekisho.Outcome, sekisho.Door:
		f.Group = strings.ToLower(name)
	case sekisho.Source:
		f.Group = "stated"
	case sekisho.BudgetState:
		f.Group = "budget_state"
	case sekisho.Categories:
		f.List, f.Group, f.Value = x.Names(), "category", ""
	case bool:
		f.Group = "bool"
	case string:
		if name == "Reason" || name == "Action" || name == "Detector" {
			f.Group = "reason"
			if _, refused := body.(*sekisho.Refused); refused {
				f.Group = "refusal"
			}
		}
	case uint32:
		space := fieldSpace(body, name)
		if space != "" {
			f.Text = c.named(space, x)
		}
	case uint64:
		switch name {
		case "Session", "Shape", "Released", "Incident", "Through", "Alert", "Refused", "Request", "About", "Corrects", "Evidence", "Lesson", "Enquiry", "Order", "Mailing", "Campaign", "Started", "Revision", "Before", "Text", "Read", "Erasure", "Check", "Finding", "Meeting", "Permit", "Case":
			f.Entry = x
		}
	case []uint32:
		f.Value = number(len(x))
		for i, o := range x {
			if i == 200 {
				f.List = append(f.List, "…")
				break
			}
			f.List = append(f.List, "#"+strconv.FormatUint(uint64(o), 10))
		}
	case []uint64:
		f.Value = ""
		for _, n := range x {
			f.List = append(f.List, strconv.FormatUint(n, 10))
		}
	case []string:
		f.List, f.Value = x, ""
	case sekisho.LeaseHolder:
		f.Value = ""
		for _, one := range []string{x.Budget, x.Space, c.named("staff", x.Principal), x.Role, x.Endpoint, c.named("purpose", x.Purpose)} {
			if one != "" {
				f.List = append(f.List, one)
			}
		}
	case []sekisho.PersonPosting:
		f.Value = ""
		for _, one := range x {
			f.List = append(f.List, c.named("unit", one.Unit))
		}
	case []sekisho.VaultRecords:
		f.Value = ""
		for _, one := range x {
			f.List = append(f.List, one.Space+" "+number(len(one.Ordinals)))
		}
	case []netip.Prefix:
		f.Value = ""
		for _, n := range x {
			f.List = append(f.List, n.String())
		}
	case netip.Addr:
		if !x.IsValid() {
			f.Value = ""
		}
	case [32]byte:
		f.Value = hex.EncodeToString(x[:])
	}
	return f
}

// fieldSpace is the space of a field that is an ordinal; "" if it is none.
func fieldSpace(body sekisho.Body, name string) string {
	space := ordinalSpaces[name]
	if (isContainment(body) || isTold(body)) && name == "Reason" {
		space = "said"
	}
	switch body.(type) {
	case *sekisho.TrainingBegun, *sekisho.TrainingTried, *sekisho.TrainingCompleted, *sekisho.TrainingWritten, *sekisho.StaffLink:
		if name != "By" { // how a member of staff fared is not everybody's to read
			space = ""
		}
	case *sekisho.TrainingPlanned, *sekisho.TrainingChanged, *sekisho.TrainingJudged:
		if name == "Reason" {
			space = "said"
		}
	case *sekisho.EnquiryReceived:
		if name == "Said" { // a customer's words: the enquiry's own page shows them, and records that it does
			space = ""
		}
	case *sekisho.EnquiryRouted:
		if name == "To" {
			space = "staff"
		}
	case *sekisho.CaseOpened, *sekisho.CaseDecided, *sekisho.Evaluated:
		if name == "Said" || name == "Subject" { // the evaluation's own page shows them, and records that it does
			space = ""
		}
	case *sekisho.AnswersAllowed, *sekisho.ErasureAsked, *sekisho.ErasureDecided:
		if name == "Reason" {
			space = "said"
		}
	}
	return space
}

// ordinalSpaces says which fields are ordinals, and where.
var ordinalSpaces = map[string]string{"Principal": "staff", "User": "staff", "By": "staff",
	"Application": "application", "Purpose": "purpose", "Statement": "statement", "Reason": "reason",
	"Person": "staff", "Owner": "staff", "Executive": "staff", "Said": "said", "Title": "said", "Kept": "said",
	"Department": "said", "Reference": "said", "Actor": "staff", "Object": "object", "Domain": "domain", "Sender": "mailbox",
	"Staff": "staff", "Unit": "unit", "Parent": "unit",
	"Lead": "staff", "Other": "staff", "Holder": "staff", "Expert": "said", "Scope": "said", "Thing": "thing", "Of": "thing"}
