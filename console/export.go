package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"sekisho"
	"sekisho/permit"
)

// Exports: who asks for more customers than a role may read at once, and who
// answers. Nobody answers for themselves: identities are compared, not
// accounts (users.person), whether they come by the console or by the control
// socket.

const (
	maxReason     = 2000 // bytes
	defaultLasts  = 24 * time.Hour
	shortestLasts = time.Minute
	longestLasts  = 7 * 24 * time.Hour
)

// An ExportAsk asks for an export.
type ExportAsk struct {
	Reference uint64 `json:"reference"` // the number that the refusal told
	Most      uint64 `json:"most"`      // customers
	Lasts     string `json:"lasts"`     // such as 8h; empty: 24h
	Reason    string `json:"reason"`
	// Decoys is how many records of nobody the answer shall carry that no other has;
	// nil: as many as the config says.
	Decoys *uint64 `json:"decoys,omitempty"`
}

// An ExportAnswer decides a request.
type ExportAnswer struct {
	Action string `json:"action"` // "approved", "rejected", "withdrawn"
	Most   uint64 `json:"most"`   // approved: 0 is as many as were asked for
	Reason string `json:"reason"`
}

// An ExportLine is one request with what became of it.
type ExportLine struct {
	Number    uint64       `json:"number"`
	Time      sekisho.Time `json:"time"`
	State     permit.State `json:"state"`
	Principal string       `json:"principal"`
	Role      string       `json:"role"`
	Statement string       `json:"statement"` // without literals
	Tables    []string     `json:"tables"`
	Most      uint64       `json:"most"`
	Lasts     uint64       `json:"lasts_seconds"`
	Reason    string       `json:"reason"`
	By        string       `json:"by"`
	Refused   uint64       `json:"refused"` // entry
	Decoys    uint64       `json:"decoys"`  // of its own, that the answer carries

	Decision *ExportDecision `json:"decision,omitempty"`
	UsedAt   sekisho.Time    `json:"used_at,omitempty"`
	Session  uint64          `json:"used_session,omitempty"`
}

// An ExportDecision is the answer to a request.
type ExportDecision struct {
	Entry  uint64       `json:"entry"`
	Time   sekisho.Time `json:"time"`
	Action string       `json:"action"`
	By     string       `json:"by"`
	Most   uint64       `json:"most,omitempty"`
	Until  sekisho.Time `json:"until,omitempty"`
	Reason string       `json:"reason,omitempty"`
}

// A TurnedLine is a statement that can be asked for.
type TurnedLine struct {
	Reference uint64       `json:"reference"`
	Time      sekisho.Time `json:"time"`
	Principal string       `json:"principal"`
	Role      string       `json:"role"`
	Statement string       `json:"statement"` // without literals
	Tables    []string     `json:"tables"`
	Limit     uint64       `json:"limit"`
	EndsAt    uint64       `json:"ends_at,omitempty"` // rows, by the policy, also if it is approved
}

// An ExportsPage lists requests, those that wait first, and what can be asked
// for.
type ExportsPage struct {
	Requests []ExportLine `json:"requests"`
	Turned   []TurnedLine `json:"turned"`
	Marks    bool         `json:"marks"`  // answers can carry decoys of their own
	Decoys   uint64       `json:"decoys"` // so many unless somebody says otherwise
}

func (*ExportsPage) file() string { return "exports" }

// An ExportPage is one request, with the exact text for those whom it concerns.
type ExportPage struct {
	ExportLine
	Text        string   `json:"text,omitempty"`
	Parameters  []string `json:"parameters,omitempty"`
	Rows        uint64   `json:"rows,omitempty"`    // that the database's planner expects; 0: it does not say
	EndsAt      uint64   `json:"ends_at,omitempty"` // rows, by the policy as it was, also if it is approved; 0: by no rule, or the gate has started anew
	CanDecide   bool     `json:"can_decide"`
	CanTakeBack bool     `json:"can_take_back"` // the approval
	Own         bool     `json:"own"`           // the visitor asked, or it is the visitor's statement
	Hidden      bool     `json:"-"`             // the text is not the visitor's to read
}

func (*ExportPage) file() string { return "export" }

