package console

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"sekisho"
	"sekisho/directory"
)

// Erasures: one person asks to destroy records of the vault, another approves,
// and then they are gone. Before, everybody can see what hangs on them.

// An ErasureAsk asks to destroy everything that the directory keeps of a
// person who is gone, or single records.
type ErasureAsk struct {
	User     string   `json:"user,omitempty"`
	Space    string   `json:"space,omitempty"` // instead of User
	Ordinals []uint32 `json:"ordinals,omitempty"`
	Reason   string   `json:"reason"`
	DryRun   bool     `json:"dry_run,omitempty"`
}

// An ErasureAnswer decides one.
type ErasureAnswer struct {
	Action string `json:"action"` // "approved", "rejected", "withdrawn"
	Reason string `json:"reason"`
}

// An ErasureLine is one request.
type ErasureLine struct {
	Number  uint64         `json:"number,omitempty"`
	Time    sekisho.Time   `json:"time,omitempty"`
	State   string         `json:"state"`
	Person  string         `json:"person,omitempty"`
	Records []ErasedRecord `json:"records"`
	Count   int            `json:"count"`
	Reason  string         `json:"reason"`
	By      string         `json:"by,omitempty"`
	Answer  string         `json:"answer,omitempty"` // the second person's reason
	Second  string         `json:"second,omitempty"`
	Decided sekisho.Time   `json:"decided,omitempty"`
	Done    sekisho.Time   `json:"done,omitempty"`
}

// An ErasedRecord is one record.
type ErasedRecord struct {
	Space   string `json:"space"`
	Ordinal uint32 `json:"ordinal"`
	Erased  bool   `json:"erased"`
}

// An ErasuresPage lists requests, those that wait first.
type ErasuresPage struct {
	List []ErasureLine `json:"erasures"`
}

func (*ErasuresPage) file() string { return "erasures" }

// An ErasurePage is one request, with what hangs on it.
type ErasurePage struct {
	ErasureLine
	Hangs     []ErasureHangs `json:"hangs,omitempty"`
	CanDecide bool           `json:"can_decide"`
	Own       bool           `json:"own"`
}

// ErasureHangs is how many entries of a kind name one of the records.
type ErasureHangs struct {
	Kind    string `json:"kind"`
	Entries uint64 `json:"entries"`
}

func (*ErasurePage) file() string { return "erasure" }

// erasable are the spaces whose records people may ask to destroy, beside those
// of customers. Units and purposes are nobody's.
var erasable = []string{"staff", "staff_record", "said", "document", "reason", "statement", "export", "mailbox", "object"}

func (c *Console) erasureLine(e *directory.Erasure) ErasureLine {
	l := ErasureLine{Number: e.Number, Time: e.At, State: e.State, Person: c.named("staff", e.Asked.Person), Count: e.Count(),
		Reason: c.named("said", e.Asked.Reason), By: c.named("staff", e.Asked.By), Done: e.Finished, Records: c.erasedRecords(e.Asked.Records)}
	if d := e.Decided; d != nil {
		l.Answer, l.Second, l.Decided = c.named("said", d.Reason), c.named("staff", d.By), e.When
	}
	return l
}

func (c *Console) erasedRecords(records []sekisho.VaultRecords) (list []ErasedRecord) {
	for _, r := range records {
		for _, o := range r.Ordinals {
			list = append(list, ErasedRecord{r.Space, o, c.cfg.Vault.Space(r.Space).Erased(o)})
		}
	}
	return list
}

func (c *Console) erasuresPage() (*ErasuresPage, error) {
	if c.cfg.Erasures == nil {
		return nil, fail(http.StatusNotFound, "directory")
	}
	p := &ErasuresPage{List: []ErasureLine{}}
	for _, e := range c.cfg.Erasures.List() {
		p.List = append(p.List, c.erasureLine(e))
	}
	slices.SortStableFunc(p.List, func(a, b ErasureLine) int {
		waits := func(l ErasureLine) int {
			if l.State == "asked" {
				return 0
			}
			return 1
		}
		return waits(a) - waits(b)
	})
	return p, nil
}

