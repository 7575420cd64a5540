package drill

import (
	"fmt"
	"time"

	"sekisho/demo"
)

// The plan of jal-2014. Sizes are shares of the members, so that the same plan
// plays with any number of them; the seed moves each by a few percent and
// draws who, where and when. Figures and dates are the case's where the public
// reports give them, and invented where they do not.

// Names of the cast. The people are nobody.
const (
	supervisor = "t.kuroda" // call centre, at pc-0417; the account was stolen
	marketer   = "m.hayase" // marketing, at pc-0533; the account was stolen
	mailing    = "batch.mailing"
	statements = "batch.statements"

	deskPC      = "pc-0417" // infected
	marketingPC = "pc-0533" // infected
	firstPC     = "pc-0398" // infected first; nobody opens the customer store on it

	dropSite = "203.0.113.66" // RFC 5737, as all addresses outside
	relay    = "198.51.100.23"

	enquiries = "customer_enquiry"
	mailings  = "mailing"
)

// infected are the terminals that could open the customer store.
var infected = [...]string{deskPC, marketingPC}

var (
	japan = time.FixedZone("JST", 9*3600)

	firstDay  = time.Date(2014, 7, 1, 0, 0, 0, 0, japan) // of the ledger
	lastDay   = time.Date(2014, 9, 24, 0, 0, 0, 0, japan)
	firstJob  = time.Date(2014, 7, 14, 0, 0, 0, 0, japan) // a Monday
	windowOn  = time.Date(2014, 8, 18, 0, 0, 0, 0, japan)
	windowOff = time.Date(2014, 9, 23, 0, 0, 0, 0, japan)

	beaconOn = time.Date(2014, 7, 30, 0, 0, 0, 0, japan)
	trialOn  = time.Date(2014, 7, 31, 0, 0, 0, 0, japan)
	trialOff = time.Date(2014, 9, 18, 0, 0, 0, 0, japan) // its last day
	askedAt  = time.Date(2014, 9, 24, 10, 0, 0, 0, japan)
)

// trialPeople is how many people were read before the bursts, a few an
// evening.
const trialPeople = 139

// A burst is one day's mass reading: in sweeps along the member numbers, from
// the stolen accounts in turn.
type burst struct {
	from, until time.Time
	share       float64 // of the members
	ranges      int     // of member numbers, each from another place
	// quiet is read with the account of the weekly mailing from the very
	// terminal that the mailing runs on, no faster than that.
	quiet float64
	send  []parcel
}

// A parcel is what one terminal sends to the drop site: the first volumes of
// what it staged that day.
type parcel struct {
	endpoint string
	at       time.Time
	volumes  int
}

var bursts = [...]burst{
	{
		from: time.Date(2014, 9, 19, 11, 30, 0, 0, japan), until: time.Date(2014, 9, 19, 23, 30, 0, 0, japan),
		share: 0.12008, ranges: 3,
		send: []parcel{{deskPC, time.Date(2014, 9, 19, 23, 41, 0, 0, japan), 3}},
	},
	{
		from: time.Date(2014, 9, 22, 11, 0, 0, 0, japan), until: time.Date(2014, 9, 22, 15, 40, 0, 0, japan),
		share: 0.08988, ranges: 2, quiet: 0.0057,
		send: []parcel{{marketingPC, time.Date(2014, 9, 22, 13, 17, 0, 0, japan), 3}},
	},
}

const (
	pageShare   = 0.0025  // of the members in one statement of a burst
	leastPage   = 260     // rows: a burst is one in a small store, too
	volumeShare = 0.00094 // of the members in one archive
	leastVolume = 20      // rows

	recoveredShare = 0.004369 // of the members, as rows of the recovered file
	damaged        = 0.12     // of its rows

	jitter = 0.05 // by which a seed moves a share, up or down
)

// A job is an approved bulk job: once a week, one slice of the members after
// the other, from firstJob on.
type job struct {
	account, endpoint string
	weekday           time.Weekday
	hour              int
	share             float64 // of the members, each week
	begin             float64 // where in the members the first slice begins
	sql               string
	purpose           string
}