func (c *Console) exportLine(r *permit.Request) ExportLine {
	a := r.Asked
	l := ExportLine{Number: r.Number, Time: r.At, State: c.exportState(r), Principal: c.named("staff", a.Principal), Role: a.Role,
		Statement: c.named("statement", a.Statement), Tables: a.Tables, Most: a.Most, Lasts: a.Lasts, Reason: c.named("reason", a.Reason),
		By: c.named("staff", a.By), Refused: a.Refused, Decoys: r.Decoys}
	if d := r.Decided; d != nil {
		l.Decision = &ExportDecision{Entry: r.Entry, Time: r.When, Action: d.Action, By: c.named("staff", d.By), Most: d.Most, Until: d.Until, Reason: c.named("reason", d.Reason)}
	}
	if r.Used != nil {
		l.UsedAt, l.Session = r.UsedAt, r.Used.Session
	}
	return l
}

// exportState is the request's now.
func (c *Console) exportState(r *permit.Request) permit.State {
	state := r.State(sekisho.At(c.cfg.Now()))
	if state == permit.Approved && c.Lapsed(r) {
		return permit.Lapsed
	}
	return state
}

// Lapsed: whoever approved r has left by the directory, or their account may
// approve no more. Whoever approved at the machine itself without an account there
// is judged by the directory alone, if it knows them. It can be called while the
// views are held.
func (c *Console) Lapsed(r *permit.Request) bool {
	d := r.Decided
	if d == nil || d.Action != "approved" {
		return false
	}
	by := c.named("staff", d.By)
	account := c.users.person(by)
	if role := c.users.role(account); c.users.exists(account) && !decides(role) {
		return true
	}
	if c.cfg.Directory == nil {
		return false
	}
	now, left := sekisho.At(c.cfg.Now()), false
	for _, name := range append(c.users.names(account), by) {
		staff, known := c.cfg.Vault.Space("staff").Find(name)
		if !known {
			continue
		}
		if c.cfg.Directory.Person(staff, now) != nil {
			return false // one of their names is of somebody who is here
		}
		last := c.cfg.Directory.Last(staff, now)
		left = left || last != nil && last.Left != 0 && last.Left <= now
	}
	return left
}

// waiting counts the requests that nobody has answered.
func (c *Console) waiting() (n int) {
	if c.cfg.Permits != nil {
		c.cfg.Views.Read(func() { n = c.cfg.Permits.Waiting(sekisho.At(c.cfg.Now())) })
	}
	return n
}

func (c *Console) exportsPage() *ExportsPage {
	p := &ExportsPage{Requests: []ExportLine{}, Turned: []TurnedLine{}, Marks: c.cfg.MarksExports, Decoys: c.cfg.ExportDecoys}
	var list []permit.Request
	if c.cfg.Permits != nil {
		c.cfg.Views.Read(func() { list = c.cfg.Permits.List() })
	}
	const most = 500
	for i := range list[:min(len(list), most)] {
		p.Requests = append(p.Requests, c.exportLine(&list[i]))
	}
	slices.SortStableFunc(p.Requests, func(a, b ExportLine) int { return rank(a.State) - rank(b.State) })
	for _, t := range c.turned() {
		p.Turned = append(p.Turned, TurnedLine{Reference: t.Number, Time: t.At, Principal: c.named("staff", t.Statement.Whose()), Role: t.Statement.Role,
			Statement: c.named("statement", t.Plain), Tables: t.Statement.Tables, Limit: t.Limit, EndsAt: t.EndsAt})
	}
	return p
}

// rank puts what waits for somebody first.
func rank(s permit.State) int {
	switch s {
	case permit.Asked:
		return 0
	case permit.Approved:
		return 1
	}
	return 2
}

func (c *Console) turned() []permit.Turned {
	if c.cfg.Turned == nil {
		return nil
	}
	return c.cfg.Turned()
}

func (c *Console) exports(*visit) (page, error) { return c.exportsPage(), nil }

func (c *Console) export(v *visit) (page, error) {
	n, err := v.pathNumber("number", "export")
	if err != nil {
		return nil, err
	}
	return c.exportPage(v, n)
}

func (c *Console) request(number uint64) (r permit.Request, err error) {
	ok := false
	if c.cfg.Permits != nil {
		c.cfg.Views.Read(func() { r, ok = c.cfg.Permits.Get(number) })
	}
	if !ok {
		return r, fail(http.StatusNotFound, "export")
	}
	return r, nil
}

