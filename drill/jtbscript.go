package drill

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A beat is one thing that happens at one moment: a delivery of events, or
// something that is done.
type beat struct {
	at     time.Time
	source string  // of the events
	events []event // nil, with a source: it says that there is nothing to say
	do     func(ctx context.Context) error

	code  string // of the timeline; empty for everyday matters
	told  Saying // of an exercise without code
	facts []string
	seen  seen // how sekisho may have noticed it

	open      bool // in an exercise the people are told
	needsFile bool // it is about the intruder's file: without it, it cannot happen
}

// seen says which alert is about a beat.
type seen struct {
	detector, endpoint string
}

// cast is who and what a seed draws.
type jtbCast struct {
	infected     []int    // numbers of PCs, the first of them where it began
	readers      []int    // who opened the attachment
	destinations []string // of the intruder, in the order in which they were found
	known        int      // index of the one that the sharing community's list has
	lookalike    string
	attachment   string // SHA-256
}

func newJtbCast(seed uint64) jtbCast {
	r := jtbStream(seed, 2)
	c := jtbCast{infected: r.Perm(agencyPCs)[:infectedPCs], lookalike: []string{"aoz0ra-air.example", "aozora-alr.example", "aozora-air-eticket.example"}[r.IntN(3)]}
	c.readers = slices.Clone(c.infected[:2+r.IntN(3)])
	n := 4 + r.IntN(3)
	for _, i := range r.Perm(180)[:n] {
		c.destinations = append(c.destinations, fmt.Sprintf("203.0.113.%d", 20+i))
	}
	c.known = 1 + r.IntN(n-1)
	c.attachment = fmt.Sprintf("%016x%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64(), r.Uint64())
	return c
}

func pcAddress(i int) string { return fmt.Sprintf("10.30.1.%d", 11+i) }

var serverAddress = map[string]string{home: "10.30.9.11", web: "10.30.9.21", control: "10.30.9.22", product: "10.30.9.31"}

// everyday is what happens without the intruder: work at the gate, and what
// the sources report of it.
func (s *travel) everyday() {
	r := jtbStream(s.Seed, 3)
	slice := max(1, int(0.003*float64(s.figures.rows)))
	next := 0
	for day := jtbFirst; day.Before(jtbAsked); day = day.AddDate(0, 0, 1) {
		at := func(hour, minute int) time.Time { return day.Add(time.Duration(hour*60+minute) * time.Minute) }
		weekday := day.Weekday() != time.Saturday && day.Weekday() != time.Sunday && !(day.Month() == 3 && day.Day() == 21) // the equinox
		from := next
		next = (next + slice) % max(1, s.figures.rows-slice)
		s.add(beat{at: at(2, 30), do: func(ctx context.Context) error {
			_, err := s.copy(ctx, desk{reporting, home, "nightly-report"}, bookingNo(from), bookingNo(from+slice), nil)
			return err
		}})
		s.add(beat{at: at(7, 0), source: provider})
		s.add(beat{at: at(7, 5), source: firewall, events: []event{speaks(at(7, 4), "", pcAddress(r.IntN(agencyPCs)), "192.0.2.80", 6)}})
		var mails []event
		for range 1 + r.IntN(4) {
			partner := []string{airline, "kaedehotels.example", "momiji-rail.example", "customer-mail.example"}[r.IntN(4)]
			mails = append(mails, mailFrom(at(8, 10+r.IntN(40)), "desk@"+partner, "desk@"+partner, "198.51.100.25", "booking"))
		}
		s.add(beat{at: at(9, 0), source: mailGateway, events: mails})
		var logons []event
		for i := range agencyPCs {
			if !weekday || r.IntN(10) >= 4 {
				continue
			}
			logons = append(logons, signsIn(at(8, 30+r.IntN(25)), agencyPC(i), pcAddress(i), agent(i)))
			s.lookup(r, i, at(10+r.IntN(7), 15*r.IntN(4)))
		}
		s.add(beat{at: at(9, 5), source: agents, events: logons})
		if day.Before(proxyLost) || day.After(proxyAgain.Add(-24*time.Hour)) {
			var traffic []event
			for range 30 {
				i := r.IntN(agencyPCs)
				traffic = append(traffic, speaks(at(9, r.IntN(55)), agencyPC(i), pcAddress(i), []string{"192.0.2.80", "192.0.2.81", "198.51.100.80"}[r.IntN(3)], 6))
			}
			s.add(beat{at: at(10, 2), source: proxy, events: traffic})
		}
	}
}

func (s *travel) lookup(r *rand.Rand, i int, at time.Time) {
	var rows []int
	for range 2 + r.IntN(4) {
		rows = append(rows, 1+r.IntN(s.figures.rows))
	}
	s.add(beat{at: at, do: func(ctx context.Context) error {
		return s.look(ctx, desk{agent(i), agencyPC(i), "booking-desk"}, rows, at)
	}})
}

// attack is the case. What the machines report of it comes from the sources
// that had it in 2016, or could have.
func (s *travel) attack() {
	r, c := jtbStream(s.Seed, 4), &s.cast
	lure := fileOf("/mail/e-ticket_0315.zip", 412_338, c.attachment)
	s.add(beat{at: jtbLure, source: mailGateway, code: "jtb_mail", facts: []string{c.lookalike, "250"}, seen: seen{"lure", mailServer}, events: []event{
		mailFrom(jtbLure, "Sora Tickets <tickets@"+c.lookalike+">", "a0713@rental-server.example", "198.51.100.199", "【ご確認】e-ticket 控えの送付", lure)}})
	for n, i := range c.readers {
		at := jtbLure.Add(time.Duration(14+r.IntN(90)) * time.Minute)
		if n == 0 {
			at = jtbLure.Add(12 * time.Minute)
		}
		opened := changes(14, at, agencyPC(i), agent(i), fileOf(`C:\Users\work\Downloads\e-ticket_0315.zip`, 412_338, c.attachment))
		b := beat{at: at, source: agents, events: []event{opened}}
		if n == 0 {
			b.code, b.facts, b.seen = "jtb_opened", []string{agencyPC(i), fmt.Sprint(len(c.readers))}, seen{"opened", agencyPC(i)}
		}
		s.add(b)
	}
	// The malware speaks to its masters; more machines join in.
	hosts := []string{}
	for _, i := range c.infected {
		hosts = append(hosts, agencyPC(i))
	}
	hosts = append(hosts, web, control)
	address := func(name string) string {
		if a := serverAddress[name]; a != "" {
			return a
		}
		var n int
		fmt.Sscanf(name, "pc-%d", &n)
		return pcAddress(n - 1101)
	}
	for n, name := range hosts {
		since := jtbLure.Add(30*time.Minute + time.Duration(n)*7*time.Hour)
		spoken := 0
		for at := since; at.Before(jtbAll); at = at.Add(time.Duration(300+r.IntN(420)) * time.Minute) {
			source := firewall
			switch {
			case at.Before(proxyLost):
				source = proxy
			case at.Before(jtbNotice):
				continue // nobody's records have it
			}
			to := c.destinations[(n+spoken)%len(c.destinations)]
			activity := 6
			if to == c.destinations[0] && !at.Before(jtbBlocked) {
				activity = 5
			}
			spoken++
			s.add(beat{at: at, source: source, events: []event{speaks(at, name, address(name), to, activity)}})
		}
	}
	s.add(beat{at: jtbLure.Add(40 * time.Minute), code: "jtb_spread", facts: []string{fmt.Sprint(infectedPCs), "2", c.destinations[c.known]}, seen: seen{"contact", ""}})
	s.add(beat{at: day2016(3, 18, 9, 10), source: agents, open: true, code: "jtb_noboot", facts: []string{agencyPC(c.infected[2])}, seen: seen{"no_boot", agencyPC(c.infected[2])},
		events: []event{ails(day2016(3, 18, 9, 10), agencyPC(c.infected[2]), "no_boot", "does not start", 0)}})
	s.add(beat{at: jtbNotice, source: provider, open: true, code: "jtb_notice", facts: []string{web, c.destinations[0]}, seen: seen{"finding", web},
		events: []event{finds(jtbNotice, 4, "suspicious traffic to the outside", web, c.destinations[0])}})
	s.add(beat{at: jtbBlocked, source: firewall, open: true, code: "jtb_blocked", facts: []string{c.destinations[0], fmt.Sprint(len(c.destinations))}, seen: seen{"half_blocked", ""},
		events: []event{speaks(jtbBlocked, web, serverAddress[web], c.destinations[0], 5)}})
	s.add(beat{at: jtbBulk, code: "jtb_bulk", facts: []string{reporting, control, thousands(uint64(s.figures.exported))}, seen: seen{"bulk", control}, do: s.steal})
	s.add(beat{at: jtbBulk.Add(35 * time.Minute), code: "jtb_file", facts: []string{control}, seen: seen{"file_birth", control}, needsFile: true, do: func(ctx context.Context) error {
		at := s.clock.now()
		return s.reporter.post(ctx, agents, []event{changes(1, at, control, reporting, fileOf("/srv/staging/out.csv", s.file.size, s.file.sum))})
	}})
	s.add(beat{at: jtbBulk.Add(100 * time.Minute), code: "jtb_large", facts: []string{product}, seen: seen{"large_file", product}, needsFile: true, do: func(ctx context.Context) error {
		return s.reporter.post(ctx, agents, []event{changes(1, s.clock.now(), product, reporting, fileOf("/var/lib/app/data/a7", s.file.size, s.file.sum))})
	}})
	s.add(beat{at: jtbBulk.Add(115 * time.Minute), source: agents, open: true, code: "jtb_disk", facts: []string{product}, seen: seen{"disk_full", product},
		events: []event{ails(jtbBulk.Add(115*time.Minute), product, "disk_space", "less than 5 % of the disk is free", 700<<20)}})
	s.add(beat{at: jtbBulk.Add(190 * time.Minute), code: "jtb_deleted", facts: []string{control}, needsFile: true, do: func(ctx context.Context) error {
		if err := s.file.remove(); err != nil {
			return err
		}
		return s.reporter.post(ctx, agents, []event{changes(4, s.clock.now(), control, reporting, fileOf("/srv/staging/out.csv", 0, ""))})
	}})
	for n, to := range c.destinations[1:] {
		at := day2016(3, 22, 9, 30).Add(time.Duration(n) * 16 * time.Hour)
		b := beat{at: at, source: provider, events: []event{finds(at, 4, "another destination of the same kind", hosts[n%len(hosts)], to)}}
		if n == 0 {
			b.open, b.code, b.facts = true, "jtb_more", []string{fmt.Sprint(len(c.destinations) - 1)}
		}
		s.add(b)
	}
	var refused []event
	for n, to := range c.destinations {
		refused = append(refused, speaks(jtbAll, hosts[n%len(hosts)], address(hosts[n%len(hosts)]), to, 5))
	}
	s.add(beat{at: jtbAll, source: firewall, events: refused, open: true, code: "jtb_all", facts: []string{fmt.Sprint(len(c.destinations))}})
}
