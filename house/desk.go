package house

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"

	"sekisho/catalog"
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
	for _, space := range append([]string{conf.Space}, conf.Others...) {
		if !slices.ContainsFunc(h.Config.Catalog.Subjects, func(s catalog.Subject) bool { return s.Name == space }) {
			return nil, fmt.Errorf("config: desk: there is no subject %q in the catalog", space)
		}
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

// Desk lists enquiries: see console.DeskPage.
func (c *Caller) Desk(ctx context.Context, show, asked string) (p console.DeskPage, err error) {
	return p, c.tell(ctx, "/api/desk?"+url.Values{"show": {show}, "asked": {asked}}.Encode(), nil, &p)
}

// DeskEnquiry shows one enquiry, with a draft by a template if one is named.
func (c *Caller) DeskEnquiry(ctx context.Context, number uint64, template string) (p console.DeskEnquiryPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/desk/%d?template=%s", number, url.QueryEscape(template)), nil, &p)
}

// ActOnEnquiry does something with an enquiry. It stands when it returns.
func (c *Caller) ActOnEnquiry(ctx context.Context, number uint64, a console.DeskAct) (p console.DeskEnquiryPage, err error) {
	return p, c.tell(ctx, fmt.Sprintf("/api/desk/%d", number), a, &p)
}

// AllowAnswers asks for sekisho to answer about an incident, or decides on it.
func (c *Caller) AllowAnswers(ctx context.Context, a console.DeskAllowAsk) (p console.DeskPage, err error) {
	return p, c.tell(ctx, "/api/desk", a, &p)
}
