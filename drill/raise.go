package drill

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"sekisho/demo"
	"sekisho/gate"
	"sekisho/house"
)

// raise opens a drill's house with its gate, on a clock of its own. The address
// is the gate's.
func raise(ctx context.Context, conf house.Config, dir, scenario string, c *clock, log *slog.Logger) (p *Played, at netip.AddrPort, err error) {
	h, err := house.Open(ctx, conf, dir, house.Options{Drill: scenario, Now: c.now, Log: log})
	if err != nil {
		return nil, at, err
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	p = &Played{House: h, stop: stop}
	if err := h.OpenGate(ctx); err != nil {
		return nil, at, errors.Join(err, p.Close())
	}
	l, err := net.Listen("tcp", conf.Gate.Listen)
	if err != nil {
		return nil, at, errors.Join(err, p.Close())
	}
	p.serving.Go(func() {
		if err := h.Gate.Serve(serving, l); err != nil {
			log.Error("the drill's gate", "error", err)
		}
	})
	if conf.Sensors.Events.Listen != "" {
		e, err := net.Listen("tcp", conf.Sensors.Events.Listen)
		if err != nil {
			return nil, at, errors.Join(err, p.Close())
		}
		p.events = "http://" + e.Addr().String() + "/events"
		p.serving.Go(func() {
			if err := h.ReceiveEvents(serving, e); err != nil {
				log.Error("the drill's door for events", "error", err)
			}
		})
	}
	return p, l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// gateOf is a gate in front of one of the demo's databases, with the house's
// own authority for terminals.
func gateOf(dir string, cluster *demo.Cluster, database string, ca *demo.Authority, purposes map[string][]string) (conf gate.Config, err error) {
	for _, d := range []string{"", "upstream"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return conf, err
		}
	}
	cert, key, err := ca.Gate()
	if err != nil {
		return conf, err
	}
	login := func(role string) gate.Login {
		password, e := cluster.Password(role)
		path := filepath.Join(dir, "upstream", role)
		err = errors.Join(err, e, os.WriteFile(path, []byte(password+"\n"), 0o600))
		return gate.Login{User: role, PasswordFile: path}
	}
	conf = gate.Config{
		Listen:   "127.0.0.1:0",
		TLS:      gate.TLS{Cert: cert, Key: key, ClientCA: ca.CA(), Require: true},
		Upstream: gate.Upstream{Host: cluster.SocketDir(), Port: uint16(cluster.Port()), Database: database, Reader: login(demo.Reader)},
		Roles:    map[string]gate.Role{},
	}
	for role, list := range purposes {
		conf.Roles[role] = gate.Role{Login: login(role), Purposes: list}
	}
	return conf, err
}

// hire gives a principal a password that only the drill knows.
func (c *clients) hire(conf *gate.Config, account, role string) error {
	password := newPassword()
	verifier, err := gate.MakeVerifier(password)
	if err != nil {
		return err
	}
	c.passwords[account] = password
	conf.Principals = append(conf.Principals, gate.Principal{Name: account, Role: role, Verifier: verifier})
	return nil
}
