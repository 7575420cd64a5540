package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"

	"github.com/spf13/cobra"

	"sekisho/house"
)

func upCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run gate, ledger and console in front of a PostgreSQL database",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, base, err := readConfig(path)
			if err != nil {
				return err
			}
			return up(cmd.Context(), c, base, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&path, "config", "sekisho.yaml", "the config file")
	return cmd
}

// up runs a house until ctx ends.
func up(ctx context.Context, c house.Config, base string, out io.Writer) (err error) {
	d, err := stand(ctx, c, base, slog.LevelInfo)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	fmt.Fprintf(out, "gate     %s\n", d.gate)
	if d.console != "" {
		fmt.Fprintf(out, "console  %s\n", d.console)
		if d.password != "" {
			fmt.Fprintf(out, "sign in  %s / %s   (shown this once; `sekisho user reset` makes another)\n", d.user, d.password)
		}
	}
	if d.desk != "" {
		fmt.Fprintf(out, "desk     %s\n", d.desk)
	}
	if d.scim != "" {
		fmt.Fprintf(out, "scim     %s\n", d.scim)
	}
	if d.staff != "" {
		fmt.Fprintf(out, "staff    %s\n", d.staff)
	}
	return d.wait()
}

// doors are the open doors of a house.
type doors struct {
	house          *house.House
	gate, console  string // addresses
	desk           string // of the contact point
	scim           string // where clients of SCIM push
	staff          string // of the employees' door
	user, password string // of a console administrator made just now
	failed         chan error
	running        sync.WaitGroup
	ctx            context.Context // ends when the doors are to close
	stop           context.CancelFunc
	end            func() error // closes the house behind them
}

