package house

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"sekisho"
	"sekisho/sensor"
	"sekisho/trace"
)

// Events is a door for security events: POST /events, in OCSF's JSON. Each
// source has a token of its own, so that none can speak for another.
type Events struct {
	// Listen is the address, such as 10.1.0.5:8099. Empty: no events are
	// received.
	Listen string `yaml:"listen"`
	// Cert and Key are PEM files. Without them the door speaks plain HTTP, and
	// listens on 127.0.0.1 or ::1 only.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// Sources lists who reports.
	Sources []EventSource `yaml:"sources"`
	// Domains are ours and our partners': mail from one that looks like them is
	// pointed out.
	Domains []string `yaml:"domains"`
	// SharedMailboxes are addresses whose mail many people read.
	SharedMailboxes []string `yaml:"shared_mailboxes"`
}

// EventSource is one machine, or one provider, that reports.
type EventSource struct {
	// Name is what the ledger calls it: mail-gateway.
	Name string `yaml:"name"`
	// TokenFile holds its token, of 16 characters or more, and is readable by
	// its owner alone.
	TokenFile string `yaml:"token_file"`
	// Silent is how long it may say nothing before an answer says so. An empty
	// batch, [], says that there is nothing to say. Default 24h.
	Silent time.Duration `yaml:"silent"`
}

func (e *Events) check(base string) error {
	for _, p := range []*string{&e.Cert, &e.Key} {
		*p = Against(base, *p)
	}
	if (e.Cert == "") != (e.Key == "") {
		return errors.New("config: sensors: events: cert and key come together")
	}
	names := map[string]bool{}
	for i := range e.Sources {
		s := &e.Sources[i]
		if s.Name == "" || names[s.Name] {
			return fmt.Errorf("config: sensors: events: source %d needs a name of its own", i+1)
		}
		names[s.Name] = true
		if s.TokenFile == "" {
			return fmt.Errorf("config: sensors: events: source %s: token_file is missing", s.Name)
		}
		s.TokenFile = Against(base, s.TokenFile)
		if s.Silent == 0 {
			s.Silent = 24 * time.Hour
		}
		if s.Silent < 0 {
			return fmt.Errorf("config: sensors: events: source %s: silent is below zero", s.Name)
		}
	}
	for _, list := range [][]string{e.Domains, e.SharedMailboxes} {
		for i, name := range list {
			list[i] = strings.ToLower(name)
		}
	}
	if e.Listen == "" {
		return nil
	}
	if len(e.Sources) == 0 {
		return errors.New("config: sensors: events: sources is missing: who may report")
	}
	if e.Cert == "" {
		at, err := netip.ParseAddrPort(e.Listen)
		if err != nil || !at.Addr().IsLoopback() {
			return fmt.Errorf("config: sensors: events: %s without cert and key: tokens would cross the network in the clear; listen on 127.0.0.1, or give both", e.Listen)
		}
	}
	return nil
}

// ReceiveEvents receives security events on l until ctx ends.
func (h *House) ReceiveEvents(ctx context.Context, l net.Listener) error {
	conf := &h.Config.Sensors.Events
	var sources []sensor.Source
	for _, s := range conf.Sources {
		token, err := readToken(s.TokenFile)
		if err != nil {
			return fmt.Errorf("the token of the source %s: %w", s.Name, err)
		}
		sources = append(sources, sensor.Source{Name: s.Name, Token: token})
	}
	return sensor.ReceiveEvents(ctx, l, sensor.EventsOptions{
		Sources: sources, Domains: conf.Domains, Shared: conf.SharedMailboxes, Bindings: h.Bindings, Reported: h.Reported,
		Ordinal: func(space, key string) uint32 { return h.Vault.Space(space).OfText([]byte(key)) },
		Take:    h.takeEvents, Now: h.now, Log: h.Log.With("door", "events"), Cert: conf.Cert, Key: conf.Key,
	})
}

// readSecret reads what a file that nobody else can read holds, without the end
// of its line.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%s can be read by others: chmod 600 it, and make another secret", path)
	}
	b, err := os.ReadFile(path)
	return strings.TrimRight(string(b), "\r\n"), err
}

// readToken reads a token from a file that nobody else can read.
func readToken(path string) (string, error) {
	b, err := readSecret(path)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(b)
	if len(token) < 16 || len(token) > 1024 || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s: a token is one word of 16 to 1024 characters", path)
	}
	return token, nil
}

// silent names the sources that should have reported in a question's window
// and did not.
func (h *House) silent(q trace.Question) (list []trace.Note) {
	for _, s := range h.Config.Sensors.Events.Sources {
		for _, gap := range h.Reported.Silent(s.Name, s.Silent, q.Since, min(q.Until, sekisho.At(h.now()))) {
			n := trace.Note{Code: "source_silent", Name: s.Name, From: gap.From.String(), To: gap.To.String(), Seconds: float64(gap.To-gap.From) / 1e6}
			if gap.Never {
				n.Code = "source_never"
			}
			n.Text = n.English()
			list = append(list, n)
		}
	}
	return list
}
