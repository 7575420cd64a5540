package sekisho

import (
	"errors"
	"fmt"
	"time"
)

// ID names an entry for ever, across gates and restarts.
type ID struct {
	Gate  uint32 // the number of the gate that wrote it, from its config
	Epoch uint64 // grows by one each time that gate opens its ledger
	Seq   uint64 // 1, 2, 3, … over all epochs of one gate, without a hole
}

func (id ID) String() string { return fmt.Sprintf("%d.%d.%d", id.Gate, id.Epoch, id.Seq) }

// Time is microseconds since 1970-01-01 UTC. In one ledger it never decreases.
type Time int64

// At is t as a Time.
func At(t time.Time) Time { return Time(t.UnixMicro()) }

// Go is t as the standard library's time, in UTC.
func (t Time) Go() time.Time { return time.UnixMicro(int64(t)).UTC() }

func (t Time) String() string { return t.Go().Format("2006-01-02T15:04:05.000000Z") }

// An Entry is one line of the ledger.
type Entry struct {
	ID   ID
	Time Time
	Body Body
}

// Kind is the number of a kind of entry, as it stands in the bytes.
type Kind uint64

// The kinds. Append only; never renumber.
const (
	KindLedgerOpened    Kind = 1
	KindLedgerClosed    Kind = 2
	KindAssigned        Kind = 3
	KindSessionOpened   Kind = 4
	KindSessionClosed   Kind = 5
	KindSessionRefused  Kind = 6
	KindShape           Kind = 7
	KindAccess          Kind = 8
	KindAccessClosed    Kind = 9
	KindRefused         Kind = 10
	KindRosterRead      Kind = 11
	KindSensorRead      Kind = 12
	KindEgress          Kind = 13
	KindAlert           Kind = 14
	KindIncidentOpened  Kind = 15
	KindIncidentRevised Kind = 16
	KindFileMatched     Kind = 17
	KindUserChanged     Kind = 18
	KindSignedIn        Kind = 19
	KindCertified       Kind = 20
	KindPolicyRead      Kind = 21
	KindRuled           Kind = 22
	KindOnBehalf        Kind = 23
	KindBudgetReached   Kind = 24
	KindExportAsked     Kind = 25
	KindExportDecided   Kind = 26
	KindExportUsed      Kind = 27
	KindDecoyPlaced     Kind = 28
	KindFactStated      Kind = 32
	KindRoleChanged     Kind = 33
	KindPlaybookChosen  Kind = 34
	KindTaskChanged     Kind = 35
	KindDecisionMade    Kind = 36
	KindAnswered        Kind = 37
	KindEvidenceAdded   Kind = 38
	KindCustodyMoved    Kind = 39
	KindRaised          Kind = 40
	KindLessonNoted     Kind = 41
	KindAcknowledged    Kind = 42
	KindEscalated       Kind = 43
	KindIncidentEnding  Kind = 44

	KindContainmentProposed  Kind = 45
	KindContainmentDecided   Kind = 46
	KindContainmentReported  Kind = 47
	KindContainmentLifted    Kind = 48
	KindContainmentReviewed  Kind = 49
	KindContainmentProlonged Kind = 50
	KindNoticeReceived       Kind = 60
	KindAwareJudged          Kind = 61
	KindClockMoved           Kind = 62
	KindDutyReported         Kind = 63
	KindLegalFactStated      Kind = 64

	KindTextWritten     Kind = 65
	KindTextDecided     Kind = 66
	KindMailingAsked    Kind = 67
	KindMailingListed   Kind = 68
	KindMailingDecided  Kind = 69
	KindMailStarted     Kind = 70
	KindMailEnded       Kind = 71
	KindMailUnsent      Kind = 72
	KindMailBounced     Kind = 73
	KindMailSettled     Kind = 74
	KindEnquiryReceived Kind = 75
	KindEnquiryMatched  Kind = 76
	KindEnquiryMailed   Kind = 77
	KindIdentityChecked Kind = 78
	KindEnquiryRouted   Kind = 79
	KindEnquiryAnswered Kind = 80
	KindEnquiryClosed   Kind = 81
	KindAnswersAllowed  Kind = 82

	KindObservation Kind = 83
	KindEventsRead  Kind = 84
	KindDrillStep   Kind = 85

	KindSubjectRevised Kind = 86
	KindLeaseGranted   Kind = 90
	KindLeaseReturned  Kind = 91
	KindLeaseEnded     Kind = 92
	KindLeaseTaken     Kind = 93
	KindExportMarked   Kind = 94
	KindPassedBy       Kind = 95

	KindInstrumentRead   Kind = 100
	KindEvidenceStated   Kind = 101
	KindEvidenceSigned   Kind = 102
	KindUnitListed       Kind = 103
	KindExceptionAsked   Kind = 104
	KindExceptionDecided Kind = 105
	KindControlStated    Kind = 106
	KindPopulationFrozen Kind = 107
	KindDutyReminded     Kind = 108
	KindLedgerVerified   Kind = 109

	KindDirectoryRead  Kind = 120
	KindPersonChanged  Kind = 121
	KindUnitChanged    Kind = 122
	KindErasureAsked   Kind = 123
	KindErasureDecided Kind = 124

	KindCourseRead        Kind = 125
	KindTrainingPlanned   Kind = 126
	KindTrainingAssigned  Kind = 127
	KindTrainingChanged   Kind = 128
	KindTrainingBegun     Kind = 129
	KindTrainingTried     Kind = 130
	KindTrainingCompleted Kind = 131
	KindTrainingJudged    Kind = 132
	KindTrainingWritten   Kind = 133
	KindStaffLink         Kind = 134

	KindLureAsked       Kind = 135
	KindLureListed      Kind = 136
	KindLureDecided     Kind = 137
	KindLureSeen        Kind = 138
	KindLureNamed       Kind = 139
	KindLureSummed      Kind = 140
	KindLureForgotten   Kind = 141
	KindSuspectReported Kind = 142
	KindLureSorted      Kind = 143
	KindLureLinked      Kind = 144

	KindDocumentWritten      Kind = 150
	KindDocumentDecided      Kind = 151
	KindDocumentPublished    Kind = 152
	KindDocumentReviewed     Kind = 153
	KindPublicationChecked   Kind = 154
	KindDocumentAcknowledged Kind = 155
	KindHandlingRead         Kind = 156
	KindLabelled             Kind = 157
	KindAssetSeen            Kind = 158
	KindAssetEnded           Kind = 159
	KindRegistered           Kind = 160
	KindPostChanged          Kind = 161
	KindCheckPlanned         Kind = 162
	KindCheckChanged         Kind = 163
	KindCheckAnswered        Kind = 164
	KindPaperAdded           Kind = 165
	KindCheckSigned          Kind = 166
	KindFindingRaised        Kind = 167
	KindActionChanged        Kind = 168
	KindAttended             Kind = 169
	KindScanRead             Kind = 170
	KindBudgetDecided        Kind = 171
	KindServiceSeen          Kind = 172
	KindPostureSeen          Kind = 173
	KindOffsiteDecided       Kind = 174
	KindEvaluated            Kind = 175
	KindCaseOpened           Kind = 176
	KindCaseDecided          Kind = 177
	KindLooked               Kind = 178
	KindEvaluationConfirmed  Kind = 179

	KindPackMade        Kind = 180
	KindAuditorAdmitted Kind = 181
	KindAuditorLooked   Kind = 182
)