var jobs = [...]job{
	{mailing, marketingPC, time.Tuesday, 20, 0.0700, 0.00, cardOf, mailings},
	{statements, deskPC, time.Wednesday, 21, 0.0639260, 0.50, cardOf, mailings},
	{"batch.renewal", "pc-0702", time.Thursday, 19, 0.0090, 0.21, passportOf, mailings},
	{"batch.survey", "pc-0715", time.Monday, 19, 0.0060, 0.73, cardOf, mailings},
	{"batch.partner", "pc-0720", time.Friday, 20, 0.0110, 0.35, cardOf, mailings},
}

// The application's own statements. What it shows always has the whole card,
// because its operators compare it with what the caller says.
const (
	card = "select m.member_no, m.name_kanji, m.name_kana, m.name_latin, m.sex, m.birth_date, m.postal_code, m.address, m.country," +
		" m.email, m.phone, m.workplace, m.department, m.partner_code, m.joined_on, l.miles, l.tier"
	cardTables = " from crm.member m join crm.loyalty_account l on l.member_no = m.member_no"
	passport   = card + ", p.passport_no, p.expires_on" + cardTables + " left join crm.passport p on p.member_no = m.member_no"

	showCard     = card + cardTables + " where m.member_no = $1"
	showPassport = passport + " where m.member_no = $1"
	cardOf       = card + cardTables + " where m.member_no >= $1 and m.member_no < $2"
	passportOf   = passport + " where m.member_no >= $1 and m.member_no < $2"
	// sweep is the attacker's.
	sweep = card + cardTables + " where m.member_no > $1 order by m.member_no limit $2"
)

// loot is what the attacker keeps of a row: columns of card.
var loot = [...]struct {
	column  int
	heading string
}{{0, "会員番号"}, {1, "氏名"}, {4, "性別"}, {5, "生年月日"}, {7, "住所"}, {9, "メールアドレス"}, {11, "勤務先"}}

// A person of the staff: an account, the role that it acts in, and the
// terminal on the desk.
type person struct {
	account, role, endpoint string
}

const (
	desks    = 48  // pc-0401 and on
	perDesk  = 4   // share one in shifts
	marketed = 6   // pc-0531 and on: marketing
	firstNo  = 401 // of the call centre's terminals
)

var surnames = [...]string{"aihara", "banno", "chiba", "deguchi", "ebina", "fukaya", "goda", "hirose", "ikuta", "jinbo", "kayama", "kubota",
	"makino", "misumi", "mukai", "nagase", "nishio", "ogata", "okabe", "onuki", "rokkaku", "sagara", "sakuma", "shiba", "soma", "sugita",
	"tabata", "tanabe", "tokita", "toyama", "tsuda", "uchida", "umeda", "utsumi", "wakui", "yabe", "yagi", "yasui", "yonai", "yuki"}

// staff lists everybody, in the order of their desks.
func staff() []person {
	var all []person
	name := func() string {
		n := len(all)
		return fmt.Sprintf("%c.%s", "akmnrsty"[n/len(surnames)%8], surnames[n%len(surnames)])
	}
	for d := range desks {
		at := fmt.Sprintf("pc-%04d", firstNo+d)
		for s := range perDesk {
			p := person{name(), demo.CallCentre, at}
			if at == deskPC && s == 0 {
				p.account = supervisor
			}
			all = append(all, p)
		}
	}
	for d := range marketed {
		at := fmt.Sprintf("pc-%04d", 531+d)
		p := person{name(), demo.CallCentre, at}
		if at == marketingPC {
			p.account = marketer
		}
		all = append(all, p)
	}
	for _, j := range jobs {
		all = append(all, person{j.account, demo.Batch, j.endpoint})
	}
	return all
}

// terminals lists every endpoint, the one without a user of the store last.
func terminals(all []person) []string {
	var names []string
	seen := map[string]bool{}
	for _, p := range all {
		if !seen[p.endpoint] {
			seen[p.endpoint] = true
			names = append(names, p.endpoint)
		}
	}
	return append(names, firstPC)
}

// addressOf is where terminal i of the list stands.
func addressOf(i int) string { return fmt.Sprintf("10.20.%d.%d", 4+i/40, 11+i%40) }
