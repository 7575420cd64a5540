package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"time"

	"sekisho"
	"sekisho/trace"
)

type peerKey struct{}

// WithPeer says who is at the other end of a control connection: the name of
// the account that SO_PEERCRED told. Use it in http.Server.ConnContext.
func WithPeer(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, peerKey{}, name)
}

// Control serves the commands of this machine on a socket that only the
// owner's account can open; whoever is there is a local administrator. Every
// request must carry WithPeer. Each is a session of its own in the ledger. Each
// answer has the header Sekisho-Time-Zone: the zone that dates were read in.
//
//	POST /api/impact              a question as JSON → the answer as JSON
//	POST /api/impact (multipart)  "question", then "file": the file is compared first
//	POST /api/list?list=NAME      the same bodies → the list as CSV, recorded before its first byte; with &as=json beside the answer, as JSON
//	POST /api/users/NAME/reset    → {"password": …}
//	GET  /api/users               → the users
//	POST /api/users               a UserLine → {"password": …}
//	POST /api/users/NAME/remove
//	GET  /api/budgets             → a BudgetsPage
//	GET  /api/containments        → a ContainmentsPage
//	GET  /api/containments/NUMBER → a ContainmentPage
//	POST /api/containments/plan   a contain.Ask → the contain.Plan: nothing happens
//	POST /api/containments        a contain.Ask → the ContainmentPage
//	POST /api/containments/NUMBER a ContainmentAnswer → the ContainmentPage
//	POST /api/containments/NUMBER/lift-plan   a contain.LiftAsk → the contain.LiftPlan
//	GET  /api/exports             → an ExportsPage
//	GET  /api/exports/NUMBER      → an ExportPage
//	POST /api/exports             an ExportAsk → the ExportPage
//	POST /api/exports/NUMBER      an ExportAnswer → the ExportPage
//	GET  /api/incidents           → an IncidentsPage; POST a RoomOpening → its RoomPage
//	GET  /api/incidents/NUMBER/room        → a RoomPage
//	POST /api/incidents/NUMBER/room/ACT    a RoomAct → the RoomPage
//	GET  /api/clocks              → the ClocksPages of the open incidents
//	GET  /api/incidents/NUMBER/clocks      → a ClocksPage; POST a ClockAct → the ClocksPage
//	GET  /api/notices             → a NoticesPage; POST a NoticeAct → the NoticesPage
//	GET  /api/csirt/manual?playbook=NAME   → a ManualText
//	POST /api/breakglass/import?login=NAME   the database's log → an Imported
//	GET  /api/decoys              → the decoys; POST /api/decoys/check counts their rows
//	POST /api/decoys              a DecoyOrder → how many
//	GET  /api/desk                → a DeskPage; POST /api/desk a DeskAllowAsk → the DeskPage
//	GET  /api/desk/NUMBER         → a DeskEnquiryPage; POST /api/desk/NUMBER a DeskAct → the same
//	POST /api/certificates        what the authority did as JSON → {"entry": …}
//	GET  /api/tell/INCIDENT       → a TellPage; with /FORM a DraftPage, to which a TextAct is posted
//	GET  /api/mailings            → the mailings; with /NUMBER a MailingPage, to which a MailingAct is posted
//	POST /api/mailings            a MailingAsk → the PlanPage or the MailingPage
//	GET  /api/phishing            → a PhishingPage; POST a PhishingAsk → the PhishingPlanPage or the PhishingCampaignPage
//	GET  /api/phishing/NUMBER     → a PhishingCampaignPage; POST a PhishingAct → the same
//	GET  /api/packs               → a PacksPage; POST a PackOrder → a PackLine; /NUMBER/file → the zip file
//	GET  /api/review?from=DAY&until=DAY&lang=LANG → a ReviewPage; POST a ReviewAsk → a ReviewDone
//	GET  /api/documents           → a DocumentsPage; POST a DocumentAsk → the DocumentPage
//	POST /api/document-pages      compares what the world reads → the DocumentsPage
//	GET  /api/documents/NAME      → a DocumentPage; POST a DocumentAct → the same
//	GET  /api/handling            → a HandlingPage; POST /api/handling/propose → the DocumentPage
//	GET  /api/handling/labels/NUMBER       → a LabelPage
//	GET  /api/directory?at=DATE   → a DirectoryPage
//	GET  /api/directory/leavers   → []Leaver, who left and is let in still
//	POST /api/directory/import    (multipart) a DirectoryImport, then the file → a DirectoryPlan
//	POST /api/directory/pull      a DirectoryPullAsk → a DirectoryPlan
//	GET  /api/erasures            → an ErasuresPage; POST an ErasureAsk → an ErasurePage
//	GET  /api/erasures/NUMBER     → an ErasurePage; POST an ErasureAnswer → the ErasurePage
//	GET  /api/checks, /api/findings/NUMBER and below: see controlChecks
//	GET  /api/training            → a TrainingPage; POST a TrainingAsk → a TrainingDraft
//	GET  /api/training/PLAN?show=STATE&within=UNIT → a TrainingPlanPage; POST a TrainingAct → the same
//	POST /api/training/judge      a TrainingVerdict
//	POST /api/training/import?system=NAME&declared=true&dry_run=true   CSV → a duty.Imported
//	GET  /api/status              → the status page's JSON
func (c *Console) Control() http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, limit int64, do func(v *visit) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			v := c.visit(w, r)
			r.Body = http.MaxBytesReader(w, r.Body, limit)
			w.Header().Set("Sekisho-Time-Zone", c.cfg.Zone.String())
			answer, err := c.asPeer(v, do)
			if err == errDone {
				return
			}
			if err != nil {
				r.Header.Set("Accept", "application/json")
				c.refuse(v, err)
				return
			}
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			e.Encode(answer)
		})
	}
	handle("POST /api/impact", maxUpload, func(v *visit) (any, error) {
		q, exports, err := c.controlQuestion(v)
		if err != nil && len(exports) == 0 {
			return nil, err
		}
		// Whose export a file is can be told where it names nobody.
		a, err := c.ask(v.r.Context(), q)
		if err == nil {
			a.Exports = c.exportsFound(exports)
		}
		return a, err
	})
	handle("POST /api/list", maxUpload, func(v *visit) (any, error) {
		q, _, err := c.controlQuestion(v)
		if err != nil {
			return nil, err
		}
		which, form, media := v.r.URL.Query().Get("list"), "csv", csvMedia
		rows, err := c.exportList(v.r, v.who, q, which)
		if err != nil {
			return nil, err
		}
		if v.r.URL.Query().Get("as") == "json" {
			form, media = "json", "application/json"
			a, err := c.ask(v.r.Context(), q)
			if err != nil {
				return nil, err
			}
			inner := rows
			rows = func(w io.Writer) error { return listAsJSON(w, a, which, inner) }
		}
		if err := c.gives(v, "list."+form, media, "incident_list", form, 0, c.listOf(q.Space)); err != nil {
			return nil, err
		}
		counted := &counter{w: v.w}
		err = rows(counted)
		v.who.sent(counted.n)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		return nil, errDone
	})
	handle("POST /api/users/{name}/reset", maxForm, func(v *visit) (any, error) {
		password, err := c.Reset(v.r.PathValue("name"))
		if errors.Is(err, ErrNoUser) {
			return nil, fail(http.StatusNotFound, "user")
		}
		if err != nil {
			return nil, notRecorded(err)
		}
		return map[string]string{"name": v.r.PathValue("name"), "password": password}, nil
	})
	handle("POST /api/certificates", maxForm, func(v *visit) (any, error) { return c.certified(v) })
	handle("GET /api/budgets", maxForm, func(v *visit) (any, error) { return c.budgetsNow(), nil })
	c.controlDuties(handle)
	c.controlPacks(handle)
	c.controlReview(handle)
	c.controlExports(handle)
	c.controlRoom(handle)
	c.controlClocks(handle)
	c.controlUsers(handle)
	c.controlContainments(handle)
	c.controlGlass(handle)
	c.controlDecoys(handle)
	c.controlDesk(handle)
	c.controlTell(handle)
	c.controlPhishing(handle)
	c.controlDocuments(handle)
	c.controlHandling(handle)
	c.controlDirectory(handle)
	c.controlLeavers(handle)
	c.controlErasures(handle)
	c.controlChecks(handle)
	c.controlRegisters(handle)
	c.controlScans(handle)
	c.controlEvaluation(handle)
	c.controlTraining(handle)
	handle("GET /api/status", maxForm, func(v *visit) (any, error) { return c.stands(), nil })
	return mux
}