func (c *Console) exportPage(v *visit, number uint64) (*ExportPage, error) {
	r, err := c.request(number)
	if err != nil {
		return nil, err
	}
	p := &ExportPage{ExportLine: c.exportLine(&r)}
	if all := c.turned(); r.Used == nil {
		if i := slices.IndexFunc(all, func(t permit.Turned) bool { return t.Number == r.Asked.Refused }); i >= 0 {
			p.EndsAt = all[i].EndsAt
		}
	}
	me := c.users.person(v.who.name)
	p.Own = me == c.users.person(p.By) || me == c.users.person(p.Principal)
	p.CanDecide = c.mayDecide(v.who) && p.State == permit.Asked
	p.CanTakeBack = p.State == permit.Approved && (p.Own || c.mayDecide(v.who))
	// The text holds what was asked about, which may be a customer: it is shown to
	// those alone who need it.
	if p.Hidden = !p.Own && !c.mayDecide(v.who); p.Hidden {
		return p, nil
	}
	key, ok := c.cfg.Vault.Space("export").Key(r.Asked.Exact)
	if !ok {
		return p, nil
	}
	st, err := permit.ParseStatement(key)
	if err != nil {
		return nil, err
	}
	p.Text, p.Parameters = string(st.Text), parameters(st.Parameters)
	if p.State == permit.Asked && c.cfg.Estimate != nil {
		if p.Rows, err = c.cfg.Estimate(v.r.Context(), st); err != nil {
			c.cfg.Log.Info("no estimate of an export", "request", number, "error", err)
		}
	}
	return p, nil
}

// parameters are the values of a Bind, as a person can read them.
func parameters(b []byte) (list []string) {
	take := func(n int) []byte {
		if n > len(b) {
			n = len(b)
		}
		head := b[:n]
		b = b[n:]
		return head
	}
	number := func(b []byte) (n int) {
		for _, x := range b {
			n = n<<8 | int(x)
		}
		return n
	}
	formats := take(2 * number(take(2)))
	for range number(take(2)) {
		if len(b) < 4 {
			return list
		}
		size := number(take(4))
		if size == 0xffffffff {
			list = append(list, "NULL")
			continue
		}
		binary := len(formats) == 2 && formats[1] == 1 || len(formats) > 2 && 2*len(list)+1 < len(formats) && formats[2*len(list)+1] == 1
		switch v := take(size); {
		case !binary:
			list = append(list, strconv.Quote(string(v)))
		case len(v) == 2:
			list = append(list, fmt.Sprintf("%d (x%x)", int16(number(v)), v))
		case len(v) == 4:
			list = append(list, fmt.Sprintf("%d (x%x)", int32(number(v)), v))
		case len(v) == 8:
			list = append(list, fmt.Sprintf("%d (x%x)", int64(number(v)), v))
		default:
			list = append(list, fmt.Sprintf("%q (x%x)", v, v))
		}
	}
	return list
}

// mayDecide: the account may answer requests of others.
func (c *Console) mayDecide(who *session) bool {
	return who.local || decides(c.users.role(who.name))
}

// decides: the role may answer requests of others.
func decides(role string) bool { return role == administrator || role == approver }

