package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sekisho"
	"sekisho/act"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/gate"
	"sekisho/house"
	"sekisho/ledger"
	"sekisho/vault"
)

func policySimulateCommand() *cobra.Command {
	var (
		flags              policyFlags
		path, since, until string
		paths, against     []string
		office             []string
		posts, companies   map[string]string
		names, asJSON      bool
		top                int
	)
	cmd := &cobra.Command{
		Use:   "simulate --policy FILE (--config FILE | --ledger DIR)",
		Short: "Replay a ledger's accesses under another policy, and list what would change",
		Long: `Reads the accesses of a ledger, decides each as the policy would have, and lists
what would have changed: by principal, role, terminal and tables. Without
--against it is compared with what happened; with it, with another policy.

The ledger may belong to a running sekisho: it is only read. It does not say
everything that a policy may ask: posts, companies and where the office is are
given with flags or by --config, and what stays unknown is told with the result.
Purposes are read from the vault beside the ledger; principals that do not stand
in the config are numbers unless --vault says that they may be named.`,
		Example: `  sekisho policy simulate --ledger /var/lib/sekisho --policy policy \
      --since 2026-04-01 --office 10.20.0.0/16 --post call_centre=agent`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			policy, zone, err := flags.load(paths)
			if err != nil {
				return err
			}
			s := simulation{policy: policy, zone: zone, posts: posts, companies: companies}
			if flags.config != "" {
				c, base, err := readConfig(flags.config)
				if err == nil {
					err = c.Check(base)
				}
				if err != nil {
					return err
				}
				s.gate, path = &c.Gate, cmp.Or(path, c.Data)
				if c.Handling.OffSite {
					s.terminals = duty.NewChecks()
				}
			}
			if len(against) > 0 {
				if s.against, _, err = flags.load(against); err != nil {
					return err
				}
			}
			if s.since, err = timeFlag("--since", since, zone); err != nil {
				return err
			}
			if s.until, err = timeFlag("--until", until, zone); err != nil {
				return err
			}
			if s.office, err = sekisho.ParsePrefixes(office); err != nil {
				return usage{fmt.Errorf("--office: %w", err)}
			}
			if path == "" {
				return usage{errors.New("name the ledger with --ledger, or a config with --config")}
			}
			dir, err := house.DataDir(path)
			if err != nil {
				return err
			}
			close, err := s.openVault(dir)
			if err != nil && names {
				return err
			}
			defer close()
			s.names = names
			bar := newBar(os.Stderr, "replaying")
			if err := s.replay(cmd.Context(), filepath.Join(dir, "ledger"), bar, sekisho.At(time.Now())); err != nil {
				return err
			}
			r := s.report()
			if asJSON {
				return printJSON(cmd.OutOrStdout(), r)
			}
			r.print(cmd.OutOrStdout(), top)
			return nil
		},
	}
	flags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&path, "ledger", "", "the data directory, or the ledger in it; default: the config's")
	f.StringArrayVar(&paths, "policy", nil, "a file or directory of policies; may be given again; default: the shipped policy")
	f.StringArrayVar(&against, "against", nil, "a policy to compare with, instead of what happened")
	f.StringVar(&since, "since", "", "start of the window: a date, or a date and time")
	f.StringVar(&until, "until", "", "end of the window, itself outside it")
	f.StringArrayVar(&office, "office", nil, "an address or prefix of the office; may be given again; every other is remote")
	f.StringToStringVar(&posts, "post", nil, "the post of a role's principals, as role=post; may be given again")
	f.StringToStringVar(&companies, "company", nil, "the company of a role's principals, as role=company; may be given again")
	f.BoolVar(&names, "vault", false, "name the principals, from the vault")
	f.IntVar(&top, "top", 20, "how many changes to list, after the summary")
	f.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// timeFlag is 0 if nothing was said.
func timeFlag(name, text string, zone *time.Location) (sekisho.Time, error) {
	if text == "" {
		return 0, nil
	}
	t, err := house.ParseTime(text, zone)
	if err != nil {
		return 0, usage{fmt.Errorf("%s: %w", name, err)}
	}
	return t, nil
}

// A simulation folds accesses into what would have changed.
type simulation struct {
	policy, against  *act.Policy // against is nil for what happened
	since, until     sekisho.Time
	zone             *time.Location
	office           []netip.Prefix
	posts, companies map[string]string
	terminals        *duty.Checks // the register of them; nil: no rule speaks of it
	gate             *gate.Config // whose principals have posts, and whose office is where; nil: unknown
	vault            *vault.Vault // nil if it cannot be read
	names            bool

	sessions map[uint64]*replayedSession
	shapes   map[uint64]*sekisho.Shape
	ruled    map[ruledKey]*sekisho.Ruled
	memos    map[string]*[2]act.Memo // by tables: of policy, and of against
	changes  map[changeKey]*change
	total    simulated
}

