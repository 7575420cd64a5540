package house

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"sekisho"
	"sekisho/budget"
	"sekisho/console"
	"sekisho/contain"
	"sekisho/directory"
	"sekisho/disk"
	"sekisho/duty"
	"sekisho/gate"
	"sekisho/incident"
	"sekisho/law"
	"sekisho/lease"
	"sekisho/ledger"
	"sekisho/pack"
	"sekisho/permit"
	"sekisho/sensor"
	"sekisho/tell"
	"sekisho/trace"
	"sekisho/vault"
	"sekisho/view"
	"sekisho/watch"
)

// Software is the version that ledgers name.
const Software = "sekisho 0.1"

// Options are what the config does not say.
type Options struct {
	Drill string           // the scenario, if this house is one
	Now   func() time.Time // nil is time.Now; only drills and tests replace it
	Log   *slog.Logger
	// Quiet: the detectors do not judge. For a ledger that is opened without its
	// config, which says what they would have to judge by.
	Quiet bool
}

// A House is open: its ledger takes entries, its views stand at the ledger's
// end and follow it. The doors are shut until they are opened one by one.
type House struct {
	counted atomic.Pointer[budget.Book] // Budgets, for the ledger's clock
	Config  Config
	Zone    *time.Location
	Log     *slog.Logger
	Ledger  *ledger.Ledger
	Vault   *vault.Vault
	Books   // the views, at one sequence number
	Views   *view.Set
	Manual  *incident.Manual // the risk management manual in force
	Rules   *law.Book        // the duties to report
	Gate    *gate.Gate       // nil until OpenGate
	Contain *contain.Keeper  // nil until OpenGate
	Console *console.Console // nil until NewConsole
	Office  *tell.Office     // what people outside are told
	Lures   *tell.Lures      // drills by mail
	Desk    *tell.Desk       // nil until NewConsole, and without a contact point
	School  *duty.School     // training
	Hands   *contain.Door    // nil until OpenHands

	// Of budgets that several gates share; nil until OpenLeases, and if it is not so.
	Lender   *lease.Door
	Borrower *lease.Borrower
	Former   *lease.Door // of one that grants none any more, until its last has run out

	// Cases, if set before NewConsole, are shown on the page about drills.
	Cases func() []*console.Compared

	approvers atomic.Pointer[console.Console] // Console, as the gate asks it
	now       func() time.Time
	drill     string
	company   law.Company
	past      past
	outside   lookout
	asked     asked          // of DNS, by events
	moreHands []contain.Hand // of containment, beside the gate
	mail      mail
	importing sync.Mutex // one log is taken over at a time
	comparing sync.Mutex // one source is compared with the directory at a time
	erasing   sync.Mutex
	climbing  sync.Mutex // one look at the ladders at a time
	tending   sync.Mutex // one look at the duties at a time
	packing   sync.Mutex // one auditor's pack at a time
	handling  handlingInForce
	staffKey  [32]byte // from which the secret of sign-in links is made: the vault's

	importToken string // of another learning system
	stop        context.CancelFunc
	running     sync.WaitGroup
}

// Books are the views that answer questions.
type Books struct {
	Trace    *trace.Trace
	Seen     *sensor.Seen
	Reported *sensor.Reported
	Bindings *sensor.Bindings
	Live     *console.Live
	Steps    *console.Steps
	Budgets  *budget.Book
	Permits  *permit.Book
	Decoys   *watch.Decoys
	Told     *tell.Book
	// LuresSeen is what became of drills by mail.
	LuresSeen *tell.LureBook
	Census    *contain.Census
	// Incidents is no view but a reaction: it folds and answers.
	Incidents *incident.Book
	Enquiries *incident.Enquiries
	Directory *directory.Book
	Duty      *duty.Book
	Erasures  *directory.Erasures
	Training  *duty.Training
	Links     *duty.Links
	Packs     *pack.Book
}

// paths of a data directory.
func ledgerDir(data string) string { return filepath.Join(data, "ledger") }
func vaultDir(data string) string  { return filepath.Join(data, "vault") }
func keyFile(data string) string   { return filepath.Join(data, "vault.key") }