func (c *Console) erasures(*visit) (page, error) {
	p, err := c.erasuresPage()
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (c *Console) erasure(v *visit) (page, error) {
	n, err := v.pathNumber("number", "erasure")
	if err != nil {
		return nil, err
	}
	return c.erasurePage(v, n)
}

func (c *Console) erasurePage(v *visit, number uint64) (*ErasurePage, error) {
	var e *directory.Erasure
	if c.cfg.Erasures != nil {
		e = c.cfg.Erasures.Get(number)
	}
	if e == nil {
		return nil, fail(http.StatusNotFound, "erasure")
	}
	p := &ErasurePage{ErasureLine: c.erasureLine(e)}
	p.Own = c.users.person(v.who.name) == c.users.person(p.By)
	p.CanDecide = p.State == "asked" && c.mayDecide(v.who)
	var err error
	if p.State == "asked" {
		p.Hangs, err = c.hangs(v.r.Context(), e.Asked.Records)
	}
	return p, err
}

// records are what a request is about, or why it cannot be.
func (c *Console) erasureRecords(ask *ErasureAsk) (records []sekisho.VaultRecords, person uint32, err error) {
	if ask.User != "" {
		staff, ok := c.cfg.Vault.Space("staff").Find(ask.User)
		if !ok {
			return nil, 0, fail(http.StatusNotFound, "erasure_user")
		}
		if records = c.cfg.Directory.RecordsOf(staff); records == nil {
			return nil, 0, fail(http.StatusNotFound, "erasure_user")
		}
		if c.cfg.Lures != nil {
			// What joins them to their pseudonyms in drills by mail goes with them.
			if link := c.cfg.Lures.LinkOf(staff); link != 0 {
				records = append(records, sekisho.VaultRecords{Space: "lure_link", Ordinals: []uint32{link}})
			}
		}
		return records, staff, c.mayBeErased(records)
	}
	if !slices.Contains(erasable, ask.Space) && !slices.Contains(c.spaces(), ask.Space) {
		return nil, 0, fail(http.StatusBadRequest, "erasure_space")
	}
	if len(ask.Ordinals) == 0 || len(ask.Ordinals) > 10_000 {
		return nil, 0, fail(http.StatusBadRequest, "erasure_records")
	}
	for _, o := range ask.Ordinals {
		if _, ok := c.cfg.Vault.Space(ask.Space).Key(o); !ok {
			return nil, 0, fail(http.StatusNotFound, "erasure_record")
		}
	}
	slices.Sort(ask.Ordinals)
	records = []sekisho.VaultRecords{{Space: ask.Space, Ordinals: slices.Compact(ask.Ordinals)}}
	return records, 0, c.mayBeErased(records)
}

// mayBeErased: who works here, or has an account of the console, is not: whose
// act an entry is could no longer be told from another's.
func (c *Console) mayBeErased(records []sekisho.VaultRecords) error {
	now := sekisho.At(c.cfg.Now())
	for _, r := range records {
		for _, o := range r.Ordinals {
			if r.Space == "staff" && (c.cfg.Directory.Person(o, now) != nil || c.users.exists(c.named("staff", o))) {
				return fail(http.StatusConflict, "erasure_here")
			}
		}
	}
	return nil
}

// askErasure records a request. It waits for an answer when it returns.
func (c *Console) askErasure(v *visit, ask ErasureAsk) (*ErasurePage, error) {
	if c.cfg.Erasures == nil || c.cfg.Directory == nil || c.cfg.Erase == nil {
		return nil, fail(http.StatusNotFound, "directory")
	}
	ask.Reason = strings.TrimSpace(ask.Reason)
	if !ask.DryRun && ask.Reason == "" || len(ask.Reason) > maxReason {
		return nil, fail(http.StatusBadRequest, "erasure_reason")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	records, person, err := c.erasureRecords(&ask)
	if err != nil {
		return nil, err
	}
	if ask.DryRun {
		p := &ErasurePage{ErasureLine: ErasureLine{State: "dry_run", Person: ask.User, Records: c.erasedRecords(records), Reason: ask.Reason}}
		p.Count = len(p.Records)
		p.Hangs, err = c.hangs(v.r.Context(), records)
		return p, err
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), &sekisho.ErasureAsked{Records: records, Person: person,
		Reason: c.cfg.Vault.Space("said").OfText([]byte(ask.Reason)), By: v.who.staff})
	if err != nil {
		return nil, notRecorded(err)
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
		return nil, err
	}
	return c.erasurePage(v, id.Seq)
}

// decideErasure records an answer, and has done what was approved when it
// returns.
func (c *Console) decideErasure(v *visit, number uint64, answer ErasureAnswer) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	e := c.cfg.Erasures.Get(number)
	if e == nil {
		return fail(http.StatusNotFound, "erasure")
	}
	if e.State != "asked" {
		return fail(http.StatusConflict, "erasure_decided")
	}
	if answer.Reason = strings.TrimSpace(answer.Reason); len(answer.Reason) > maxReason {
		return fail(http.StatusBadRequest, "erasure_reason")
	}
	own := c.users.person(v.who.name) == c.users.person(c.named("staff", e.Asked.By))
	d := &sekisho.ErasureDecided{Erasure: number, Action: answer.Action, By: v.who.staff}
	switch answer.Action {
	case "withdrawn":
		if !own {
			return fail(http.StatusForbidden, "erasure_withdraw")
		}
	case "approved", "rejected":
		if !c.mayDecide(v.who) {
			return fail(http.StatusForbidden, "erasure_role")
		}
		if own {
			return fail(http.StatusForbidden, "erasure_own")
		}
	default:
		return fail(http.StatusBadRequest, "erasure_action")
	}
	if answer.Action == "approved" {
		if err := c.mayBeErased(e.Asked.Records); err != nil { // somebody came back meanwhile
			return err
		}
	}
	if answer.Reason != "" {
		d.Reason = c.cfg.Vault.Space("said").OfText([]byte(answer.Reason))
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), d)
	if err != nil {
		return notRecorded(err)
	}
	ctx := context.WithoutCancel(v.r.Context()) // an approval is carried out, whoever hangs up
	if err := c.cfg.Views.WaitFor(ctx, id.Seq); err != nil {
		return err
	}
	if answer.Action != "approved" {
		return nil
	}
	if err := c.cfg.Erase(ctx); err != nil {
		c.cfg.Log.Error("carrying out an erasure", "erasure", number, "error", err)
		return fail(http.StatusServiceUnavailable, "erasure_later")
	}
	return nil
}