// A replayedSession is a session with its statements that may go on.
type replayedSession struct {
	opened *sekisho.SessionOpened
	open   []*replayed
	ruled  *sekisho.Ruled // the latest
}

// A replayed statement gathers the chunks of its result.
type replayed struct {
	number     uint64
	at         sekisho.Time
	verb       sekisho.Verb
	tables     []string
	categories sekisho.Categories
	purpose    uint32
	rows       uint64
	unknown    bool // how many rows: it may be any
	more       bool
	statement  uint32
	before     string // what became of it: "" is that it passed
}

// A ruledKey is what the policy's decision about a statement was recorded for.
type ruledKey struct{ principal, statement, purpose uint32 }

type changeKey struct {
	principal                    uint32
	role, endpoint, tables, verb string
	before, after, policies      string
}

// A change is what would have become of statements of one kind.
type change struct {
	Principal  string   `json:"principal,omitempty"`
	Role       string   `json:"role"`
	Endpoint   string   `json:"endpoint,omitempty"`
	Tables     []string `json:"tables,omitempty"`
	Verb       string   `json:"verb"`
	Before     string   `json:"before"`
	After      string   `json:"after"`
	Policies   []string `json:"policies,omitempty"`
	Statements uint64   `json:"statements"`
	Rows       uint64   `json:"rows"`
	KeptBefore uint64   `json:"rows_kept_before"` // rows that did not, or would not, go out at once
	KeptAfter  uint64   `json:"rows_kept_after"`

	effect act.Effect
}

type simulated struct {
	Statements uint64 `json:"statements"`
	Rows       uint64 `json:"rows"`
	Changed    uint64 `json:"changed"`
	From       string `json:"from"`
	To         string `json:"to"`

	first, last sekisho.Time
	refused     uint64 // then, by the gate
	elsewhere   uint64 // accesses at the console and the command line
	purposes    uint64 // statements whose purpose could not be read
	budgets     uint64 // statements under a budget
	unplaced    uint64 // statements whose place is unknown
	unnamed     bool   // somebody is a number
	roles       map[string]bool
}

// openVault opens the vault for reading, if its key is there.
func (s *simulation) openVault(dir string) (close func(), err error) {
	none := func() {}
	file := filepath.Join(dir, "vault.key")
	if _, err := os.Stat(file); err != nil {
		return none, fmt.Errorf("the vault's key is needed to name anybody: %w", err)
	}
	key, err := vault.LoadOrMakeKey(file)
	if err != nil {
		return none, err
	}
	v, err := vault.Open(vault.Config{Dir: filepath.Join(dir, "vault"), FS: disk.OS{}, Key: key, ReadOnly: true})
	if err != nil {
		return none, err
	}
	s.vault = v
	return func() { v.Close() }, nil
}

// replay reads the ledger from its beginning: a session of the window may have
// been opened long before.
func (s *simulation) replay(ctx context.Context, dir string, bar *bar, now sekisho.Time) error {
	s.ruled = map[ruledKey]*sekisho.Ruled{}
	s.sessions, s.shapes = map[uint64]*replayedSession{}, map[uint64]*sekisho.Shape{}
	s.memos, s.changes = map[string]*[2]act.Memo{}, map[changeKey]*change{}
	s.total.roles = map[string]bool{}
	end := now
	if s.until != 0 {
		end = min(end, s.until)
	}
	var begin sekisho.Time
	defer bar.done()
	for e, err := range ledger.Read(disk.OS{}, dir, 1) {
		if err != nil && !errors.Is(err, sekisho.ErrUnknownKind) {
			return err
		}
		if begin == 0 {
			begin = e.Time
		}
		if s.until != 0 && e.Time >= s.until {
			break
		}
		if ctx.Err() != nil {
			return fmt.Errorf("replaying the ledger: stopped after entry %v: %w", e.ID, ctx.Err())
		}
		bar.set(int64(e.Time-begin), int64(end-begin))
		if s.terminals != nil && e.Body != nil {
			s.terminals.Apply(&e)
		}
		s.apply(&e)
	}
	for _, session := range s.sessions {
		session.settle(s, 0)
	}
	return nil
}

