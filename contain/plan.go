package contain

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"sekisho"
	"sekisho/incident"
)

// A Plan is what an order would do, before anybody gives it: the set, whose it
// is, and which business stops.
type Plan struct {
	System       string         `json:"system,omitempty"`
	Incident     uint64         `json:"incident,omitempty"`
	Cuts         string         `json:"cuts"`
	Terminals    []PlanTerminal `json:"terminals"`
	Unlocated    int            `json:"unlocated"` // terminals of which no address is known: only the gate can cut them
	Cut          int            `json:"cut_already"`
	People       []PlanPerson   `json:"people"`       // who sat there
	Departments  []PlanCount    `json:"departments"`  // company, post and role of them, as known; "" for people the config does not know
	Businesses   []PlanBusiness `json:"businesses"`   // what stops
	Spared       []PlanSpared   `json:"spared"`       // protected, and left out
	Protected    []PlanSpared   `json:"protected"`    // protected, and cut on an executive's word
	Shared       []PlanShared   `json:"shared"`       // addresses at which somebody sits who is not meant
	Principals   []string       `json:"principals"`   // shut out at the gate
	Roles        []string       `json:"roles"`        //
	Tables       []string       `json:"tables"`       //
	Destinations []string       `json:"destinations"` // blocked for everybody
	Follow       bool           `json:"follow"`       // and those of the incident that become known later
	MayRead      []string       `json:"may_read"`     // roles that the policy lets read the system from some terminal
	Hands        []HandNow      `json:"hands"`        // that would do it
	Independent  int            `json:"independent"`  // places at which it would be in force
	Second       bool           `json:"second"`       // it needs another person's approval
	Lasts        string         `json:"lasts"`
	Keep         bool           `json:"keep"`
	Warnings     []string       `json:"warnings"` // codes
}

// A PlanTerminal is one terminal of the set, and why it is in it.
type PlanTerminal struct {
	Name      string       `json:"name"`
	Why       []string     `json:"why"` // "read", "may_read", "session", "certificate", "listed", "stated", "named"
	Read      sekisho.Time `json:"last_read,omitempty"`
	Seen      sekisho.Time `json:"last_seen,omitempty"`
	Addresses []string     `json:"addresses"`
	People    []string     `json:"people"`
	Business  []string     `json:"business,omitempty"`
}

type PlanPerson struct {
	Name      string `json:"name"`
	Person           // as the config knows them
	Terminals int    `json:"terminals"`
}

type PlanCount struct {
	Name      string `json:"name"`
	Terminals int    `json:"terminals"`
}

type PlanBusiness struct {
	Name      string `json:"name"`
	Stops     string `json:"stops"`
	Terminals int    `json:"terminals"`
}

type PlanSpared struct {
	Endpoint string `json:"endpoint"`
	Group    string `json:"group"`
}

type PlanShared struct {
	Address string   `json:"address"`
	Others  []string `json:"others"`
}

// Plan says what an order would do. Nothing happens.
func (k *Keeper) Plan(ask Ask) (*Plan, error) {
	p, _, err := k.plan(ask)
	return p, err
}

// plan computes the set, and the order that would cut it.
func (k *Keeper) plan(ask Ask) (*Plan, *sekisho.ContainmentProposed, error) {
	p := &Plan{Incident: ask.Incident, Terminals: []PlanTerminal{}, People: []PlanPerson{}, Departments: []PlanCount{}, Businesses: []PlanBusiness{}, Spared: []PlanSpared{}, Protected: []PlanSpared{},
		Shared: []PlanShared{}, Principals: []string{}, Roles: []string{}, Tables: []string{}, Destinations: []string{}, MayRead: []string{}, Hands: []HandNow{}, Warnings: []string{}}
	b := &sekisho.ContainmentProposed{Incident: ask.Incident}
	if err := k.scope(ask, p, b); err != nil {
		return nil, nil, err
	}
	none := sekisho.CutEgress
	if ask.System == "" {
		none |= sekisho.CutGate
	}
	var err error
	if b.Cuts, err = cutsOf(ask.Cuts, none); err != nil {
		return nil, nil, err
	}
	lasts := k.Config.Lasts
	if ask.For != "" {
		if lasts, err = time.ParseDuration(ask.For); err != nil || lasts < time.Minute || lasts > k.Config.Longest {
			return nil, nil, wrong("for", k.Config.Longest.String())
		}
	}
	b.Lasts, b.Keep = uint64(lasts/time.Second), ask.Keep || k.Config.OnExpiry == "keep"
	k.Read(func() { err = k.terminals(ask, p, b) })
	if err != nil {
		return nil, nil, err
	}
	if len(b.Endpoints)+len(b.Principals)+len(b.Roles)+len(b.Tables)+len(b.Destinations) == 0 && !b.Follow {
		if ask.System != "" {
			return nil, nil, wrong("empty", ask.System)
		}
		return nil, nil, wrong("nothing")
	}
	if len(b.Endpoints) == 0 {
		b.Cuts = 0
	}
	p.Cuts, p.Lasts, p.Keep, p.Follow = b.Cuts.String(), strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(lasts.String()), b.Keep, b.Follow
	p.Second = len(b.Endpoints) > k.Config.ApproveAbove || len(b.Principals)+len(b.Roles)+len(b.Tables)+len(b.Protected) > 0 ||
		slices.ContainsFunc(b.Destinations, func(d netip.Prefix) bool { return !incident.Narrow(d) })
	places, missing := map[string]bool{}, needs(b)
	for i, h := range k.Hands() {
		does := k.workers[i].hand.Does()
		if does&needs(b) == 0 {
			continue
		}
		missing &^= does
		p.Hands = append(p.Hands, h)
		b.Hands = append(b.Hands, h.Name)
		if h.State != "unverified" {
			places[h.Place] = true
		}
		if h.State == "failed" || h.State == "waiting" {
			p.warn("hand_away")
		}
	}
	if p.Independent = len(places); p.Independent < 2 {
		p.warn("one_hand")
	}
	for _, one := range []struct {
		does Does
		code string
	}{{DoesEgress, "no_egress"}, {DoesGate, "no_gate"}, {DoesDestinations, "no_destinations"}} {
		if missing&one.does != 0 {
			p.warn(one.code)
		}
	}
	if b.Cuts&sekisho.CutEgress != 0 && p.Unlocated > 0 {
		p.warn("no_address")
	}
	if len(p.Shared) > 0 {
		p.warn("shared")
	}
	if len(p.Protected) > 0 {
		p.warn("protected")
	}
	return p, b, nil
}