// Body is what an entry says. The set of kinds is closed: only this package
// can add one.
type Body interface {
	Kind() Kind
	code(*coder) // writes the fields, or reads them: one text for both ways
}

// newBody gives an empty body of kind k, or nil for a kind that this program
// does not know.
func newBody(k Kind) Body {
	switch k {
	case KindLedgerOpened:
		return new(LedgerOpened)
	case KindLedgerClosed:
		return new(LedgerClosed)
	case KindAssigned:
		return new(Assigned)
	case KindSessionOpened:
		return new(SessionOpened)
	case KindSessionClosed:
		return new(SessionClosed)
	case KindSessionRefused:
		return new(SessionRefused)
	case KindShape:
		return new(Shape)
	case KindAccess:
		return new(Access)
	case KindAccessClosed:
		return new(AccessClosed)
	case KindRefused:
		return new(Refused)
	case KindRosterRead:
		return new(RosterRead)
	case KindSensorRead:
		return new(SensorRead)
	case KindEgress:
		return new(Egress)
	case KindAlert:
		return new(Alert)
	case KindIncidentOpened:
		return new(IncidentOpened)
	case KindIncidentRevised:
		return new(IncidentRevised)
	case KindFileMatched:
		return new(FileMatched)
	case KindUserChanged:
		return new(UserChanged)
	case KindSignedIn:
		return new(SignedIn)
	case KindCertified:
		return new(Certified)
	case KindPolicyRead:
		return new(PolicyRead)
	case KindRuled:
		return new(Ruled)
	case KindOnBehalf:
		return new(OnBehalf)
	case KindBudgetReached:
		return new(BudgetReached)
	case KindExportAsked:
		return new(ExportAsked)
	case KindExportDecided:
		return new(ExportDecided)
	case KindExportUsed:
		return new(ExportUsed)
	case KindDecoyPlaced:
		return new(DecoyPlaced)
	case KindFactStated:
		return new(FactStated)
	case KindRoleChanged:
		return new(RoleChanged)
	case KindPlaybookChosen:
		return new(PlaybookChosen)
	case KindTaskChanged:
		return new(TaskChanged)
	case KindDecisionMade:
		return new(DecisionMade)
	case KindAnswered:
		return new(Answered)
	case KindEvidenceAdded:
		return new(EvidenceAdded)
	case KindCustodyMoved:
		return new(CustodyMoved)
	case KindRaised:
		return new(Raised)
	case KindLessonNoted:
		return new(LessonNoted)
	case KindAcknowledged:
		return new(Acknowledged)
	case KindEscalated:
		return new(Escalated)
	case KindIncidentEnding:
		return new(IncidentEnding)
	case KindContainmentProposed:
		return new(ContainmentProposed)
	case KindContainmentDecided:
		return new(ContainmentDecided)
	case KindContainmentReported:
		return new(ContainmentReported)
	case KindContainmentLifted:
		return new(ContainmentLifted)
	case KindContainmentReviewed:
		return new(ContainmentReviewed)
	case KindContainmentProlonged:
		return new(ContainmentProlonged)
	case KindNoticeReceived:
		return new(NoticeReceived)
	case KindAwareJudged:
		return new(AwareJudged)
	case KindClockMoved:
		return new(ClockMoved)
	case KindDutyReported:
		return new(DutyReported)
	case KindLegalFactStated:
		return new(LegalFactStated)
	case KindTextWritten:
		return new(TextWritten)
	case KindTextDecided:
		return new(TextDecided)
	case KindMailingAsked:
		return new(MailingAsked)
	case KindMailingListed:
		return new(MailingListed)
	case KindMailingDecided:
		return new(MailingDecided)
	case KindMailStarted:
		return new(MailStarted)
	case KindMailEnded:
		return new(MailEnded)
	case KindMailUnsent:
		return new(MailUnsent)
	case KindMailBounced:
		return new(MailBounced)
	case KindMailSettled:
		return new(MailSettled)
	case KindEnquiryReceived:
		return new(EnquiryReceived)
	case KindEnquiryMatched:
		return new(EnquiryMatched)
	case KindEnquiryMailed:
		return new(EnquiryMailed)
	case KindIdentityChecked:
		return new(IdentityChecked)
	case KindEnquiryRouted:
		return new(EnquiryRouted)
	case KindEnquiryAnswered:
		return new(EnquiryAnswered)
	case KindEnquiryClosed:
		return new(EnquiryClosed)
	case KindAnswersAllowed:
		return new(AnswersAllowed)
	case KindObservation:
		return new(Observation)
	case KindEventsRead:
		return new(EventsRead)
	case KindDrillStep:
		return new(DrillStep)
	case KindSubjectRevised:
		return new(SubjectRevised)
	case KindLeaseGranted:
		return new(LeaseGranted)
	case KindLeaseReturned:
		return new(LeaseReturned)
	case KindLeaseEnded:
		return new(LeaseEnded)
	case KindLeaseTaken:
		return new(LeaseTaken)
	case KindExportMarked:
		return new(ExportMarked)
	case KindPassedBy:
		return new(PassedBy)
	case KindInstrumentRead:
		return new(InstrumentRead)
	case KindEvidenceStated:
		return new(EvidenceStated)
	case KindEvidenceSigned:
		return new(EvidenceSigned)
	case KindUnitListed:
		return new(UnitListed)
	case KindExceptionAsked:
		return new(ExceptionAsked)
	case KindExceptionDecided:
		return new(ExceptionDecided)
	case KindControlStated:
		return new(ControlStated)
	case KindPopulationFrozen:
		return new(PopulationFrozen)
	case KindDutyReminded:
		return new(DutyReminded)
	case KindLedgerVerified:
		return new(LedgerVerified)
	case KindDirectoryRead:
		return new(DirectoryRead)
	case KindPersonChanged:
		return new(PersonChanged)
	case KindUnitChanged:
		return new(UnitChanged)
	case KindErasureAsked:
		return new(ErasureAsked)
	case KindErasureDecided:
		return new(ErasureDecided)
	case KindLureAsked:
		return new(LureAsked)
	case KindLureListed:
		return new(LureListed)
	case KindLureDecided:
		return new(LureDecided)
	case KindLureSeen:
		return new(LureSeen)
	case KindLureNamed:
		return new(LureNamed)
	case KindLureSummed:
		return new(LureSummed)
	case KindLureForgotten:
		return new(LureForgotten)
	case KindLureSorted:
		return new(LureSorted)
	case KindLureLinked:
		return new(LureLinked)
	case KindSuspectReported:
		return new(SuspectReported)
	case KindCourseRead:
		return new(CourseRead)
	case KindTrainingPlanned:
		return new(TrainingPlanned)
	case KindTrainingAssigned:
		return new(TrainingAssigned)
	case KindTrainingChanged:
		return new(TrainingChanged)
	case KindTrainingBegun:
		return new(TrainingBegun)
	case KindTrainingTried:
		return new(TrainingTried)
	case KindTrainingCompleted:
		return new(TrainingCompleted)
	case KindTrainingJudged:
		return new(TrainingJudged)
	case KindTrainingWritten:
		return new(TrainingWritten)
	case KindStaffLink:
		return new(StaffLink)
	case KindDocumentWritten:
		return new(DocumentWritten)
	case KindDocumentDecided:
		return new(DocumentDecided)
	case KindDocumentPublished:
		return new(DocumentPublished)
	case KindDocumentReviewed:
		return new(DocumentReviewed)
	case KindPublicationChecked:
		return new(PublicationChecked)
	case KindDocumentAcknowledged:
		return new(DocumentAcknowledged)
	case KindHandlingRead:
		return new(HandlingRead)
	case KindLabelled:
		return new(Labelled)
	case KindAssetSeen:
		return new(AssetSeen)
	case KindAssetEnded:
		return new(AssetEnded)
	case KindRegistered:
		return new(Registered)
	case KindPostChanged:
		return new(PostChanged)
	case KindCheckPlanned:
		return new(CheckPlanned)
	case KindCheckChanged:
		return new(CheckChanged)
	case KindCheckAnswered:
		return new(CheckAnswered)
	case KindPaperAdded:
		return new(PaperAdded)
	case KindCheckSigned:
		return new(CheckSigned)
	case KindFindingRaised:
		return new(FindingRaised)
	case KindActionChanged:
		return new(ActionChanged)
	case KindAttended:
		return new(Attended)
	case KindScanRead:
		return new(ScanRead)
	case KindBudgetDecided:
		return new(BudgetDecided)
	case KindServiceSeen:
		return new(ServiceSeen)
	case KindPostureSeen:
		return new(PostureSeen)
	case KindOffsiteDecided:
		return new(OffsiteDecided)
	case KindEvaluated:
		return new(Evaluated)
	case KindCaseOpened:
		return new(CaseOpened)
	case KindCaseDecided:
		return new(CaseDecided)
	case KindLooked:
		return new(Looked)
	case KindEvaluationConfirmed:
		return new(EvaluationConfirmed)
	case KindPackMade:
		return new(PackMade)
	case KindAuditorAdmitted:
		return new(AuditorAdmitted)
	case KindAuditorLooked:
		return new(AuditorLooked)
	}
	return nil
}