func (s *simulation) apply(e *sekisho.Entry) {
	inside := e.Time >= s.since
	switch b := e.Body.(type) {
	case *sekisho.SessionOpened:
		s.sessions[e.ID.Seq] = &replayedSession{opened: b}
	case *sekisho.SessionClosed:
		if session := s.sessions[b.Session]; session != nil {
			session.settle(s, 0)
			delete(s.sessions, b.Session)
		}
	case *sekisho.AccessClosed:
		if session := s.sessions[b.Session]; session != nil {
			for _, st := range session.open {
				st.more = st.more && st.number != b.Number
			}
		}
	case *sekisho.Shape:
		s.shapes[e.ID.Seq] = b
	case *sekisho.Ruled:
		if session := s.sessions[b.Session]; session != nil {
			session.ruled = b
			s.ruled[ruledKey{session.opened.Principal, b.Statement, b.Purpose}] = b
		}
	case *sekisho.Refused:
		session := s.sessions[b.Session]
		if !inside || session == nil || !session.refused(s, e.Time, b) {
			if inside {
				s.total.refused++
			}
		}
	case *sekisho.Access:
		session, shape := s.sessions[b.Session], s.shapes[b.Shape]
		switch {
		case session == nil || shape == nil || !inside:
		case session.opened.Door != sekisho.DoorGate:
			s.total.elsewhere++
		default:
			session.access(s, e.Time, b, shape)
		}
	}
}

// refused takes in a statement that the policy refused or cut; false: it was
// not the policy.
func (rs *replayedSession) refused(s *simulation, at sekisho.Time, b *sekisho.Refused) bool {
	by := rs.ruled
	if by == nil || by.Number != b.Number || !by.Enforced {
		return false
	}
	i := slices.IndexFunc(rs.open, func(st *replayed) bool { return st.number == b.Number })
	if i < 0 {
		rs.settle(s, b.Number)
		rs.open = append(rs.open, &replayed{number: b.Number, at: at, verb: by.Verb, tables: by.Tables, purpose: by.Purpose, statement: by.Statement})
		i = len(rs.open) - 1
	}
	st := rs.open[i]
	st.unknown, st.more, st.categories, st.before = true, false, st.categories|by.Categories, by.Decision
	if b.Reason == "policy_mask" {
		st.before = act.Refuse.String()
	}
	return true
}

// access adds one chunk to its statement. Statements of a session end in their
// order, but a later one may begin before an earlier one has ended.
func (rs *replayedSession) access(s *simulation, at sekisho.Time, a *sekisho.Access, shape *sekisho.Shape) {
	i := slices.IndexFunc(rs.open, func(st *replayed) bool { return st.number == a.Number })
	if i < 0 {
		rs.settle(s, a.Number)
		rs.open = append(rs.open, &replayed{number: a.Number, at: at, verb: shape.Verb, purpose: a.Purpose})
		i = len(rs.open) - 1
	}
	st := rs.open[i]
	st.statement = shape.Statement
	st.more = a.More
	st.rows += a.Rows
	st.unknown = st.unknown || a.Class == sekisho.AnyRow
	st.categories |= shape.Categories
	if shape.Verb != st.verb {
		st.verb = sekisho.Other
	}
	for _, t := range shape.Tables {
		if at, found := slices.BinarySearch(st.tables, t); !found {
			st.tables = slices.Insert(slices.Clip(st.tables), at, t)
		}
	}
}

// settle judges the statements that have ended: those before number next with
// no chunk to come, or all if next is 0.
func (rs *replayedSession) settle(s *simulation, next uint64) {
	rs.open = slices.DeleteFunc(rs.open, func(st *replayed) bool {
		if next != 0 && (st.more || st.number >= next) {
			return false
		}
		s.judge(rs.opened, st)
		return true
	})
}