// Open opens the ledger and the vault, folds the views, and checks the two
// against each other. base is the directory that relative paths count from.
func Open(ctx context.Context, c Config, base string, o Options) (h *House, err error) {
	if err := c.check(base); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h = &House{Config: c, Log: o.Log, now: o.Now, drill: o.Drill}
	if h.Manual, err = incident.Read(c.CSIRT); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	if h.Rules, h.company, err = h.Config.Law.read(); err != nil {
		return nil, err
	}
	if h.handling.proposed, err = h.Config.Handling.Read(); err != nil {
		return nil, err
	}
	opened := h
	if h.Zone, err = time.LoadLocation(c.TimeZone); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			opened.Close()
		}
	}()
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, fmt.Errorf("making the data directory: %w", err)
	}
	key, err := vault.LoadOrMakeKey(keyFile(c.Data))
	if err != nil {
		return nil, err
	}
	if h.Vault, err = vault.Open(vault.Config{Dir: vaultDir(c.Data), FS: disk.OS{}, Key: key, Log: o.Log}); err != nil {
		return nil, err
	}
	wall := o.Now
	if wall == nil {
		wall = time.Now
	}
	h.Ledger, err = ledger.Open(ledger.Config{
		Dir: ledgerDir(c.Data), FS: disk.OS{}, Gate: c.Number, Name: c.Name, Drill: o.Drill, Software: Software,
		Now: func() time.Time {
			now := wall()
			if b := h.counted.Load(); b != nil {
				if latest := b.Latest(); latest > sekisho.At(now) { // the clock was set back
					return latest.Go()
				}
			}
			return now
		}, Before: h.Vault.Flush, BeforeWaits: h.Vault.Unsettled, Log: o.Log,
	})
	if err != nil {
		return nil, err
	}
	if err := h.fold(ctx, o.Quiet); err != nil {
		return nil, err
	}
	if err := h.Vault.Reconcile(h.past.highest); err != nil {
		return nil, err
	}
	if !o.Quiet {
		if err := h.erase(ctx); err != nil {
			return nil, err
		}
	}
	if err := h.openOffice(key); err != nil {
		return nil, err
	}
	if err := h.openLures(key); err != nil {
		return nil, err
	}
	h.staffKey = key
	if err := h.openSchool(); err != nil {
		return nil, err
	}
	return h, nil
}

// past is a fold of what the house itself must know to begin: how far the
// ledger knows each vault space, when the rosters were last read, and what was
// told of ways round the gate.
type past struct {
	highest  map[string]uint32
	roster   sekisho.Time
	told     told
	imported imported
}

func (*past) Name() string { return "house-past" }

func (p *past) Apply(e *sekisho.Entry) {
	p.imported.apply(e)
	switch b := e.Body.(type) {
	case *sekisho.Assigned:
		p.highest[b.Space] = max(p.highest[b.Space], b.First+b.Count-1)
	case *sekisho.RosterRead:
		p.roster = e.Time
	case *sekisho.Alert:
		p.told.apply(b)
	}
}