// Errors of Decode. Both come wrapped with the place and the reason.
var (
	// ErrMalformed: the bytes are none that Encode could have written.
	ErrMalformed = errors.New("malformed entry")
	// ErrUnknownKind: written by a newer sekisho. Its bytes still verify.
	ErrUnknownKind = errors.New("unknown kind of entry")
)

// formatVersion is the first byte of every entry.
const formatVersion = 1

// MaxEntry is the most bytes that one entry may take.
const MaxEntry = 16 << 20

// AppendEncode appends the bytes of e to dst. Layout: the byte 1, then as
// unsigned varints the kind, gate, epoch, sequence and time, then the fields
// of the body in the order of its code method.
func (e *Entry) AppendEncode(dst []byte) []byte {
	c := coder{buf: dst}
	e.header(&c, e.Body.Kind())
	e.Body.code(&c)
	return c.buf
}

func (e *Entry) header(c *coder, k Kind) Kind {
	version := byte(formatVersion)
	c.byte(&version)
	if version != formatVersion {
		c.fail("format version %d; this program reads version %d", version, formatVersion)
	}
	kind, t := uint64(k), uint64(e.Time)
	c.uint(&kind)
	c.uint32(&e.ID.Gate)
	c.uint(&e.ID.Epoch)
	c.uint(&e.ID.Seq)
	c.uint(&t)
	if t > 1<<62 {
		c.fail("time out of range")
	}
	e.Time = Time(t)
	return Kind(kind)
}

// Decode reads the bytes of one entry. It accepts only what AppendEncode
// writes: a varint longer than needed or a byte left over is ErrMalformed.
// What it returns shares no memory with b.
func Decode(b []byte) (Entry, error) {
	if len(b) > MaxEntry {
		return Entry{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(b), MaxEntry)
	}
	var e Entry
	c := coder{buf: b, reading: true}
	k := e.header(&c, 0)
	if c.err != nil {
		return Entry{}, c.err
	}
	e.Body = newBody(k)
	if e.Body == nil {
		return e, fmt.Errorf("%w: %d in entry %v", ErrUnknownKind, k, e.ID)
	}
	e.Body.code(&c)
	if c.err == nil && c.pos != len(b) {
		c.fail("%d bytes left over", len(b)-c.pos)
	}
	if c.err != nil {
		return Entry{}, fmt.Errorf("entry %v, kind %d: %w", e.ID, k, c.err)
	}
	return e, nil
}
