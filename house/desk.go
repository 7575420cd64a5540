package house

import (
	"context"
	"errors"
	"fmt"
	"net"

	"sekisho/console"
	"sekisho/law"
	"sekisho/tell"
)

// newDesk makes the contact point, if the config has one.
func (h *House) newDesk() (*tell.Desk, error) {
	if h.Config.Desk.Listen == "" {
		return nil, nil
	}
	rules, err := law.Load(law.Shipped())
	if err != nil {
		return nil, err
	}
	conf := h.Config.Desk
	if conf.Space == "" && len(h.Config.Catalog.Subjects) > 0 {
		conf.Space = h.Config.Catalog.Subjects[0].Name
	}
	return tell.NewDesk(conf, tell.Sources{Append: h.append, Last: h.Ledger.Last, Vault: h.Vault, Views: h.Views, Trace: h.Trace, Incidents: h.Incidents,
		Enquiries: h.Enquiries, Law: rules, Zone: h.Zone, Now: h.now, Log: h.Log.With("door", "desk")})
}

// ServeDesk serves the contact point's public pages on l, and does what the
// contact point does by itself, until ctx ends. NewConsole comes before.
func (h *House) ServeDesk(ctx context.Context, l net.Listener) error {
	door, err := console.NewDeskDoor(h.Desk, h.drill, h.Log.With("door", "desk"))
	if err != nil {
		return err
	}
	srv := door.Server()
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	working, rest := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { h.Desk.Run(working); close(done) }()
	defer func() { rest(); <-done }()
	l = console.Limited(l)
	if cert := h.Config.Desk.Cert; cert != "" {
		err = srv.ServeTLS(l, cert, h.Config.Desk.Key)
	} else {
		err = srv.Serve(l)
	}
	if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("serving the contact point: %w", err)
}
