package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"sekisho"
	"sekisho/duty"
)

// A DocumentAsk is a new version of a document, or the first of a new one.
type DocumentAsk struct {
	Name        string `json:"name"`
	Sort        string `json:"sort"`
	English     string `json:"english"`  // Markdown; empty: none
	Japanese    string `json:"japanese"` // Markdown; empty: none
	Public      bool   `json:"public"`
	Acknowledge bool   `json:"acknowledge"`
	ReviewDays  uint64 `json:"review_days"` // 0: 365
	Owner       string `json:"owner"`       // empty: who writes it
	Said        string `json:"what_is_new"`
}

// A DocumentAct is what somebody does with a document.
type DocumentAct struct {
	// Action is "reviewed", "approved", "rejected", "withdrawn" (a version),
	// "published", "retired", "keep", "change" (a review of what is in force), or
	// "agreed", "disagreed" (with a review).
	Action  string `json:"action"`
	Version uint64 `json:"version"`
	Role    string `json:"role,omitempty"`   // approved: as what
	Review  uint64 `json:"review,omitempty"` // agreed, disagreed
	From    string `json:"from,omitempty"`   // published, retired: since when; empty: now
	Said    string `json:"text,omitempty"`
}

// writeDocument records a version, and gives its number. It holds of nothing
// until others have approved it.
func (c *Console) writeDocument(v *visit, a DocumentAsk) (uint64, error) {
	if err := c.documentsReady(); err != nil {
		return 0, err
	}
	a.Name, a.Said = strings.TrimSpace(a.Name), strings.TrimSpace(a.Said)
	tidy := func(s string) string {
		return strings.TrimSpace(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s))
	}
	a.English, a.Japanese = tidy(a.English), tidy(a.Japanese)
	if a.ReviewDays == 0 {
		a.ReviewDays = 365
	}
	switch {
	case !documentName.MatchString(a.Name):
		return 0, fail(http.StatusBadRequest, "document_name", a.Name)
	case !slices.Contains(documentSorts, a.Sort):
		return 0, fail(http.StatusBadRequest, "document_sort", a.Sort, strings.Join(documentSorts, ", "))
	case a.English == "" && a.Japanese == "":
		return 0, fail(http.StatusBadRequest, "document_empty")
	case len(a.English) > maxDocument || len(a.Japanese) > maxDocument:
		return 0, fail(http.StatusBadRequest, "document_long", number(maxDocument))
	case !utf8.ValidString(a.English) || !utf8.ValidString(a.Japanese):
		return 0, fail(http.StatusBadRequest, "document_utf8")
	case a.ReviewDays > 3660:
		return 0, fail(http.StatusBadRequest, "document_days")
	case len(a.Said) > maxSaid:
		return 0, fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	if err := checkHandlingText(&a); err != nil {
		return 0, err
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return 0, fmt.Errorf("writing a document: %w", err)
	}
	b := &sekisho.DocumentWritten{Sort: a.Sort, Public: a.Public, Acknowledge: a.Acknowledge, ReviewDays: a.ReviewDays, Owner: v.who.staff, By: v.who.staff}
	things := c.cfg.Vault.Space("thing")
	if o, ok := things.Find(documentSpace + a.Name); ok {
		if d := c.cfg.Duty.Document(o); d != nil {
			last := d.Versions[len(d.Versions)-1]
			b.Before = last.Number
			if d.InForce != nil {
				b.Before = d.InForce.Number
			}
			switch {
			case len(d.Versions) >= mostVersions:
				return 0, fail(http.StatusConflict, "document_versions")
			case last.Body.Sort != a.Sort:
				return 0, fail(http.StatusConflict, "document_other_sort", last.Body.Sort)
			case c.documentText(last, "en") == a.English && c.documentText(last, "ja") == a.Japanese && last.State(c.approvals(last)) != duty.VersionRejected:
				return 0, fail(http.StatusConflict, "document_same")
			}
		}
	}
	var err error
	if a.Owner != "" {
		if b.Owner, err = c.account(a.Owner); err != nil {
			return 0, err
		}
	}
	if b.Said, err = c.write(a.Said); err != nil {
		return 0, err
	}
	if b.Document = things.OfText([]byte(documentSpace + a.Name)); b.Document == 0 {
		return 0, errVaultFull
	}
	keep := func(text string, o *uint32, sum *[32]byte) error {
		if text == "" {
			return nil
		}
		*sum = hashOf(text)
		if *o = c.cfg.Vault.Space("document").OfText([]byte(text)); *o == 0 {
			return errVaultFull
		}
		return nil
	}
	if err := keep(a.English, &b.English, &b.EnglishSHA); err != nil {
		return 0, err
	}
	if err := keep(a.Japanese, &b.Japanese, &b.JapaneseSHA); err != nil {
		return 0, err
	}
	return c.recordDocument(v, b)
}