// askExport records a request. It waits for an answer when it returns.
func (c *Console) askExport(v *visit, ask ExportAsk) (uint64, error) {
	ask.Reason = strings.TrimSpace(ask.Reason)
	lasts := defaultLasts
	if ask.Lasts != "" {
		var err error
		if lasts, err = time.ParseDuration(ask.Lasts); err != nil || lasts < shortestLasts || lasts > longestLasts {
			return 0, fail(http.StatusBadRequest, "export_lasts")
		}
	}
	if ask.Reason == "" || len(ask.Reason) > maxReason {
		return 0, fail(http.StatusBadRequest, "export_reason")
	}
	all := c.turned()
	i := slices.IndexFunc(all, func(t permit.Turned) bool { return t.Number == ask.Reference })
	if i < 0 {
		return 0, fail(http.StatusNotFound, "export_reference")
	}
	t := all[i]
	if ask.Most <= t.Limit {
		return 0, fail(http.StatusBadRequest, "export_most", number(t.Limit))
	}
	decoys := c.cfg.ExportDecoys
	if ask.Decoys != nil {
		decoys = *ask.Decoys
	}
	if decoys > permit.MostDecoys || decoys > 0 && !c.cfg.MarksExports {
		return 0, fail(http.StatusBadRequest, "export_decoys")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	exact := c.cfg.Vault.Space("export").OfText(t.Statement.Key())
	reason := c.cfg.Vault.Space("reason").OfText([]byte(ask.Reason))
	if exact == 0 || reason == 0 {
		return 0, fmt.Errorf("asking for an export: the vault takes no more")
	}
	var same permit.Request
	var known bool
	now := sekisho.At(c.cfg.Now())
	c.cfg.Views.Read(func() { same, known = c.cfg.Permits.For(exact, now, c.Lapsed) })
	if known && (same.State(now) == permit.Asked || same.State(now) == permit.Approved) {
		return 0, fail(http.StatusConflict, "export_again", ordinal(same.Number))
	}
	bodies := []sekisho.Body{}
	if decoys > 0 { // in one group with the request, so that neither is without the other
		bodies = append(bodies, &sekisho.ExportMarked{Exact: exact, Decoys: decoys, By: v.who.staff})
	}
	bodies = append(bodies, &sekisho.ExportAsked{Refused: t.Number, Principal: t.Statement.Whose(), Role: t.Statement.Role,
		Statement: t.Plain, Exact: exact, Tables: t.Statement.Tables, Most: ask.Most, Lasts: uint64(lasts / time.Second), Reason: reason, By: v.who.staff})
	id, err := c.cfg.Ledger.Append(v.r.Context(), bodies...)
	if err != nil {
		return 0, notRecorded(err)
	}
	id.Seq += uint64(len(bodies) - 1)
	return id.Seq, c.cfg.Views.WaitFor(v.r.Context(), id.Seq)
}

// decideExport records an answer. The gate knows of it when it returns.
func (c *Console) decideExport(v *visit, number uint64, answer ExportAnswer) error {
	c.deciding.Lock()
	defer c.deciding.Unlock()
	r, err := c.request(number)
	if err != nil {
		return err
	}
	now := c.cfg.Now()
	state := c.exportState(&r)
	if state != permit.Asked && (state != permit.Approved || answer.Action != "withdrawn") {
		return fail(http.StatusConflict, "export_decided")
	}
	me := c.users.person(v.who.name)
	asked, whose := c.users.person(c.named("staff", r.Asked.By)), c.users.person(c.named("staff", r.Asked.Principal))
	if answer.Reason = strings.TrimSpace(answer.Reason); len(answer.Reason) > maxReason {
		return fail(http.StatusBadRequest, "export_reason")
	}
	d := &sekisho.ExportDecided{Request: number, Action: answer.Action, By: v.who.staff}
	switch answer.Action {
	case "withdrawn":
		// What was approved is taken back by either side: the approver may have been
		// mistaken, or have left.
		if me != asked && (state == permit.Asked || me != whose && !c.mayDecide(v.who)) {
			return fail(http.StatusForbidden, "export_withdraw")
		}
	case "approved", "rejected":
		if !c.mayDecide(v.who) {
			return fail(http.StatusForbidden, "export_role")
		}
		if me == asked || me == whose {
			return fail(http.StatusForbidden, "export_own")
		}
	default:
		return fail(http.StatusBadRequest, "export_action")
	}
	if answer.Action == "approved" {
		if d.Most = answer.Most; d.Most == 0 {
			d.Most = r.Asked.Most
		}
		if d.Most > r.Asked.Most {
			return fail(http.StatusBadRequest, "export_more")
		}
		d.Until = sekisho.At(now.Add(time.Duration(r.Asked.Lasts) * time.Second))
	}
	if answer.Reason != "" {
		d.Reason = c.cfg.Vault.Space("reason").OfText([]byte(answer.Reason))
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), d)
	if err != nil {
		return notRecorded(err)
	}
	if err := c.cfg.Views.WaitFor(v.r.Context(), id.Seq); err != nil {
		return err
	}
	if r, err = c.request(number); err == nil && answer.Action == "withdrawn" && r.Used != nil { // at the same moment
		return fail(http.StatusConflict, "export_decided")
	}
	return err
}

// The pages' forms.