// stand opens the house of a config, with its gate and every other door. with
// is done to it before any of them opens.
func stand(ctx context.Context, c house.Config, base string, level slog.Level, with ...func(*house.House)) (d *doors, err error) {
	h, err := house.Open(ctx, c, base, house.Options{Log: logger(level)})
	if err != nil {
		return nil, err
	}
	for _, do := range with {
		do(h)
	}
	d = doorsOf(ctx, h, h.Close)
	if err := d.openHands(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := h.OpenGate(ctx); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openLeases(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	// The gate asks it who may still approve.
	if err := d.openConsole(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openGate(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openMail(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openSCIM(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openEvents(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openDesk(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openLures(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openDocuments(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	if err := d.openStaff(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	h.FollowZeek(d.ctx)
	h.FollowNames(d.ctx)
	d.running.Go(func() { h.KeepRosters(d.ctx) })
	h.KeepDirectory(d.ctx)
	d.running.Go(func() { h.KeepRevised(d.ctx) })
	d.running.Go(func() { h.KeepContained(d.ctx) })
	d.running.Go(func() { h.KeepEscalated(d.ctx) })
	d.running.Go(func() { h.KeepDuties(d.ctx) })
	d.running.Go(func() { h.KeepHandling(d.ctx) })
	d.running.Go(func() { h.KeepPages(d.ctx) })
	d.serve("notices", func() error { return h.SendNotices(d.ctx) })
	d.running.Go(func() { h.KeepOutside(d.ctx) })
	d.running.Go(func() { h.KeepReadiness(d.ctx) })
	return d, nil
}

// doorsOf are a house's doors, all of them shut. end closes the house.
func doorsOf(ctx context.Context, h *house.House, end func() error) *doors {
	d := &doors{house: h, failed: make(chan error, 8), end: end}
	d.ctx, d.stop = context.WithCancel(ctx)
	return d
}

// close closes the doors, waits for whoever stands in them, and then closes
// the house.
func (d *doors) close() error {
	d.stop()
	d.running.Wait()
	return d.end()
}

// serve runs a door until the doors are closed.
func (d *doors) serve(what string, f func() error) {
	d.running.Go(func() {
		if err := f(); err != nil && d.ctx.Err() == nil {
			d.failed <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// openGate lets clients in at a gate that is made.
func (d *doors) openGate() error {
	h := d.house
	l, moved, err := house.Listen(h.Config.Gate.Listen)
	if err != nil {
		return fmt.Errorf("opening the gate: %w", err)
	}
	d.gate = l.Addr().String()
	if moved {
		h.Log.Warn("the gate's port is taken, so it listens on the next free one", "wanted", h.Config.Gate.Listen, "got", d.gate)
	}
	d.serve("gate", func() error { return h.Gate.Serve(d.ctx, l) })
	return nil
}

// openConsole opens the control socket, by which the command line reaches the
// house, and the web door, if the config has one.
func (d *doors) openConsole() error {
	h := d.house
	c, err := h.NewConsole()
	if err != nil {
		return fmt.Errorf("opening the console: %w", err)
	}
	ready := make(chan struct{})
	d.serve("control socket", func() error { return h.ServeControl(d.ctx, func() { close(ready) }) })
	select {
	case <-ready:
	case err := <-d.failed:
		return err
	case <-d.ctx.Done():
		return d.ctx.Err()
	}
	addr := h.Config.Console.Listen
	if addr == "" {
		return nil
	}
	if d.user, d.password, _, err = c.EnsureAdmin(); err != nil {
		return err
	}
	l, moved, err := house.Listen(addr)
	if err != nil {
		return fmt.Errorf("opening the console: %w", err)
	}
	scheme := "http://"
	if h.Config.Console.Cert != "" {
		scheme = "https://"
	}
	d.console = scheme + l.Addr().String()
	if moved {
		h.Log.Warn("the console's port is taken, so it listens on the next free one", "wanted", addr, "got", l.Addr().String())
	}
	d.serve("console", func() error { return h.ServeConsole(d.ctx, c, l) })
	return nil
}

// openDesk opens the contact point, if the config says where.
func (d *doors) openDesk() error {
	h := d.house
	if h.Desk == nil {
		return nil
	}
	l, err := net.Listen("tcp", h.Config.Desk.Listen) // not the next free port: customers know this one
	if err != nil {
		return fmt.Errorf("opening the contact point: %w", err)
	}
	scheme := "http://"
	if h.Config.Desk.Cert != "" {
		scheme = "https://"
	}
	d.desk = scheme + l.Addr().String()
	d.serve("desk", func() error { return h.ServeDesk(d.ctx, l) })
	return nil
}

// openDocuments opens the public pages, if the config has any.
func (d *doors) openDocuments() error {
	h := d.house
	if h.Config.Documents.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", h.Config.Documents.Listen) // not the next free port: the world knows this one
	if err != nil {
		return fmt.Errorf("opening the public pages: %w", err)
	}
	d.serve("documents", func() error { return h.ServeDocuments(d.ctx, l) })
	return nil
}

// openLures opens the pages to which drills by mail lead, and sends the drills,
// if the config has any.
func (d *doors) openLures() error {
	h := d.house
	if len(h.Config.Lures.Domains) == 0 {
		return nil
	}
	if addr := h.Config.Lures.Listen; addr != "" {
		l, err := net.Listen("tcp", addr) // not the next free port: links lead to this one
		if err != nil {
			return fmt.Errorf("opening the pages of drills by mail: %w", err)
		}
		d.serve("lures", func() error { return h.ServeLures(d.ctx, l) })
	}
	d.serve("drills by mail", func() error { return h.SendLures(d.ctx) })
	d.running.Go(func() { h.KeepLures(d.ctx) })
	return nil
}

// openStaff opens the employees' door, if the config says where, and keeps
// training up to date.
func (d *doors) openStaff() error {
	h := d.house
	d.running.Go(func() { h.KeepTrained(d.ctx) })
	door, err := h.NewStaffDoor()
	if door == nil || err != nil {
		return err
	}
	l, err := net.Listen("tcp", h.Config.Staff.Listen) // not the next free port: people know this one
	if err != nil {
		return fmt.Errorf("opening the employees' door: %w", err)
	}
	scheme := "http://"
	if h.Config.Staff.Cert != "" {
		scheme = "https://"
	}
	d.staff = scheme + l.Addr().String()
	d.serve("staff", func() error { return h.ServeStaff(d.ctx, door, l) })
	return nil
}

// openLeases has this gate share its budgets with others, if the config says so.
func (d *doors) openLeases() error {
	h := d.house
	if h.Lender != nil {
		l, err := net.Listen("tcp", h.Config.Leases.Listen) // not the next free port: gates know this one
		if err != nil {
			return fmt.Errorf("opening the door for shares of budgets: %w", err)
		}
		d.serve("leases", func() error { return h.ServeLeases(d.ctx, l) })
	}
	d.running.Go(func() { h.KeepLeases(d.ctx) })
	return nil
}

// openMail receives mail to decoys, if the config says where.
func (d *doors) openMail() error {
	h := d.house
	addr := h.Config.Sensors.Mail.Listen
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr) // not the next free port: nobody would send there
	if err != nil {
		return fmt.Errorf("opening the door for mail: %w", err)
	}
	d.serve("mail", func() error { return h.ReceiveMail(d.ctx, l) })
	return nil
}

// openEvents receives security events, if the config says where.
func (d *doors) openEvents() error {
	h := d.house
	addr := h.Config.Sensors.Events.Listen
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr) // not the next free port: nobody would send there
	if err != nil {
		return fmt.Errorf("opening the door for events: %w", err)
	}
	d.serve("events", func() error { return h.ReceiveEvents(d.ctx, l) })
	return nil
}

// openSCIM takes what is pushed into the directory, if the config says where.
func (d *doors) openSCIM() error {
	h := d.house
	addr := h.Config.Directory.SCIM.Listen
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr) // not the next free port: nobody would push there
	if err != nil {
		return fmt.Errorf("opening the door for SCIM: %w", err)
	}
	scheme := "http://"
	if h.Config.Directory.SCIM.Cert != "" {
		scheme = "https://"
	}
	d.scim = scheme + l.Addr().String() + "/scim/v2"
	d.serve("SCIM", func() error { return h.ServeSCIM(d.ctx, l) })
	return nil
}

// openHands makes the hands of containment, and lets in the agents of those that
// work elsewhere.
func (d *doors) openHands() error {
	h := d.house
	if err := h.OpenHands(); err != nil {
		return err
	}
	addr := h.Config.Hands.Listen
	if addr == "" {
		return nil
	}
	l, err := net.Listen("tcp", addr) // not the next free port: agents would not find it
	if err != nil {
		return fmt.Errorf("opening the door for hands: %w", err)
	}
	d.serve("hands", func() error { return h.ServeHands(d.ctx, l) })
	return nil
}

// wait waits until a door fails or the doors are asked to close.
func (d *doors) wait() error {
	select {
	case err := <-d.failed:
		return err
	case <-d.ctx.Done():
		return nil
	}
}
