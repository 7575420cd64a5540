package drill

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"

	"sekisho/demo"
)

// An act is one thing that an actor does at one moment. Acts of one moment are
// done side by side, each by another desk.
type act struct {
	at   time.Time
	desk desk
	work work
}

// work is one of look, slice, page.
type work interface{}

// look shows single members' cards.
type look struct {
	sql     string
	members []int64
	stolen  bool // it is the attacker who looks
}

// slice reads a range of members for an approved job.
type slice struct {
	sql      string
	from, to int64 // member numbers, to exclusive
}

// page is one step of a sweep.
type page struct {
	after int64 // member number
	rows  int
	burst int    // index in bursts
	stash string // where its rows go
}

// A script is everything that the actors are going to do, in order.
type script struct {
	seed, storeSeed uint64
	members         int
	acts            []act
}

// stream gives the random numbers of one part of the script, so that a change
// to one part leaves the others as they are.
func (s *script) stream(part uint64) *rand.Rand {
	return rand.New(rand.NewPCG(s.seed, part))
}

const (
	streamStaff = iota + 1
	streamJobs
	streamTrial
	streamBursts
	streamNetwork
	streamRecovered
)

// number is the member number of member i; beyond the last it is one that
// nobody has.
func (s *script) number(i int) int64 {
	if i >= s.members {
		return demo.MemberNo(s.storeSeed, s.members-1) + 1
	}
	return demo.MemberNo(s.storeSeed, i)
}

// count is a share of the members as this seed has it.
func (s *script) count(r *rand.Rand, share float64) int {
	return int(share*float64(s.members)*(1+jitter*(2*r.Float64()-1)) + 0.5)
}

func newScript(seed, storeSeed uint64, members int) *script {
	s := &script{seed: seed, storeSeed: storeSeed, members: members}
	s.ordinary()
	s.approved()
	s.trial()
	for i := range bursts {
		s.burst(i)
	}
	// Of the acts of one moment at one desk the order is that of the script.
	slices.SortStableFunc(s.acts, func(a, b act) int { return cmp.Or(a.at.Compare(b.at)) })
	return s
}

// ordinary: whoever is on duty serves callers in two or three busy spells of
// the day.
func (s *script) ordinary() {
	r := s.stream(streamStaff)
	all := staff()
	// A small company has as many desks and fewer callers.
	business := min(1, max(0.15, float64(s.members)/40_000))
	for day := firstDay; !day.After(lastDay); day = day.AddDate(0, 0, 1) {
		onDuty := 0.55
		if d := day.Weekday(); d == time.Saturday || d == time.Sunday {
			onDuty = 0.25
		}
		for _, p := range all {
			if p.role != demo.CallCentre || r.Float64() >= onDuty*business {
				continue
			}
			for spell := range 2 + r.IntN(2) {
				at := day.Add(time.Duration(9+4*spell+r.IntN(3))*time.Hour + time.Duration(20+r.IntN(2)*30)*time.Minute)
				l := look{sql: showCard}
				if r.IntN(4) == 0 {
					l.sql = showPassport
				}
				for range 2 + r.IntN(4) {
					l.members = append(l.members, s.number(r.IntN(s.members)))
				}
				if at.Before(askedAt) {
					s.acts = append(s.acts, act{at, desk{p.account, p.endpoint, "call-desk"}, l})
				}
			}
		}
	}
}

// approved: each job takes its next slice every week, in two runs an hour
// apart, and begins anew after the last member.
func (s *script) approved() {
	r := s.stream(streamJobs)
	for _, j := range jobs {
		next := int(j.begin * float64(s.members))
		for day := firstJob; !day.After(lastDay); day = day.AddDate(0, 0, 1) {
			if day.Weekday() != j.weekday {
				continue
			}
			n := s.count(r, j.share)
			for run := range 2 {
				at := day.Add(time.Duration(j.hour+run)*time.Hour + 5*time.Minute)
				for part := (n + run) / 2; part > 0; {
					from := next % s.members
					to := min(from+part, s.members)
					s.acts = append(s.acts, act{at, desk{j.account, j.endpoint, "bulk-job"}, slice{j.sql, s.number(from), s.number(to)}})
					part, next = part-(to-from), to
				}
			}
		}
	}
}

// trial: the attacker tries the stolen accounts out, a few people an evening.
func (s *script) trial() {
	r := s.stream(streamTrial)
	people := map[int]bool{}
	days := int(trialOff.Sub(trialOn)/(24*time.Hour)) + 1
	for done := 0; done < trialPeople; {
		day := trialOn.AddDate(0, 0, r.IntN(days))
		d := desk{supervisor, deskPC, "call-desk"}
		if r.IntN(2) == 0 {
			d = desk{marketer, marketingPC, "call-desk"}
		}
		l := look{sql: showCard, stolen: true}
		for range min(1+r.IntN(4), trialPeople-done) {
			i := r.IntN(s.members)
			for people[i] {
				i = r.IntN(s.members)
			}
			people[i] = true
			l.members = append(l.members, s.number(i))
			done++
		}
		s.acts = append(s.acts, act{day.Add(time.Duration(21+r.IntN(2))*time.Hour + time.Duration(r.IntN(4)*15)*time.Minute), d, l})
	}
}

// burst lays one day's sweeps: pages along ranges that begin anywhere, evenly
// over the hours, from the stolen accounts in turn.
func (s *script) burst(n int) {
	b := &bursts[n]
	r := s.stream(streamBursts + 100*uint64(n))
	size := max(leastPage, int(pageShare*float64(s.members)+0.5))
	total := s.count(r, b.share)
	pages := max(1, (total+size-1)/size)
	perRange := (pages + b.ranges - 1) / b.ranges
	var begins []int
	for len(begins) < b.ranges {
		i := r.IntN(max(1, s.members-perRange*size))
		if !slices.ContainsFunc(begins, func(o int) bool { return i < o+perRange*size && o < i+perRange*size }) || s.members < 4*b.ranges*perRange*size {
			begins = append(begins, i)
		}
	}
	thieves := [...]desk{{supervisor, deskPC, "console"}, {marketer, marketingPC, "console"}}
	every := b.until.Sub(b.from) / time.Duration(pages)
	for i := range pages {
		at := b.from.Add(time.Duration(i) * every).Truncate(time.Minute)
		d := thieves[i%len(thieves)]
		rows := min(size, total-i*size)
		s.acts = append(s.acts, act{at, d, page{s.number(begins[i/perRange]+i%perRange*size) - 1, rows, n, d.endpoint}})
	}
	if quiet := s.count(r, b.quiet); b.quiet > 0 && quiet > 0 {
		d := desk{mailing, marketingPC, "bulk-job"}
		s.acts = append(s.acts, act{b.from.Add(25 * time.Minute), d, page{s.number(r.IntN(max(1, s.members-quiet))) - 1, quiet, n, ""}})
	}
}