func (p *Plan) warn(code string) {
	if !slices.Contains(p.Warnings, code) {
		p.Warnings = append(p.Warnings, code)
	}
}

// scope reads what is named beside terminals.
func (k *Keeper) scope(ask Ask, p *Plan, b *sekisho.ContainmentProposed) error {
	if ask.System != "" && ask.System != k.System {
		return wrong("system", ask.System, k.System)
	}
	p.System, b.System = ask.System, ask.System
	for _, name := range ask.Principals {
		_, known := k.People(name)
		n := k.Known("staff", name)
		if !known && n == 0 {
			return wrong("principal", name)
		}
		if n == 0 {
			n = k.Ordinal("staff", name)
		}
		b.Principals = append(b.Principals, n)
		p.Principals = append(p.Principals, name)
	}
	slices.Sort(b.Principals)
	b.Principals = slices.Compact(b.Principals)
	for _, name := range ask.Roles {
		if !slices.Contains(k.Roles, name) {
			return wrong("role_unknown", name, strings.Join(k.Roles, ", "))
		}
	}
	for _, name := range ask.Tables {
		if !slices.Contains(k.Tables, name) {
			return wrong("table", name, strings.Join(k.Tables, ", "))
		}
	}
	b.Roles, b.Tables = once(slices.Clone(ask.Roles)), once(slices.Clone(ask.Tables))
	p.Roles, p.Tables = append(p.Roles, b.Roles...), append(p.Tables, b.Tables...)
	for _, s := range ask.Destinations {
		d, err := prefixOf(s)
		if err != nil {
			return err
		}
		b.Destinations = append(b.Destinations, d)
	}
	if ask.Incident != 0 {
		var one *incident.Incident
		k.Read(func() { one = k.Orders.Get(ask.Incident) })
		if one == nil {
			return wrong("incident", ask.Incident)
		}
		for _, d := range one.Hostile() {
			if d, ok := incident.Destination(d); ok {
				b.Destinations = append(b.Destinations, d)
			}
		}
		b.Follow = true
	}
	slices.SortFunc(b.Destinations, netip.Prefix.Compare)
	b.Destinations = slices.Compact(b.Destinations)
	for _, d := range b.Destinations {
		p.Destinations = append(p.Destinations, Short(d))
	}
	return nil
}

