package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	h, err := house.Open(ctx, c, base, house.Options{Log: logger(slog.LevelInfo)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if err := h.OpenGate(ctx); err != nil {
		return err
	}
	doors, err := open(ctx, h)
	if err != nil {
		return err
	}
	defer doors.close() // before the house closes, whatever ended it
	fmt.Fprintf(out, "gate     %s\n", doors.gate)
	if doors.console != "" {
		fmt.Fprintf(out, "console  %s\n", doors.console)
		if doors.password != "" {
			fmt.Fprintf(out, "sign in  %s / %s   (shown this once; `sekisho user reset` makes another)\n", doors.user, doors.password)
		}
	}
	return doors.wait()
}

// doors are the open doors of a house.
type doors struct {
	gate, console  string // addresses
	user, password string // of a console administrator made just now
	failed         chan error
	running        sync.WaitGroup
	stop           context.CancelFunc
	asked          <-chan struct{} // closed when the doors are to close
}

// close closes the doors and waits for whoever stands in them.
func (d *doors) close() {
	d.stop()
	d.running.Wait()
}

// open opens every door of a house whose gate is made.
func open(ctx context.Context, h *house.House) (d *doors, err error) {
	ctx, stop := context.WithCancel(ctx)
	d = &doors{failed: make(chan error, 8), stop: stop, asked: ctx.Done()}
	defer func(opened *doors) {
		if err != nil {
			opened.close()
		}
	}(d)
	serve := func(what string, f func() error) {
		d.running.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				d.failed <- fmt.Errorf("%s: %w", what, err)
			}
		})
	}
	l, moved, err := house.Listen(h.Config.Gate.Listen)
	if err != nil {
		return nil, fmt.Errorf("opening the gate: %w", err)
	}
	d.gate = l.Addr().String()
	if moved {
		h.Log.Warn("the gate's port is taken, so it listens on the next free one", "wanted", h.Config.Gate.Listen, "got", d.gate)
	}
	serve("gate", func() error { return h.Gate.Serve(ctx, l) })
	c, err := h.NewConsole()
	if err != nil {
		return nil, fmt.Errorf("opening the console: %w", err)
	}
	serve("control socket", func() error { return h.ServeControl(ctx, nil) })
	if addr := h.Config.Console.Listen; addr != "" {
		if d.user, d.password, _, err = c.EnsureAdmin(); err != nil {
			return nil, err
		}
		l, moved, err := house.Listen(addr)
		if err != nil {
			return nil, fmt.Errorf("opening the console: %w", err)
		}
		scheme := "http://"
		if h.Config.Console.Cert != "" {
			scheme = "https://"
		}
		d.console = scheme + l.Addr().String()
		if moved {
			h.Log.Warn("the console's port is taken, so it listens on the next free one", "wanted", addr, "got", l.Addr().String())
		}
		serve("console", func() error { return h.ServeConsole(ctx, c, l) })
	}
	h.FollowZeek(ctx)
	d.running.Go(func() { h.KeepRosters(ctx) })
	d.running.Go(func() { h.KeepRevised(ctx) })
	return d, nil
}

// wait waits until a door fails or the doors are asked to close.
func (d *doors) wait() error {
	select {
	case err := <-d.failed:
		return err
	case <-d.asked:
		return nil
	}
}
