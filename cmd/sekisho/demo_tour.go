package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sekisho/console"
	"sekisho/demo"
	"sekisho/house"
)

// An account is somebody who can sign in at the demo's console.
type account struct{ name, password, is string }

// accounts makes the people of the demo's CSIRT, with passwords that a file keeps:
// somebody who comes back next week should not have to reset them.
func (d *demonstration) accounts(ctx context.Context, live *doors) (list []account, err error) {
	caller, err := house.Call(ctx, live.house.Config.Data)
	if err != nil {
		return nil, err
	}
	defer caller.Close()
	have, err := caller.Users(ctx)
	if err != nil {
		return nil, err
	}
	list = []account{{live.user, live.password, "administrator"}, {"sato", "", "approver, incident commander"}, {"yamada", "", "approver, executive"}}
	for i := range list {
		one := &list[i]
		file := filepath.Join(d.dir, "console."+one.name+".password")
		known := slices.ContainsFunc(have, func(u console.UserLine) bool { return u.Name == one.name })
		if b, err := os.ReadFile(file); err == nil && known && one.password == "" {
			one.password = strings.TrimSpace(string(b))
			continue
		}
		switch {
		case !known:
			one.password, err = caller.AddUser(ctx, console.UserLine{Name: one.name, Role: "approver"})
		case one.password == "":
			one.password, err = caller.ResetUser(ctx, one.name)
		}
		if err == nil {
			err = os.WriteFile(file, []byte(one.password+"\n"), 0o600)
		}
		if err != nil {
			return nil, fmt.Errorf("the demo's account %s: %w", one.name, err)
		}
	}
	return list, nil
}

// misused is how many members the misused account looks up, one by one: fewer
// than a budget ends at, more than goes unseen.
const misused = 260

// misuse gives the live house something to answer for, once: an account looks up
// far more members than its work needs, at another terminal than its own, through
// the gate as anybody does. It gives the incident's number; 0 if a person's config
// has no such account, or nothing came of it.
func (d *demonstration) misuse(ctx context.Context, live *doors, cluster *demo.Cluster, l login) (number uint64, err error) {
	first := func() (n uint64) {
		live.house.Views.Read(func() {
			for _, i := range live.house.Incidents.List() {
				if n == 0 || i.Number < n {
					n = i.Number
				}
			}
		})
		return n
	}
	if err := live.house.Settle(ctx); err != nil {
		return 0, err
	}
	if n := first(); n != 0 || d.kept {
		return n, nil
	}
	password, err := os.ReadFile(filepath.Join(d.dir, demoIntruder+".password"))
	if err != nil {
		return 0, err
	}
	var script strings.Builder
	for i := range misused {
		fmt.Fprintf(&script, "select name_kanji, address, email, phone from crm.member where member_no = %d;\n", demo.MemberNo(d.seed, i*(d.members/misused)))
	}
	host, port, _ := strings.Cut(live.gate, ":")
	file := func(name string) string { return filepath.Join(d.dir, "certificates", name) }
	psql := exec.CommandContext(ctx, cluster.Program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-o", os.DevNull, "-f", "-",
		fmt.Sprintf("host=%s port=%s dbname=%s user=%s sslmode=verify-full sslrootcert=%s sslcert=%s sslkey=%s", host, port, demo.Database, demoIntruder,
			l.ca, file(demoIntruderEndpoint+".pem"), file(demoIntruderEndpoint+".key")))
	psql.Env = append(os.Environ(), "PGPASSWORD="+strings.TrimSpace(string(password)))
	psql.Stdin = strings.NewReader(script.String())
	if said, err := psql.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("reading at %s as %s: %w: %s", demoIntruderEndpoint, demoIntruder, err, bytes.TrimSpace(said))
	}
	// The detectors answer as they follow the ledger.
	patience, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	for first() == 0 {
		if err := live.house.Views.WaitFor(patience, live.house.Ledger.Last()+1); err != nil {
			if ctx.Err() != nil {
				return 0, err
			}
			return 0, errors.New("what the demo's misused account read was not noticed within a minute")
		}
	}
	return first(), nil
}

