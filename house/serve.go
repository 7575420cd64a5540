package house

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"sekisho"
	"sekisho/console"
	"sekisho/disk"
	"sekisho/gate"
	"sekisho/permit"
	"sekisho/sensor"
)

// NewConsole makes the web door. It is not served yet.
func (h *House) NewConsole() (c *console.Console, err error) {
	mode := ""
	for _, r := range h.Config.Gate.Roles {
		switch {
		case mode == "":
			mode = string(r.Mode)
		case mode != string(r.Mode):
			mode = "mixed"
		}
	}
	var turned func() []permit.Turned
	var estimate func(context.Context, permit.Statement) (uint64, error)
	if h.Gate != nil {
		turned, estimate = h.Gate.Turned, h.Gate.Estimate
	}
	if h.Desk, err = h.newDesk(); err != nil {
		return nil, err
	}
	metrics := ""
	if path := h.Config.Console.MetricsTokenFile; path != "" {
		if metrics, err = readToken(path); err != nil {
			return nil, fmt.Errorf("config: console: metrics_token_file: %w", err)
		}
	}
	h.Console, err = console.New(console.Config{
		Steps: h.Steps, Cases: h.Cases,
		Directory: h.Directory, Logins: h.logins(), ImportDirectory: h.ImportDirectory, PullDirectory: h.PullDirectory, Erasures: h.Erasures, Erase: h.erase,
		Enquiries: h.Enquiries, Desk: h.Desk,
		Units: h.unitsAt, EndpointAt: h.Bindings.Endpoint,
		School: h.School, ImportToken: h.importToken,
		Packs: h.Packs, MakePack: h.MakePack, OpenPack: h.OpenPack,
		Permits: h.Permits, ExportDecoys: h.Config.Exports.Decoys, MarksExports: h.Config.Exports.Domain != "", Turned: turned, Estimate: estimate,
		Dir: h.Config.Console.Users, FS: disk.OS{}, MetricsToken: metrics, Ledger: h.Ledger, Vault: h.Vault, Views: h.Views, Live: h.Live, Budgets: h.Budgets, Leases: h.leases, Trace: h.Trace,
		ImportLog: h.ImportLog, Office: h.Office, Lures: h.Lures, StaffDoor: h.staffAddress(), Contain: h.Contain,
		Duty: h.Duty, Documents: h.Config.Documents, CheckPages: h.CheckPages, Handling: h.handlingState,
		Decoys: h.Decoys, Tables: h.tablesOf(), CountRows: h.countRows,
		Incidents: h.Incidents, Manual: h.Manual, Rules: h.Rules, Company: h.company, Residence: h.Config.Law.Residence, MatchFile: h.MatchFile, Outside: h.outside.state, Observed: h.observedDay,
		Name: h.Config.Name, Drill: h.drill, Software: Software, Mode: mode, Zone: h.Zone, TLS: h.Config.Console.Cert != "",
		Now: h.now, Log: h.Log.With("door", "console"),
	})
	h.approvers.Store(h.Console)
	return h.Console, err
}

// ServeConsole serves the pages on l until ctx ends.
func (h *House) ServeConsole(ctx context.Context, c *console.Console, l net.Listener) error {
	srv := c.Server()
	stop := context.AfterFunc(ctx, func() {
		c.Close(context.Background())
		srv.Close()
	})
	defer stop()
	var err error
	if cert := h.Config.Console.Cert; cert != "" {
		err = srv.ServeTLS(l, cert, h.Config.Console.Key)
	} else {
		err = srv.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serving the console: %w", err)
}

// ReadRosters reads the list of everybody of each subject that has one.
func (h *House) ReadRosters(ctx context.Context, progress func(subject string, done int)) error {
	for _, s := range h.Gate.Subjects() {
		read, err := h.Gate.ReadRoster(ctx, s, func(n int) {
			if progress != nil {
				progress(s, n)
			}
		})
		switch {
		case errors.Is(err, gate.ErrNoRoster):
		case err != nil:
			return fmt.Errorf("reading the roster of %s: %w", s, err)
		default:
			h.Log.Info("read the roster", "subject", s, "people", read.Count)
		}
	}
	return nil
}

// KeepRosters reads them now if the last reading is older than the config
// says, and then again and again until ctx ends.
func (h *House) KeepRosters(ctx context.Context) {
	var wait time.Duration
	var last sekisho.Time
	h.Views.Read(func() { last = h.past.roster })
	if last != 0 {
		wait = max(0, h.Config.Roster-h.now().Sub(last.Go()))
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = h.Config.Roster
		if err := h.ReadRosters(ctx, nil); err != nil && ctx.Err() == nil {
			h.Log.Error("reading the rosters", "error", err)
			wait = min(wait, time.Minute)
		}
	}
}

// FollowZeek follows the conn.log files of the config until ctx ends.
func (h *House) FollowZeek(ctx context.Context) {
	inside, _ := sekisho.ParsePrefixes(h.Config.Sensors.Inside) // checked when the house was opened
	for i, z := range h.Config.Sensors.Zeek {
		h.running.Go(func() {
			for ctx.Err() == nil {
				opt := sensor.FollowOptions{
					ConnOptions: sensor.ConnOptions{Sensor: z.Name, Inside: inside, Bindings: h.Bindings, Seen: h.Seen},
					Every:       time.Minute, // so that lines that cannot be read are told soon
					State:       filepath.Join(h.Config.Data, fmt.Sprintf("zeek-%d.state", i+1)), Log: h.Log.With("sensor", z.Name),
				}
				err := sensor.Follow(ctx, z.Path, opt, h.Take)
				if err != nil && ctx.Err() == nil {
					h.Log.Error("following a conn.log", "sensor", z.Name, "error", err)
					select {
					case <-ctx.Done():
					case <-time.After(10 * time.Second):
					}
				}
			}
		})
	}
}

// Take makes a sensor's findings durable.
func (h *House) Take(bodies []sekisho.Body) error {
	_, err := h.Ledger.Append(context.Background(), bodies...)
	return err
}

// KeepRevised brings the incidents up to date whenever an alert, a file or an
// access moved them, until ctx ends.
func (h *House) KeepRevised(ctx context.Context) {
	seen := uint64(0)
	for {
		if err := h.Views.WaitFor(ctx, seen+1); err != nil {
			return
		}
		h.Views.Read(func() { seen = h.Trace.Through() })
		began := time.Now()
		if err := h.Revise(ctx); err != nil && ctx.Err() == nil {
			h.Log.Error("revising the incidents", "error", err)
		}
		// What comes within a second waits for the next round, and revising many
		// incidents never takes more than a twentieth of the time.
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(time.Second, 20*time.Since(began))):
		}
	}
}