func (s *simulation) judge(by *sekisho.SessionOpened, st *replayed) {
	beforeMasks := ""
	if told := s.ruled[ruledKey{by.Principal, st.statement, st.purpose}]; told != nil && st.statement != 0 {
		// What the policy was asked then. An access that could be anybody's has all
		// categories of its tables instead, an exact one those that went out.
		st.categories = told.Categories
		if mask, _, _ := strings.Cut(told.Decision, ", "); told.Enforced && strings.HasPrefix(mask, "mask ") {
			beforeMasks = mask
		}
	}
	r := act.Request{
		Role: by.Role, Endpoint: by.Endpoint, Verified: by.Verified, Address: by.Address,
		Post: s.posts[by.Role], Company: s.companies[by.Role], Place: s.placeOf(by.Address),
		Verb: st.verb, Tables: st.tables, Categories: st.categories, Time: st.at,
	}
	if !st.unknown {
		r.Rows = max(st.rows, 1)
	}
	if st.purpose != 0 {
		known := false
		if s.vault != nil {
			r.Purpose, known = s.vault.Space("purpose").Key(st.purpose)
		}
		if !known {
			s.total.purposes++
		}
	}
	if s.vault != nil {
		r.Principal, _ = s.vault.Space("staff").Key(by.Principal)
	}
	if s.gate != nil {
		for _, p := range s.gate.Principals {
			if p.Name == r.Principal {
				r.Post, r.Company = cmp.Or(p.Post, r.Post), cmp.Or(p.Company, r.Company)
			}
		}
	}
	s.offSite(&r, by, st.at)
	t := &s.total
	t.Statements++
	t.Rows += st.rows
	if t.Statements == 1 || st.at < t.first {
		t.first = st.at
	}
	t.last = max(t.last, st.at)
	t.roles[by.Role] = true
	if r.Place == act.PlaceUnknown {
		t.unplaced++
	}

	tables := strings.Join(st.tables, ", ")
	memos := s.memos[tables]
	if memos == nil {
		memos = new([2]act.Memo)
		s.memos[tables] = memos
	}
	decision := memos[0].Decide(s.policy, &r)
	if len(decision.Budgets) > 0 {
		t.budgets++
	}
	after, keptAfter := due(decision, st)
	before, keptBefore := cmp.Or(st.before, beforeMasks, act.Allow.String()), uint64(0)
	if s.against != nil {
		var d act.Decision
		d, keptBefore = due(memos[1].Decide(s.against, &r), st)
		before = d.String()
	}
	if after.String() == before {
		return
	}
	t.Changed++
	k := changeKey{by.Principal, by.Role, by.Endpoint, tables, st.verb.String(), before, after.String(), strings.Join(decision.Policies, " ")}
	c := s.changes[k]
	if c == nil {
		c = &change{
			Principal: s.nameOf(by.Principal), Role: by.Role, Endpoint: by.Endpoint, Tables: append([]string{}, st.tables...), Verb: k.verb,
			Before: k.before, After: k.after, Policies: append([]string{}, decision.Policies...), effect: after.Effect,
		}
		s.changes[k] = c
	}
	c.add(&change{Statements: 1, Rows: st.rows, KeptBefore: keptBefore, KeptAfter: keptAfter})
}

// due is what a decision would have done to a statement, and how many of its
// rows would not have gone out at once. A limit that it stays within does
// nothing.
func due(d *act.Decision, st *replayed) (act.Decision, uint64) {
	if d.Effect == act.Refuse {
		return act.Decision{}, st.rows
	}
	out, kept := act.Decision{Effect: act.Allow, Masks: d.Masks}, uint64(0)
	if out.Masks != (act.Masks{}) {
		out.Effect = act.Mask
	}
	beyond := func(limit uint64) bool {
		if st.rows > limit {
			kept = max(kept, st.rows-limit)
		}
		return st.unknown || st.rows > limit
	}
	if d.RowCap != 0 && beyond(d.RowCap) {
		out.Effect, out.RowCap = act.Cap, d.RowCap
	}
	if d.Second && (beyond(d.AskAbove) || d.AskAbove == 0) {
		out.Effect, out.Second, out.AskAbove = act.Ask, true, d.AskAbove
	}
	return out, kept
}

// offSite says what the register of terminals, folded from the same ledger, let
// be done outside the office then.
func (s *simulation) offSite(r *act.Request, by *sekisho.SessionOpened, at sekisho.Time) {
	if s.terminals == nil || !by.Verified {
		return
	}
	r.OffSiteReady = s.terminals.OffsiteReady(by.Endpoint, at) == ""
	for _, p := range s.terminals.Permits() {
		if p.State(at) == "approved" && p.Body.From <= at && p.Body.Person == by.Principal && p.Body.Endpoint == by.Endpoint {
			r.Permits |= p.Body.Categories
		}
	}
}

func (s *simulation) placeOf(a netip.Addr) act.Place {
	if len(s.office) == 0 && s.gate != nil {
		return s.gate.Policy.PlaceOf(a)
	}
	return act.PlaceOf(a, s.office, nil)
}

func (s *simulation) nameOf(staff uint32) string {
	if s.vault != nil {
		if name, ok := s.vault.Space("staff").Key(staff); ok && (s.names || s.gate != nil && inConfig(s.gate, name)) {
			return name
		}
	}
	s.total.unnamed = true
	return fmt.Sprintf("principal %d", staff)
}

// inConfig: the config says the name in plain, so that nobody learns it here.
func inConfig(g *gate.Config, name string) bool {
	return slices.ContainsFunc(g.Principals, func(p gate.Principal) bool { return p.Name == name })
}