// hangs counts the entries that name one of the records, by kind. It reads the
// whole ledger.
func (c *Console) hangs(ctx context.Context, records []sekisho.VaultRecords) ([]ErasureHangs, error) {
	wanted := map[string]map[uint32]bool{}
	for _, r := range records {
		if wanted[r.Space] == nil {
			wanted[r.Space] = map[uint32]bool{}
		}
		for _, o := range r.Ordinals {
			wanted[r.Space][o] = true
		}
	}
	counts := map[string]uint64{}
	shapes := map[uint64]string{}
	last := c.cfg.Ledger.Last()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for e, err := range c.cfg.Ledger.Follow(ctx, 1) {
		if err != nil && e.Body == nil && e.ID.Seq == 0 {
			return nil, fmt.Errorf("counting what hangs on records: %w", err)
		}
		if e.Body != nil && names(e.Body, shapes, wanted) {
			counts[kindName(e.Body.Kind())]++
		}
		switch b := e.Body.(type) {
		case *sekisho.LedgerOpened:
			clear(shapes)
		case *sekisho.Shape:
			shapes[e.ID.Seq] = b.Space
		}
		if e.ID.Seq >= last {
			break
		}
	}
	list := make([]ErasureHangs, 0, len(counts))
	for kind, n := range counts {
		list = append(list, ErasureHangs{kind, n})
	}
	slices.SortFunc(list, func(a, b ErasureHangs) int { return strings.Compare(a.Kind, b.Kind) })
	return list, nil
}