func (c *Console) askExportForm(v *visit) (page, error) {
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	reference, err := called(f.Get("reference"))
	if err != nil {
		return nil, fail(http.StatusNotFound, "export_reference")
	}
	most, err := strconv.ParseUint(strings.ReplaceAll(strings.TrimSpace(f.Get("most")), ",", ""), 10, 64)
	if err != nil {
		return nil, fail(http.StatusBadRequest, "export_number")
	}
	ask := ExportAsk{Reference: reference, Most: most, Lasts: strings.TrimSpace(f.Get("lasts")), Reason: f.Get("reason")}
	if said := strings.TrimSpace(f.Get("decoys")); said != "" {
		n, err := strconv.ParseUint(said, 10, 64)
		if err != nil {
			return nil, fail(http.StatusBadRequest, "export_decoys")
		}
		ask.Decoys = &n
	}
	n, err := c.askExport(v, ask)
	if err != nil {
		return nil, err
	}
	return c.seeExport(v, n)
}

func (c *Console) decideExportForm(v *visit) (page, error) {
	n, err := v.pathNumber("number", "export")
	if err != nil {
		return nil, err
	}
	if err := v.r.ParseForm(); err != nil {
		return nil, tooLarge(err)
	}
	f := v.r.PostForm
	answer := ExportAnswer{Action: f.Get("action"), Reason: f.Get("reason")}
	if s := strings.ReplaceAll(strings.TrimSpace(f.Get("most")), ",", ""); s != "" {
		if answer.Most, err = strconv.ParseUint(s, 10, 64); err != nil || answer.Most == 0 {
			return nil, fail(http.StatusBadRequest, "export_number")
		}
	}
	if err := c.decideExport(v, n, answer); err != nil {
		return nil, err
	}
	return c.seeExport(v, n)
}

func (c *Console) seeExport(v *visit, number uint64) (page, error) {
	if wantsJSON(v.r) {
		return c.exportPage(v, number)
	}
	http.Redirect(v.w, v.r, "/exports/"+strconv.FormatUint(number, 10), http.StatusSeeOther)
	return nil, errDone
}

// The control socket's.

// told reads a body of JSON, strictly.
func told[T any](v *visit) (t T, err error) {
	d := json.NewDecoder(v.r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&t); err != nil {
		return t, &failure{status: http.StatusBadRequest, key: "json", cause: fmt.Errorf("reading a command: %w", err)}
	}
	return t, nil
}

func (c *Console) controlExports(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	numbered := func(do func(v *visit, n uint64) (any, error)) func(v *visit) (any, error) {
		return func(v *visit) (any, error) {
			if err := c.caughtUp(v); err != nil {
				return nil, err
			}
			n, err := v.pathNumber("number", "export")
			if err != nil {
				return nil, err
			}
			return do(v, n)
		}
	}
	handle("GET /api/exports", maxForm, func(v *visit) (any, error) {
		if err := c.caughtUp(v); err != nil {
			return nil, err
		}
		return c.exportsPage(), nil
	})
	handle("GET /api/exports/{number}", maxForm, numbered(func(v *visit, n uint64) (any, error) { return c.exportPage(v, n) }))
	handle("POST /api/exports", maxForm, func(v *visit) (any, error) {
		ask, err := told[ExportAsk](v)
		if err != nil {
			return nil, err
		}
		n, err := c.askExport(v, ask)
		if err != nil {
			return nil, err
		}
		return c.exportPage(v, n)
	})
	handle("POST /api/exports/{number}", maxForm, numbered(func(v *visit, n uint64) (any, error) {
		answer, err := told[ExportAnswer](v)
		if err != nil {
			return nil, err
		}
		if err := c.decideExport(v, n, answer); err != nil {
			return nil, err
		}
		return c.exportPage(v, n)
	}))
}

// Users, from the command line.

// A UserLine is a console user.
type UserLine struct {
	Name string   `json:"name"`
	Role string   `json:"role"`           // "administrator", "approver", "user", "hr", "auditor"
	Also []string `json:"also,omitempty"` // other accounts of the same person

	Until string `json:"until,omitempty"` // of an auditor, and needed: the last day, or a moment
	For   string `json:"for,omitempty"`   // whom the auditor works for, and on what; needed
}