// compareChanges puts the strictest first, and the most frequent.
func compareChanges(a, b *change) int {
	return cmp.Or(
		cmp.Compare(a.effect, b.effect), cmp.Compare(b.Statements, a.Statements),
		cmp.Compare(a.Role, b.Role), cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Endpoint, b.Endpoint),
		slices.Compare(a.Tables, b.Tables), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Before+a.After, b.Before+b.After), slices.Compare(a.Policies, b.Policies))
}

// add takes in what c counts.
func (sum *change) add(c *change) {
	sum.Statements += c.Statements
	sum.Rows += c.Rows
	sum.KeptBefore += c.KeptBefore
	sum.KeptAfter += c.KeptAfter
}

// simulationReport is what a person reads of a simulation.
type simulationReport struct {
	simulated
	Summary []*change `json:"summary"` // by role, verb and what changes
	Changes []*change `json:"changes"`
	Notes   []string  `json:"notes"` // what the result does not know
}

func (s *simulation) report() *simulationReport {
	t := &s.total
	r := &simulationReport{Summary: []*change{}, Changes: []*change{}, Notes: []string{}}
	if t.Statements > 0 {
		t.From, t.To = t.first.Go().In(s.zone).Format(time.RFC3339), t.last.Go().In(s.zone).Format(time.RFC3339)
	}
	r.simulated = *t
	kinds := map[[4]string]*change{}
	for _, c := range s.changes {
		r.Changes = append(r.Changes, c)
		k := [4]string{c.Role, c.Verb, c.Before, c.After}
		if kinds[k] == nil {
			kinds[k] = &change{Role: c.Role, Verb: c.Verb, Before: c.Before, After: c.After, effect: c.effect}
			r.Summary = append(r.Summary, kinds[k])
		}
		kinds[k].add(c)
	}
	slices.SortFunc(r.Summary, compareChanges)
	slices.SortFunc(r.Changes, compareChanges)
	note := func(n uint64, text string) {
		if n > 0 {
			r.Notes = append(r.Notes, text+": "+thousands(n))
		}
	}
	note(t.purposes, "statements with a purpose that only the vault can read, judged as if none was stated")
	note(t.unplaced, "statements from an unknown place (tell which addresses are the office's with --office)")
	var postless []string
	for role := range t.roles {
		if s.posts[role] == "" && s.gate == nil {
			postless = append(postless, role)
		}
	}
	if slices.Sort(postless); len(postless) > 0 {
		r.Notes = append(r.Notes, "the posts of these roles' principals (give them with --post, as role=post): "+strings.Join(postless, ", "))
	}
	if t.unnamed {
		r.Notes = append(r.Notes, unnamedNote)
	}
	note(t.budgets, "statements under a budget of customers, which is not simulated")
	note(t.refused, "statements refused then, of which the ledger does not say what they would have read")
	note(t.elsewhere, "accesses at the console and the command line, which are not the policy's")
	return r
}

// unnamedNote is said where people are numbers.
const unnamedNote = "the names of principals that are numbers: --vault names them"

func (r *simulationReport) print(w io.Writer, top int) {
	fmt.Fprintf(w, "judged   statements %s, rows %s", thousands(r.Statements), thousands(r.Rows))
	if r.Statements > 0 {
		fmt.Fprintf(w, ", %s to %s", r.From, r.To)
	}
	fmt.Fprintf(w, "\nchanged  statements %s\n", thousands(r.Changed))
	for _, c := range r.Summary {
		fmt.Fprintf(w, "  %s, %s: %s\n", c.Role, c.Verb, c.counts())
	}
	for i, c := range r.Changes {
		if i == top {
			fmt.Fprintf(w, "\nand %s more: --top shows them, or --json\n", thousands(uint64(len(r.Changes)-top)))
			break
		}
		by := strings.Join(c.Policies, ", ")
		if by == "" {
			by = "no rule"
		}
		fmt.Fprintf(w, "\n%s, %s at %s: %s %s\n  %s\n  by %s\n", c.Principal, c.Role, c.Endpoint, c.Verb, strings.Join(c.Tables, ", "), c.counts(), by)
	}
	if len(r.Notes) > 0 {
		fmt.Fprintln(w, "\nnot known here")
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "  - %s\n", n)
	}
}

func (c *change) counts() string {
	s := fmt.Sprintf("%s → %s: statements %s, rows %s", c.Before, c.After, thousands(c.Statements), thousands(c.Rows))
	if c.KeptAfter > 0 {
		s += ", kept back " + thousands(c.KeptAfter)
	}
	if c.KeptBefore > c.KeptAfter {
		s += ", set free " + thousands(c.KeptBefore-c.KeptAfter)
	}
	return s
}