var errVaultFull = fmt.Errorf("keeping a text: the vault takes no more")

func (c *Console) recordDocument(v *visit, b sekisho.Body) (uint64, error) {
	id, err := c.cfg.Ledger.Append(v.r.Context(), b)
	if err != nil {
		return 0, notRecorded(err)
	}
	return id.Seq, c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

// actOnDocument does something with a version. It stands, and the pages know it,
// when this returns.
func (c *Console) actOnDocument(v *visit, name string, a DocumentAct) error {
	if a.Said = strings.TrimSpace(a.Said); len(a.Said) > maxSaid {
		return fail(http.StatusBadRequest, "room_text", number(maxSaid))
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if err := c.documentsReady(); err != nil {
		return err
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), c.cfg.Ledger.Last()); err != nil {
		return fmt.Errorf("deciding on a document: %w", err)
	}
	d, err := c.documentOf(name)
	if err != nil {
		return err
	}
	one, of := c.cfg.Duty.Version(a.Version)
	if one == nil || of != d {
		return fail(http.StatusNotFound, "document_version", strconv.FormatUint(a.Version, 10))
	}
	b, err := c.documentEntry(v, d, one, a)
	if err != nil {
		return err
	}
	_, err = c.recordDocument(v, b)
	return err
}

// documentEntry is the entry of an act, or why it may not be.
func (c *Console) documentEntry(v *visit, d *duty.Document, one *duty.Version, a DocumentAct) (sekisho.Body, error) {
	said, err := c.write(a.Said)
	if err != nil {
		return nil, err
	}
	roles := c.approvals(one)
	state := one.State(roles)
	open := state == duty.VersionDraft || state == duty.VersionApproved
	wrong := func() error { return fail(http.StatusConflict, "document_state", v.code("version", state)) }
	decided := &sekisho.DocumentDecided{Version: one.Number, Action: a.Action, Said: said, By: v.who.staff}
	switch a.Action {
	case "reviewed":
		if !open {
			return nil, wrong()
		}
		if a.Said == "" {
			return nil, fail(http.StatusBadRequest, "room_reason")
		}
		return decided, nil
	case "approved", "rejected":
		as := c.mayApproveAs(v, one)
		switch {
		case state != duty.VersionDraft:
			return nil, wrong()
		case c.spoke(v, one):
			return nil, fail(http.StatusForbidden, "document_own")
		case len(as) == 0:
			return nil, fail(http.StatusForbidden, "document_role", strings.Join(one.Wanting(roles), ", "))
		case a.Action == "rejected" && a.Said == "":
			return nil, fail(http.StatusBadRequest, "room_reason")
		case a.Action == "approved" && a.Role == "" && len(as) == 1:
			a.Role = as[0]
		}
		if a.Action == "approved" {
			if !slices.Contains(as, a.Role) {
				return nil, fail(http.StatusBadRequest, "document_as", strings.Join(as, ", "))
			}
			decided.Role = a.Role
		}
		return decided, nil
	case "withdrawn":
		if !open {
			return nil, wrong()
		}
		if !c.same(v, c.named("staff", one.Body.By)) && !c.mayDecide(v.who) {
			return nil, fail(http.StatusForbidden, "document_writer")
		}
		return decided, nil
	case "published", "retired":
		return c.documentPublication(v, d, one, a, said)
	case "keep", "change":
		if state != duty.VersionInForce {
			return nil, wrong()
		}
		if a.Said == "" {
			return nil, fail(http.StatusBadRequest, "room_reason")
		}
		return &sekisho.DocumentReviewed{Version: one.Number, Outcome: a.Action, Said: said, By: v.who.staff}, nil
	case "agreed", "disagreed":
		n := slices.IndexFunc(one.Reviews, func(r duty.Review) bool { return r.Entry == a.Review })
		switch {
		case n < 0:
			return nil, fail(http.StatusNotFound, "document_review")
		case one.Reviews[n].Answer != nil:
			return nil, fail(http.StatusConflict, "document_answered")
		case c.same(v, c.named("staff", one.Reviews[n].Body.By)):
			return nil, fail(http.StatusForbidden, "document_own")
		case !c.mayDecide(v.who) && !slices.ContainsFunc(roles, func(role string) bool { return c.holds(v, role) }):
			return nil, fail(http.StatusForbidden, "document_role", strings.Join(roles, ", "))
		}
		return &sekisho.DocumentReviewed{Version: one.Number, Review: a.Review, Outcome: a.Action, Said: said, By: v.who.staff}, nil
	}
	return nil, fail(http.StatusBadRequest, "document_action", a.Action)
}

// documentPublication puts a version into force, or ends the document. Neither
// may be done by somebody who wrote it and answers to nobody.
func (c *Console) documentPublication(v *visit, d *duty.Document, one *duty.Version, a DocumentAct, said uint32) (sekisho.Body, error) {
	now := sekisho.At(c.cfg.Now())
	from, err := c.moment(v, a.From)
	if err != nil {
		return nil, err
	}
	if from == 0 {
		from = now
	}
	b := &sekisho.DocumentPublished{Version: one.Number, Action: a.Action, From: from, Said: said, By: v.who.staff}
	if !c.mayDecide(v.who) && !slices.ContainsFunc(c.approvals(one), func(role string) bool { return c.holds(v, role) }) {
		return nil, fail(http.StatusForbidden, "document_role", strings.Join(c.approvals(one), ", "))
	}
	state := one.State(c.approvals(one))
	if a.Action == "retired" {
		switch {
		case state != duty.VersionInForce:
			return nil, fail(http.StatusConflict, "document_state", v.code("version", state))
		case a.Said == "":
			return nil, fail(http.StatusBadRequest, "room_reason")
		case from > now:
			return nil, fail(http.StatusBadRequest, "document_ahead")
		}
		return b, nil
	}
	switch {
	case state != duty.VersionApproved:
		return nil, fail(http.StatusConflict, "document_state", v.code("version", state))
	case from < now-sekisho.Time(24*3600*1_000_000):
		// What held before it was approved held of nothing.
		return nil, fail(http.StatusBadRequest, "document_past")
	case from > now:
		// A version is in force from the moment it is published: what the world
		// reads changes then.
		return nil, fail(http.StatusBadRequest, "document_ahead")
	case d.InForce != nil && from < d.InForce.From:
		return nil, fail(http.StatusBadRequest, "document_past")
	}
	return b, nil
}

// The pages' forms.

func (c *Console) writeDocumentForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := DocumentAsk{Name: f.Get("name"), Sort: f.Get("sort"), English: f.Get("english"), Japanese: f.Get("japanese"), Public: f.Get("public") != "",
		Acknowledge: f.Get("acknowledge") != "", Owner: f.Get("owner"), Said: f.Get("said")}
	if s := strings.TrimSpace(f.Get("review_days")); s != "" {
		var err error
		if a.ReviewDays, err = strconv.ParseUint(s, 10, 16); err != nil {
			return nil, fail(http.StatusBadRequest, "document_days")
		}
	}
	n, err := c.writeDocument(v, a)
	if err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/documents/%s?version=%d", strings.TrimSpace(a.Name), n), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) documentForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	a := DocumentAct{Action: f.Get("action"), Role: f.Get("role"), From: f.Get("from"), Said: f.Get("text")}
	var err error
	if a.Version, err = strconv.ParseUint(f.Get("version"), 10, 64); err != nil {
		return nil, fail(http.StatusNotFound, "document_version", f.Get("version"))
	}
	if s := f.Get("review"); s != "" {
		if a.Review, err = strconv.ParseUint(s, 10, 64); err != nil {
			return nil, fail(http.StatusNotFound, "document_review")
		}
	}
	name := v.r.PathValue("name")
	if err := c.actOnDocument(v, name, a); err != nil {
		return nil, err
	}
	http.Redirect(v.w, v.r, fmt.Sprintf("/documents/%s?version=%d", name, a.Version), http.StatusSeeOther)
	return nil, errDone
}