// localEndpoint is the machine that sekisho runs on. The kernel proves that
// whoever is at the control socket is there.
const localEndpoint = "sekisho"

// asPeer does something in a session that stands in the ledger first.
func (c *Console) asPeer(v *visit, do func(v *visit) (any, error)) (any, error) {
	name, _ := v.r.Context().Value(peerKey{}).(string)
	if name == "" {
		return nil, fail(http.StatusForbidden, "peer")
	}
	staff := c.cfg.Vault.Space("staff").OfText([]byte(name))
	first, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.SessionOpened{Door: sekisho.DoorCommand, Principal: staff, Role: "administrator",
		Endpoint: localEndpoint, Verified: true, Address: netip.MustParseAddr("127.0.0.1")})
	if err != nil {
		return nil, notRecorded(err)
	}
	v.who = &session{name: name, local: true, staff: staff, entry: first.Seq, opened: c.cfg.Now(), ended: make(chan struct{})}
	defer c.endSessions(context.WithoutCancel(v.r.Context()), []*session{v.who}, "terminate")
	return do(v)
}

// caughtUp waits for the views: a command is answered from everything that was
// durable when it asked, however long they need.
func (c *Console) caughtUp(v *visit) error {
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("answering a command: %w", err)
	}
	return nil
}

// settled answers a command once the views have caught up.
func (c *Console) settled(do func(v *visit) (any, error)) func(v *visit) (any, error) {
	return func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		return do(v)
	}
}

