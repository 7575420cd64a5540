package drill

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// The plan of jtb-2016. Figures and dates are the case's where the public
// reports give them; people, machines, addresses and domains are invented.

// Jtb2016 is the scenario's name.
const Jtb2016 = "jtb-2016"

const (
	// DefaultSeedJtb is that of the shipped plan.
	DefaultSeedJtb = 2016
	// FullJtb is the rows of the file that was found: 7.93 million.
	FullJtb = 7_930_000

	passportRows = 9_154   // of FullJtb told a passport number
	validRows    = 4_359   // of these valid
	partnerRows  = 330_000 // of FullJtb belong to a partner
)

// Names of the cast.
const (
	reporting  = "svc.report" // a program's account
	home       = "srv-app-11" // where the program runs
	control    = "srv-ctl-22" // holds no personal data; taken over
	web        = "srv-web-21" // holds no personal data; taken over
	product    = "srv-db-31"  // a product database
	mailServer = "mx-01"

	ourMailbox = "enquiry@i-agency.example"
	airline    = "aozora-air.example" // a partner

	partnerCode = "DPORTAL"
	reports     = "report"
	service     = "travel_enquiry"

	agencyPCs   = 40
	infectedPCs = 6
)

func agencyPC(i int) string { return fmt.Sprintf("pc-%d", 1101+i) }
func agent(i int) string    { return fmt.Sprintf("%c.%s", "hkmnst"[i%6], surnames[i%len(surnames)]) }

// Sources that report, and how they are called in the ledger.
const (
	mailGateway = "mail-gateway"
	agents      = "endpoint-agent"
	proxy       = "web-proxy"
	firewall    = "firewall"
	provider    = "monitoring-provider"
)

var reporters = [...]string{mailGateway, agents, proxy, firewall, provider}

func day2016(month time.Month, day, hour, minute int) time.Time {
	return time.Date(2016, month, day, hour, minute, 0, 0, japan)
}

var (
	jtbFirst   = day2016(2, 8, 0, 0) // of the ledger
	jtbLure    = day2016(3, 15, 10, 32)
	jtbNotice  = day2016(3, 19, 11, 0)
	jtbBlocked = day2016(3, 20, 15, 0)
	jtbBulk    = day2016(3, 21, 1, 10)
	jtbAll     = day2016(3, 25, 16, 0)
	jtbAsked   = day2016(3, 25, 18, 0)

	// The proxy's records of these days were written over.
	proxyLost  = day2016(3, 18, 0, 0)
	proxyAgain = day2016(3, 23, 6, 0)
)

// figuresOf is how much of a store of so many rows is what, for a seed.
type jtbFigures struct {
	rows, passports, valid, partner int
	exported                        int // rows that the intruder writes to the file
}

func newJtbFigures(seed uint64, rows int) jtbFigures {
	r := jtbStream(seed, 1)
	moved := func() float64 {
		if seed == DefaultSeedJtb {
			return 1
		}
		return 1 + jitter*(2*r.Float64()-1)
	}
	of := func(n int) int { return int(float64(n)*float64(rows)/FullJtb*moved() + 0.5) }
	f := jtbFigures{rows: rows, exported: rows}
	f.passports = max(1, of(passportRows))
	f.valid = min(f.passports, of(validRows))
	f.partner = of(partnerRows)
	if seed != DefaultSeedJtb {
		f.exported = rows - int(float64(rows)*jitter*r.Float64())
	}
	return f
}

func jtbStream(seed, part uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1000+part)) }

// bookingNo is a number above every row of the store up to n: its numbers are
// 10^9 + 7i and up to six more, i from 1.
func bookingNo(n int) int64 { return 1_000_000_000 + int64(n+1)*7 }

// What the programs ask.
const (
	bookingOf = "select b.booking_no, b.name_kana, b.name_latin, b.sex, b.birth_date, b.email, b.postal_code, b.address, b.phone, p.passport_no, p.issued_on" +
		" from travel.booking b left join travel.passport p on p.booking_no = b.booking_no"
	showBooking = bookingOf + " where b.booking_no = $1"
)

// copyOf writes bookings below a number, from one on, as CSV.
func copyOf(from, to int64) string {
	return fmt.Sprintf("copy (%s where b.booking_no >= %d and b.booking_no < %d) to stdout (format csv)", bookingOf, from, to)
}