func (c *Console) controlUsers(handle func(pattern string, limit int64, do func(v *visit) (any, error))) {
	handle("GET /api/users", maxForm, func(*visit) (any, error) { return c.users.list(), nil })
	handle("POST /api/users", maxForm, func(v *visit) (any, error) {
		u, err := told[UserLine](v)
		if err != nil {
			return nil, err
		}
		password, err := c.addUser(v, u)
		if err != nil {
			return nil, err
		}
		return map[string]string{"name": u.Name, "password": password}, nil
	})
	handle("POST /api/users/{name}/remove", maxForm, func(v *visit) (any, error) {
		name := v.r.PathValue("name")
		return map[string]string{"name": name}, c.removeUser(v, name)
	})
}

// addUser makes an account, which is durable on return, and gives its password:
// it is kept nowhere. The entries are durable before it.
func (c *Console) addUser(v *visit, u UserLine) (password string, err error) {
	var until sekisho.Time
	switch {
	case !goodName(u.Name) || slices.ContainsFunc(u.Also, func(n string) bool { return n == "" || len(n) > maxName }) || len(u.Also) > 20:
		return "", fail(http.StatusBadRequest, "user_name")
	case !slices.Contains(userRoles, u.Role):
		return "", fail(http.StatusBadRequest, "user_role")
	case u.Role == auditor && len(u.Also) > 0: // nobody who works here is an auditor
		return "", fail(http.StatusBadRequest, "audit_also")
	case u.Role == auditor:
		if until, err = c.admission(&u); err != nil {
			return "", err
		}
	case u.Until != "" || u.For != "":
		return "", fail(http.StatusBadRequest, "audit_until")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if c.users.exists(u.Name) {
		return "", fail(http.StatusConflict, "user_exists")
	}
	staff := c.cfg.Vault.Space("staff").OfText([]byte(u.Name))
	bodies := []sekisho.Body{&sekisho.UserChanged{User: staff, By: v.who.staff, Action: "created"}}
	var end time.Time
	if u.Role == auditor {
		end = until.Go()
		bodies = append(bodies, &sekisho.AuditorAdmitted{User: staff, Action: "admitted", Until: until, Said: c.cfg.Vault.Space("said").OfText([]byte(u.For)), By: v.who.staff})
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), bodies...)
	if err != nil {
		return "", notRecorded(err)
	}
	password = newPassword()
	if err := c.users.add(u, end, password); err != nil {
		return "", err
	}
	return password, c.cfg.Views.WaitFor(v.r.Context(), id.Seq+uint64(len(bodies))-1)
}

// removeUser takes an account away, and ends its stays.
func (c *Console) removeUser(v *visit, name string) error {
	if !c.users.exists(name) {
		return fail(http.StatusNotFound, "user")
	}
	c.deciding.Lock()
	defer c.deciding.Unlock()
	if len(c.users.list()) == 1 { // without a user, an administrator would be made anew
		return fail(http.StatusConflict, "user_last")
	}
	staff := c.cfg.Vault.Space("staff").OfText([]byte(name))
	bodies := []sekisho.Body{&sekisho.UserChanged{User: staff, By: v.who.staff, Action: "removed"}}
	if _, is := c.users.until(name); is {
		bodies = append(bodies, &sekisho.AuditorAdmitted{User: staff, Action: "ended", By: v.who.staff})
	}
	id, err := c.cfg.Ledger.Append(v.r.Context(), bodies...)
	if err != nil {
		return notRecorded(err)
	}
	err = c.users.remove(name)
	c.endSessions(v.r.Context(), c.sessions.take(func(_ [32]byte, one *session) bool { return one.name == name }), "refused")
	if err != nil {
		return err
	}
	return c.cfg.Views.WaitFor(v.r.Context(), id.Seq+uint64(len(bodies))-1)
}

// exportUsedBy is the request whose approval was spent by one of these entries.
// The views are not held.
func (c *Console) exportUsedBy(entries []uint64) (number uint64, ok bool) {
	if c.cfg.Permits == nil || len(entries) < 2 {
		return 0, false
	}
	c.cfg.Views.Read(func() {
		for _, r := range c.cfg.Permits.List() {
			if r.UseSeq != 0 && slices.Contains(entries, r.UseSeq) {
				number, ok = r.Number, true
			}
		}
	})
	return number, ok
}