// controlQuestion reads a question, and compares the file that comes after it,
// if one does: then who is in the file is what is confirmed. exports are those whose
// own decoys it holds; also beside an error.
func (c *Console) controlQuestion(v *visit) (q trace.Question, exports []uint64, err error) {
	http.NewResponseController(v.w).SetReadDeadline(time.Now().Add(10 * time.Minute))
	if err := c.caughtUp(v); err != nil {
		return q, nil, err
	}
	var asked question
	read := func(r io.Reader) error {
		d := json.NewDecoder(io.LimitReader(r, 1<<20))
		d.DisallowUnknownFields()
		if err := d.Decode(&asked); err != nil {
			return &failure{status: http.StatusBadRequest, key: "q_json", cause: fmt.Errorf("reading a question: %w", err)}
		}
		return nil
	}
	parts, err := v.r.MultipartReader()
	if err != nil {
		if err := read(v.r.Body); err != nil {
			return q, nil, err
		}
		q, err = asked.parse(v.zone)
		return q, nil, err
	}
	part, err := parts.NextPart()
	if err != nil || part.FormName() != "question" {
		return q, nil, fail(http.StatusBadRequest, "q_json")
	}
	if err := read(part); err != nil {
		return q, nil, err
	}
	if q, err = asked.parse(v.zone); err != nil {
		return q, nil, err
	}
	part, err = parts.NextPart()
	if err == io.EOF {
		return q, nil, nil
	}
	if err != nil || part.FormName() != "file" {
		return q, nil, fail(http.StatusBadRequest, "file_missing")
	}
	if c.cfg.MatchFile == nil {
		return q, nil, fail(http.StatusConflict, "file_not_here")
	}
	q.Files, exports, err = c.recordFile(v.r.Context(), part, q.Space, q.Incident, v.who.staff)
	return q, exports, err
}