// tour says where everything is, and what can be tried.
func (d *demonstration) tour(live *doors, people []account, number uint64, round *surroundings, why error) string {
	var b strings.Builder
	at := func(name, where, note string) {
		fmt.Fprintf(&b, "%-16s %s", name, where)
		if note != "" {
			fmt.Fprintf(&b, "   (%s)", note)
		}
		b.WriteByte('\n')
	}
	config, self := d.configFile(), os.Args[0]
	at("the console", live.console, "live: who reads whose record, as it happens")
	for _, a := range people {
		at("  sign in", a.name+" / "+a.password, a.is)
	}
	if live.desk != "" {
		at("contact point", live.desk+"/", "where members ask about their own data; codes and answers go out by mail")
	}
	if live.staff != "" {
		at("employees' door", live.staff+"/my", "what each of the group owes: type suzuki, and open the link that comes by mail")
		at("duties", live.console+"/duties", "what the group promises, and what has become of it; a policy waits for sato and yamada under Policies")
	}
	at("mail", filepath.Join(d.dir, "mail"), "every letter that the demo sends, as a file to read")
	at("config", config, "")
	if d.kept {
		fmt.Fprintf(&b, "\n  %s was changed since the demo wrote it, or comes from an earlier version, and stays as it is.\n  What the demo would have written: %s.new. To take it: mv %s.new %s\n", config, config, config, config)
	}
	b.WriteByte('\n')
	if round.net != nil {
		at("hands", "the gate, a router, a proxy, a switch", "beside them a probe; what they do is in "+filepath.Join(d.dir, "hands"))
	} else {
		at("hands", "the gate, a proxy, a switch", "no router: "+why.Error())
	}
	if number != 0 {
		at("an incident", fmt.Sprintf("%s/incidents/%d/room", live.console, number), fmt.Sprintf("the account %s read %d members at %s", demoIntruder, misused, demoIntruderEndpoint))
		fmt.Fprintf(&b, `
Answer it: in its room, or here. Somebody else than who asks has to approve: %[3]s, in the console.

  %[1]s demo reach %[4]s --dir %[6]s
  %[1]s contain --config %[2]s --endpoint %[4]s --incident %[5]d --reason "misused account" --dry-run
  %[1]s contain --config %[2]s --endpoint %[4]s --incident %[5]d --reason "misused account"
  %[1]s demo reach %[4]s --dir %[6]s
  %[1]s incident show %[5]d --config %[2]s
  %[1]s tell drafts %[5]d --config %[2]s
`, self, config, people[1].name, demoIntruderEndpoint, number, d.dir)
	}
	if live.staff != "" {
		fmt.Fprintf(&b, `
Drill by mail: this shows whom it would write to, and when. Asked for with --propose, and approved by %[3]s in the
console, the lures come to the directory mail.

  %[1]s phishing propose --config %[2]s --title "First drill" --lure itinerary,bank-change --opens 00:00 --closes 23:59 --from %[4]s --until %[5]s --reason "to see how it goes"
`, self, config, people[1].name, time.Now().Format(time.DateOnly), time.Now().AddDate(0, 0, 7).Format(time.DateOnly))
	}
	fmt.Fprintf(&b, `
Ask about budgets, here as of any sekisho (and about export, decoy, readiness, doctor, ...):

  %s budget --config %s
`, self, config)
	return b.String()
}

// last is what stands last on the screen, where somebody looks first: the console,
// how to sign in, and a line that reads a customer.
func (d *demonstration) last(live *doors, people []account, l login) string {
	return fmt.Sprintf(`Read a customer as a member of the call centre, and watch %s
(sign in as %s / %s):

  PGPASSFILE=%s psql %q

  select name_kanji, email, address from crm.member where member_no = %d;
`, live.console, people[0].name, people[0].password, l.passfile, l.dsn(live.gate), demo.MemberNo(d.seed, d.members/2))
}