// terminals computes the set. k.Read holds.
func (k *Keeper) terminals(ask Ask, p *Plan, b *sekisho.ContainmentProposed) error {
	now := sekisho.At(k.Now())
	set := map[string][]string{} // names, and why
	may := map[string]bool{}
	if ask.System != "" {
		var from func(endpoint string, verified bool) []string
		if k.MayRead != nil {
			from = k.MayRead()
		}
		for name := range k.everybody(now) {
			why, roles := k.belongs(name, now, from)
			for _, r := range roles {
				may[r] = true
			}
			if len(why) > 0 {
				set[name] = why
			}
		}
	}
	for _, pattern := range ask.Endpoints {
		found := false
		for name := range k.everybody(now) {
			if name == pattern || matches([]string{pattern}, name) {
				set[name], found = append(set[name], "named"), true
			}
		}
		if !found {
			return wrong("endpoint", pattern)
		}
	}
	p.MayRead = append(p.MayRead, slices.Sorted(maps.Keys(may))...)
	sits := map[netip.Prefix][]string{} // who is at an address
	for name := range k.everybody(now) {
		for _, a := range k.Census.whereabouts(k.Listed, name) {
			sits[a] = append(sits[a], name)
		}
	}
	people, departments, businesses := map[uint32]int{}, map[string]int{}, map[string]int{}
	already := map[string]bool{}
	for _, o := range k.Orders.InForce() {
		for _, end := range o.Proposed.Endpoints {
			already[end.Name] = already[end.Name] || o.Left(end.Name)&b.Cuts == b.Cuts
		}
	}
	shared := map[netip.Prefix]bool{}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		at := k.Census.whereabouts(k.Listed, name)
		if group := k.Config.protects(name, at); group != "" {
			if ask.Executive == "" {
				p.Spared, b.Spared = append(p.Spared, PlanSpared{name, group}), append(b.Spared, name)
				continue
			}
			p.Protected, b.Protected = append(p.Protected, PlanSpared{name, group}), append(b.Protected, name)
		}
		slices.Sort(set[name])
		t := PlanTerminal{Name: name, Why: slices.Compact(set[name]), Addresses: []string{}, People: []string{}}
		for _, a := range at {
			t.Addresses = append(t.Addresses, Short(a))
			if !shared[a] {
				shared[a] = true
				if others := slices.DeleteFunc(slices.Clone(sits[a]), func(x string) bool { return set[x] != nil }); len(others) > 0 {
					slices.Sort(others)
					p.Shared = append(p.Shared, PlanShared{Short(a), others})
				}
			}
		}
		if len(at) == 0 {
			p.Unlocated++
		}
		if already[name] {
			p.Cut++
		}
		k.whose(name, &t, people, departments, businesses)
		p.Terminals = append(p.Terminals, t)
		b.Endpoints = append(b.Endpoints, sekisho.ContainedEndpoint{Name: name, Addresses: at})
	}
	for n, terminals := range people {
		one := PlanPerson{Name: k.Name("staff", n), Terminals: terminals}
		one.Person, _ = k.People(one.Name)
		p.People = append(p.People, one)
	}
	slices.SortFunc(p.People, func(a, b PlanPerson) int {
		return cmp.Or(cmp.Compare(b.Terminals, a.Terminals), cmp.Compare(a.Name, b.Name))
	})
	for name, n := range departments {
		p.Departments = append(p.Departments, PlanCount{name, n})
	}
	slices.SortFunc(p.Departments, func(a, b PlanCount) int {
		return cmp.Or(cmp.Compare(b.Terminals, a.Terminals), cmp.Compare(a.Name, b.Name))
	})
	for _, one := range k.Config.Businesses {
		if n := businesses[one.Name]; n > 0 {
			p.Businesses = append(p.Businesses, PlanBusiness{one.Name, one.Stops, n})
		}
	}
	return nil
}

// everybody is every terminal that is known, by the ledger or by the config.
func (k *Keeper) everybody(now sekisho.Time) map[string]bool {
	all := map[string]bool{}
	for name, t := range k.Census.ends {
		if t.seen != 0 || t.read != 0 || t.certified > now {
			all[name] = true
		}
	}
	for name := range k.Listed {
		all[name] = true
	}
	return all
}

// belongs says why a terminal belongs to those that read the system, or may:
// who has read it, always; who has been at the gate, holds a certificate, or
// stands in the config, if the policy lets anybody read from there.
func (k *Keeper) belongs(name string, now sekisho.Time, from func(string, bool) []string) (why, roles []string) {
	t := k.Census.ends[name]
	if t != nil && t.read != 0 {
		why = append(why, "read")
	}
	var known []string
	if t != nil && t.seen != 0 {
		known = append(known, "session")
		if t.stated {
			known = []string{"stated"}
		}
	}
	if t != nil && t.certified > now {
		known = append(known, "certificate")
	}
	if k.Listed[name] != nil {
		known = append(known, "listed")
	}
	if len(known) == 0 {
		return why, nil
	}
	if from != nil {
		if roles = from(name, !strings.HasPrefix(name, unverified)); len(roles) == 0 {
			return why, nil
		}
	}
	return append(append(why, "may_read"), known...), roles
}

// whose counts who sat at a terminal, of which departments, and what is done
// there.
func (k *Keeper) whose(name string, t *PlanTerminal, people map[uint32]int, departments, businesses map[string]int) {
	known := k.Census.ends[name]
	of, does := map[string]bool{}, map[string]bool{}
	roles := map[string]bool{}
	if known != nil {
		t.Read, t.Seen = known.read, known.seen
		maps.Copy(roles, known.roles)
		for _, n := range slices.Sorted(maps.Keys(known.people)) {
			who := k.Name("staff", n)
			t.People = append(t.People, who)
			people[n]++
			p, _ := k.People(who)
			roles[p.Role] = true
			of[strings.TrimSpace(strings.Join(strings.Fields(p.Company+" "+p.Post+" "+p.Role), " "))] = true
		}
	}
	for d := range of {
		departments[d]++
	}
	for _, b := range k.Config.Businesses {
		if matches(b.Endpoints, name) || slices.ContainsFunc(b.Roles, func(r string) bool { return roles[r] }) {
			does[b.Name] = true
		}
	}
	for _, b := range slices.Sorted(maps.Keys(does)) {
		t.Business = append(t.Business, b)
		businesses[b]++
	}
}
