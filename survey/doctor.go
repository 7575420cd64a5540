package survey

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"sekisho/catalog"
	"sekisho/sheet"
)

// Level is how a check came out.
type Level string

const (
	OK      Level = "ok"
	Warning Level = "warning" // works, and should be better
	Failure Level = "failure" // does not work, or does not protect
	Unknown Level = "unknown" // could not be found out
)

// Finding is one result of one check.
type Finding struct {
	Check string
	Level Level
	args  []any
}

// Text says what was found, and Hint what to do about it; "" if there is
// nothing to do.
func (f Finding) Text(w *Words) string {
	args := make([]any, len(f.args))
	for i, a := range f.args {
		switch v := a.(type) {
		case string:
			a = oneLine(v)
		case []string:
			a = oneLine(sheet.Few(v))
		case error:
			a = oneLine(v.Error())
		case time.Duration:
			a = v.Round(10 * time.Microsecond).String()
		}
		args[i] = a
	}
	return w.Say("check."+f.Check+"."+string(f.Level), args...)
}

// Hint of a finding that is not ok.
func (f Finding) Hint(w *Words) string {
	if f.Level == OK || !w.has("hint."+f.Check) {
		return ""
	}
	return w.Say("hint." + f.Check)
}

// Patient is a sekisho as its config describes it.
type Patient struct {
	// Broken is why the config cannot be used; nothing else is then looked at.
	Broken error
	// File is where the config stands.
	File string
	// Data is the directory of ledger, vault and key; Users that of the console's
	// users.
	Data, Users string
	// Running: a sekisho runs on Data now.
	Running bool

	Catalog  catalog.Config
	Upstream Upstream
	Reader   Login
	Roles    map[string]Login
	// AnyRow are the roles that may run what could be about anybody, and whether a
	// second person is asked.
	AnyRow map[string]bool

	Gate    Door
	Console Door

	// Policy says whether the gate would take the policy as it lies there: with its
	// tests, as at a start; nil: the gate has none.
	Policy func() error
	// Silent are roles of which no rule of the policy permits anything, and whether
	// something of each is enforced now.
	Silent map[string]bool

	// Leavers asks the running sekisho for who has left and is let in still; nil: it
	// does not run, or has no directory of people.
	Leavers func(context.Context) ([]string, error)

	// Peers are from where other gates connect to the same database; PeersLocal:
	// through a socket on its machine.
	Peers      []netip.Prefix
	PeersLocal bool

	// Shares asks the gate that grants shares of budgets whether it would answer, or
	// looks whether this one could; nil: budgets are shared with nobody. With is who
	// is on the other side.
	Shares func(context.Context) error
	With   string
	// Lending is how the running sekisho says that sharing goes; nil: it does not
	// run, or knows nothing of it.
	Lending *Lending

	// Timeout of each statement; default 10s.
	Timeout time.Duration
}

// Door is where something listens, with its certificate.
type Door struct {
	Listen, Cert, Key string
	ClientCA          string // of the gate
	Require           bool   // of the gate: TLS only
}

// doctor collects findings.
type doctor struct {
	p       Patient
	found   []Finding
	catalog *catalog.Catalog // nil until it was compared with the database
}

func (d *doctor) note(level Level, check string, args ...any) {
	d.found = append(d.found, Finding{Check: check, Level: level, args: args})
}

// Doctor looks at everything that has to be right: the config, the machine,
// the database, and whether there are ways round the gate. It changes nothing
// but a file of its own in the data directory, which it removes again.
func Doctor(ctx context.Context, p Patient) []Finding {
	d := &doctor{p: p}
	if p.Timeout <= 0 {
		d.p.Timeout = 10 * time.Second
	}
	if p.Broken != nil {
		d.note(Failure, "config", p.File, p.Broken)
		return d.found
	}
	d.note(OK, "config", p.File)
	d.machine()
	d.people(ctx)
	d.shares(ctx)
	d.server(ctx)
	return d.found
}

// people looks at who is let in: roles to which the policy gives nothing, and
// people who have left.
func (d *doctor) people(ctx context.Context) {
	if d.p.Policy != nil {
		if err := d.p.Policy(); err != nil {
			d.note(Failure, "policy", err)
		} else {
			d.note(OK, "policy")
		}
	}
	var cut, later []string
	for role, enforced := range d.p.Silent {
		if enforced {
			cut = append(cut, role)
		} else {
			later = append(later, role)
		}
	}
	slices.Sort(cut)
	slices.Sort(later)
	if len(cut) > 0 {
		d.note(Failure, "silent", cut)
	}
	if len(later) > 0 {
		d.note(Warning, "silent", later)
	}
	if d.p.Leavers == nil {
		return
	}
	switch list, err := d.p.Leavers(ctx); {
	case err != nil:
		d.note(Unknown, "leavers", err)
	case len(list) > 0:
		d.note(Warning, "leavers", list)
	default:
		d.note(OK, "leavers")
	}
}

// Worst is the gravest level among findings: a failure, else a warning, else
// something unknown.
func Worst(list []Finding) Level {
	worst := OK
	rank := map[Level]int{OK: 0, Unknown: 1, Warning: 2, Failure: 3}
	for _, f := range list {
		if rank[f.Level] > rank[worst] {
			worst = f.Level
		}
	}
	return worst
}