// controlDocuments serves the commands.
func (c *Console) controlDocuments(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/documents", maxForm, func(v *visit) (any, error) { return c.documentsPage(v) })
	handle("POST /api/documents", 2*maxDocument+maxForm, func(v *visit) (any, error) {
		a, err := told[DocumentAsk](v)
		if err != nil {
			return nil, err
		}
		n, err := c.writeDocument(v, a)
		if err != nil {
			return nil, err
		}
		return c.documentPage(v, strings.TrimSpace(a.Name), n)
	})
	handle("POST /api/document-pages", maxForm, func(v *visit) (any, error) {
		if c.cfg.CheckPages == nil {
			return nil, fail(http.StatusNotFound, "documents_pages")
		}
		if err := c.cfg.CheckPages(v.r.Context()); err != nil {
			return nil, err
		}
		return c.documentsPage(v)
	})
	handle("GET /api/documents/{name}", maxForm, func(v *visit) (any, error) { return c.document(v) })
	handle("POST /api/documents/{name}", maxForm, func(v *visit) (any, error) {
		a, err := told[DocumentAct](v)
		if err != nil {
			return nil, err
		}
		if err := c.actOnDocument(v, v.r.PathValue("name"), a); err != nil {
			return nil, err
		}
		return c.documentPage(v, v.r.PathValue("name"), a.Version)
	})
}