// fold brings the views to the end of the ledger and keeps them there.
func (h *House) fold(ctx context.Context, quiet bool) error {
	bindings, err := sensor.NewBindings(h.Config.Sensors.Bindings)
	if err != nil {
		return fmt.Errorf("config: sensors: %w", err)
	}
	h.Books = Books{Trace: trace.New(), Seen: sensor.NewSeen(0), Reported: sensor.NewReported(), Bindings: bindings, Live: console.NewLive(), Budgets: budget.New(h.Config.Budgets, h.nameOf), Permits: permit.New(), Decoys: watch.NewDecoys(), Census: contain.NewCensus(), Incidents: incident.New()}
	h.counted.Store(h.Budgets)
	h.Enquiries = incident.NewEnquiries()
	h.Told = tell.NewBook()
	h.Directory, h.Erasures = directory.New(), directory.NewErasures()
	h.Training, h.Links = duty.NewTraining(), duty.NewLinks()
	h.Steps = &console.Steps{}
	if err := h.borrow(); err != nil {
		return err
	}
	h.limit()
	hostile, err := sekisho.ParsePrefixes(h.Config.Hostile)
	if err != nil {
		return err
	}
	judges := h.Config.Watch
	judges.Egress.Hostile = append(judges.Egress.Hostile, hostile...)
	reactions := []view.Reaction{watch.New(judges).Reaction(), h.Incidents.Reaction()}
	views := []view.View{&h.past, h.Trace, h.Seen, h.Reported, h.Bindings, h.Live, h.Budgets, h.Permits, h.Decoys, h.Census}
	views = append(views, h.Enquiries)
	h.LuresSeen = tell.NewLureBook()
	views = append(views, h.Told, h.LuresSeen)
	views = append(views, h.Directory)
	if err := h.openDuties(); err != nil {
		return err
	}
	views = append(views, h.Duty, h.Erasures)
	views = append(views, h.Training, h.Links)
	h.Packs = pack.NewBook()
	views = append(views, h.Packs)
	views = append(views, h.Steps)
	if quiet {
		reactions, views = nil, append(views, h.Incidents) // folded all the same
	}
	h.past.highest, h.past.told = map[string]uint32{}, newTold()
	h.past.imported = newImported()
	h.Views = view.New(view.Config{
		Follow: h.Ledger.Follow, Hurry: h.Ledger.Hurry, Last: h.Ledger.Last, Append: h.append, Log: h.Log,
		Views: views, Reactions: reactions,
	})
	following, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.running.Go(func() {
		if err := h.Views.Run(following); err != nil && following.Err() == nil {
			h.Log.Error("the views stopped following the ledger", "error", err)
		}
	})
	if err := h.Views.WaitFor(ctx, h.Ledger.Last()); err != nil {
		return fmt.Errorf("folding the ledger: %w", err)
	}
	return nil
}

// nameOf is the key of an ordinal of the vault.
func (h *House) nameOf(space string, ordinal uint32) string {
	name, _ := h.Vault.Space(space).Key(ordinal)
	return name
}

func (h *House) append(ctx context.Context, b ...sekisho.Body) (sekisho.ID, error) {
	return h.Ledger.Append(ctx, b...)
}

// OpenGate reads the database's catalog and makes the gate.
func (h *House) OpenGate(ctx context.Context) (err error) {
	conf := h.Config.Gate
	conf.Now, conf.Permit, conf.Counts, conf.Policy.Zone = h.now, h.permit, h.counts, h.Zone
	conf.Label = h.label
	if h.Config.Handling.OffSite {
		conf.Policy.Narrow, conf.Policy.OffSite = h.narrow, h.offSite
	}
	conf.Marks = h.marks
	if err := h.OpenLeases(); err != nil {
		return err
	}
	if h.Borrower != nil {
		conf.Lease = h.Borrower.Ask
	}
	if h.Gate, err = gate.New(ctx, conf, h.Config.Catalog, h.Ledger, h.Vault, h.Log.With("door", "gate")); err != nil {
		return err
	}
	if len(h.Config.Budgets) > 0 || h.Config.Gate.Policy.Dir != "" {
		h.Gate.Budget(h.Budgets)
	}
	return h.OpenContain(ctx)
}

// Settle waits until the views have seen everything that is in the ledger now.
func (h *House) Settle(ctx context.Context) error {
	return h.Views.WaitFor(ctx, h.Ledger.Last())
}

// Close ends the doors, then the views, then the ledger. What was accepted is
// on disk when it returns.
func (h *House) Close() error {
	var errs []error
	if h.Gate != nil {
		h.Gate.Close()
	}
	if h.stop != nil {
		h.stop()
		h.running.Wait()
	}
	if h.Ledger != nil {
		errs = append(errs, h.Ledger.Close())
	}
	if h.Vault != nil {
		errs = append(errs, h.Vault.Close())
	}
	return errors.Join(errs...)
}

// Listen opens the address, or the next free port above it if it is taken.
// moved says that it is another one.
func Listen(addr string) (l net.Listener, moved bool, err error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, false, fmt.Errorf("listening on %q: give host:port", addr)
	}
	first, err := net.LookupPort("tcp", port)
	if err != nil {
		return nil, false, fmt.Errorf("listening on %q: %w", addr, err)
	}
	for n := first; n < first+100 && n < 65536; n++ {
		if l, err = net.Listen("tcp", net.JoinHostPort(host, fmt.Sprint(n))); err == nil {
			return l, n != first, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, false, fmt.Errorf("listening on %s: %w", addr, err)
}