// names says whether an entry names one of the wanted ordinals. Fields whose
// space is told by another field, or by the shape of an access, are looked up
// there.
func names(body sekisho.Body, shapes map[uint64]string, wanted map[string]map[uint32]bool) bool {
	v := reflect.ValueOf(body).Elem()
	space := ""
	if f := v.FieldByName("Space"); f.IsValid() && f.Kind() == reflect.String {
		space = f.String()
	}
	if a, ok := body.(*sekisho.Access); ok {
		space = shapes[a.Shape]
	}
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		of := fieldSpace(body, name)
		if of == "" { // not everybody's to read, and named all the same
			of = ordinalSpaces[name]
		}
		switch {
		case name == "Subjects" || name == "Subject":
			of = space
		case name == "Principals" || name == "Staff":
			of = "staff"
		case name == "Options":
			of = "said"
		case name == "Record":
			of = "staff_record"
		case name == "Document" || name == "Documents":
			of = "document"
		}
		want := wanted[of]
		if want == nil {
			continue
		}
		switch x := v.Field(i).Interface().(type) {
		case uint32:
			if want[x] {
				return true
			}
		case []uint32:
			if slices.ContainsFunc(x, func(o uint32) bool { return want[o] }) {
				return true
			}
		}
	}
	return false
}

// The pages' forms.

func (c *Console) askErasureForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 32)
	if err != nil {
		return nil, fail(http.StatusNotFound, "directory_person")
	}
	user, ok := c.cfg.Vault.Space("staff").Key(uint32(n))
	if !ok {
		return nil, fail(http.StatusNotFound, "directory_person")
	}
	p, err := c.askErasure(v, ErasureAsk{User: user, Reason: v.r.PostForm.Get("reason"), DryRun: v.r.PostForm.Get("dry_run") != ""})
	if err != nil {
		return nil, err
	}
	if p.Number == 0 {
		return p, nil
	}
	return c.seeErasure(v, p.Number)
}

func (c *Console) decideErasureForm(v *visit) (page, error) {
	n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
	if err != nil || c.cfg.Erasures == nil {
		return nil, fail(http.StatusNotFound, "erasure")
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	if err := c.decideErasure(v, n, ErasureAnswer{Action: v.r.PostForm.Get("action"), Reason: v.r.PostForm.Get("reason")}); err != nil {
		return nil, err
	}
	return c.seeErasure(v, n)
}

func (c *Console) seeErasure(v *visit, number uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.erasurePage(v, number)
	}
	http.Redirect(v.w, v.r, "/erasures/"+strconv.FormatUint(number, 10), http.StatusSeeOther)
	return nil, errDone
}

func (c *Console) controlErasures(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/erasures", maxForm, c.settled(func(*visit) (any, error) { return c.erasuresPage() }))
	handle("POST /api/erasures", 1<<20, c.settled(func(v *visit) (any, error) {
		ask, err := told[ErasureAsk](v)
		if err != nil {
			return nil, err
		}
		return c.askErasure(v, ask)
	}))
	handle("GET /api/erasures/{number}", maxForm, c.settled(func(v *visit) (any, error) { return c.erasure(v) }))
	handle("POST /api/erasures/{number}", maxForm, c.settled(func(v *visit) (any, error) {
		n, err := strconv.ParseUint(v.r.PathValue("number"), 10, 64)
		if err != nil || c.cfg.Erasures == nil {
			return nil, fail(http.StatusNotFound, "erasure")
		}
		answer, err := told[ErasureAnswer](v)
		if err != nil {
			return nil, err
		}
		if err := c.decideErasure(v, n, answer); err != nil {
			return nil, err
		}
		return c.erasurePage(v, n)
	}))
}
