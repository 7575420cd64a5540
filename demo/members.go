package demo

import (
	"encoding/hex"
	"math/bits"
	"strconv"
	"time"
)

// Date is days since 1970-01-01. Every field of this type is filled: zero is
// that day, not none.
type Date int32

// DateOf is the date of a day.
func DateOf(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

func (d Date) append(b []byte) []byte {
	return time.Unix(int64(d)*86400, 0).UTC().AppendFormat(b, "2006-01-02")
}

// String is the date as PostgreSQL prints it: 2006-01-02.
func (d Date) String() string { return string(d.append(nil)) }

// Member is one row of crm.member. An empty string stands for NULL.
type Member struct {
	No         int64
	NameKanji  string // empty for who has no Japanese name
	NameKana   string
	NameLatin  string
	Sex        string // "F", "M" or "X"
	BirthDate  Date
	PostalCode string
	Address    string // in Japanese, or in Latin script for who lives abroad
	Country    string // of residence, ISO 3166-1
	Email      string
	Phone      string
	Workplace  string
	Department string
	Partner    string // code of the partner of origin
	JoinedOn   Date
}

// MemberColumns are the columns of crm.member, in the order of Values.
var MemberColumns = [...]string{"member_no", "name_kanji", "name_kana", "name_latin", "sex", "birth_date", "postal_code", "address",
	"country", "email", "phone", "workplace", "department", "partner_code", "joined_on"}

// Values is the row in PostgreSQL's text form, NULL as an empty string.
func (m *Member) Values() []string {
	return []string{strconv.FormatInt(m.No, 10), m.NameKanji, m.NameKana, m.NameLatin, m.Sex, m.BirthDate.String(), m.PostalCode, m.Address,
		m.Country, m.Email, m.Phone, m.Workplace, m.Department, m.Partner, m.JoinedOn.String()}
}

// Passport is one row of crm.passport.
type Passport struct {
	MemberNo  int64
	No        string
	Country   string
	IssuedOn  Date
	ExpiresOn Date
}

// Loyalty is one row of crm.loyalty_account.
type Loyalty struct {
	MemberNo int64
	Miles    int64
	Tier     string
}

// Card is one row of crm.card. The number is in an issuer's test range.
type Card struct {
	MemberNo int64
	No       string
	Expires  Date
}

// Each table draws from a stream of its own, so that one can be made without
// the others.
const (
	streamNumber = iota + 1
	streamMember
	streamPassport
	streamLoyalty
	streamCard
	streamCredential
	streamFlight
)

// A draw is a stream of random numbers (splitmix64) that depends on nothing
// but its seed, the index and the stream. Its numbers may never change: a
// filled store is compared with what it should hold by seed and size alone.
type draw uint64

func newDraw(seed, i uint64, stream int) draw {
	d := draw(seed ^ uint64(stream)*0x9e3779b97f4a7c15)
	d = draw(d.next() + i*0xd1342543de82ef95)
	return draw(d.next())
}

func (d *draw) next() uint64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (d *draw) intn(n int) int {
	hi, _ := bits.Mul64(d.next(), uint64(n))
	return int(hi)
}

// skewed favours low numbers, as common names are.
func (d *draw) skewed(n int) int { return min(d.intn(n), d.intn(n)) }

func (d *draw) between(from, until Date) Date { return from + Date(d.intn(int(until-from))) }

func (d *draw) digits(b []byte, n int) []byte {
	for range n {
		b = append(b, byte('0'+d.intn(10)))
	}
	return b
}

func pick[T any](d *draw, list []T) T { return list[d.intn(len(list))] }

// MemberNo is the number of member i of a store, i from 0. Numbers have nine
// digits, ascend with i, and leave gaps, up to 20 million members.
func MemberNo(seed uint64, i int) int64 {
	const first, stride = 120_000_000, 43
	d := newDraw(seed, uint64(i), streamNumber)
	return first + int64(i)*stride + int64(d.intn(stride))
}

// MemberAt is member i of the store with this seed, i from 0. It is the same
// in a store of any size.
func MemberAt(seed uint64, i int) Member {
	d := newDraw(seed, uint64(i), streamMember)
	m := Member{No: MemberNo(seed, i)}
	woman := d.intn(1000) < 460
	m.Sex = "M"
	if woman {
		m.Sex = "F"
	}
	m.BirthDate = d.between(DateOf(1932, 1, 1), DateOf(1970, 1, 1)) + Date(d.intn(366*26))
	m.JoinedOn = d.between(max(DateOf(1993, 11, 1), m.BirthDate+6*365), DateOf(2014, 7, 1))

	abroad := d.intn(1000) < 118
	var family, given name
	switch {
	case abroad && d.intn(100) < 80:
		at := landAt(d.intn(1000))
		n := d.intn(len(at.first)/2) * 2
		if !woman {
			n++
		}
		given.latin, family.latin = at.first[n], pick(&d, at.families)
		m.residesIn(&d, at)
	case abroad:
		m.residesIn(&d, landAt(d.intn(1000)))
		fallthrough
	default:
		family, given = surnames[d.skewed(len(surnames))], menNames[d.skewed(len(menNames))]
		if woman {
			given = womenNames[d.skewed(len(womenNames))]
		}
		m.NameKanji = family.kanji + " " + given.kanji
		m.NameKana = family.kana + " " + given.kana
	}
	m.NameLatin = given.latin + " " + family.latin
	if d.intn(1000) < 4 {
		m.Sex = "X"
	}
	if !abroad {
		m.residesInJapan(&d)
	}
	if d.intn(1000) < 930 {
		m.Email = mailOf(&d, given.latin, family.latin)
	}
	if d.intn(1000) < 420 {
		m.Workplace = pick(&d, companyFirst[:]) + pick(&d, companySecond[:])
		if d.intn(1000) < 700 {
			m.Department = pick(&d, departments[:])
		}
	}
	for n, at := d.intn(1000), 0; at < len(partners); at++ {
		if n -= partners[at].weight; n < 0 {
			m.Partner = partners[at].code
			break
		}
	}
	return m
}

func landAt(n int) *land {
	for i := range lands {
		if n -= lands[i].weight; n < 0 {
			return &lands[i]
		}
	}
	return &lands[0]
}

func (m *Member) residesIn(d *draw, at *land) {
	m.Country = at.code
	m.PostalCode = string(d.digits(nil, 5))
	m.Address = strconv.Itoa(1+d.intn(998)) + " " + pick(d, at.streets) + ", " + pick(d, at.cities)
	n := 4
	switch at.code {
	case "US":
		n = 2
	case "GB", "AU", "DE":
		n = 3
	}
	m.Phone = string(d.digits([]byte(at.dial), n))
}

func (m *Member) residesInJapan(d *draw) {
	m.Country = "JP"
	town := pick(d, towns[:])
	m.PostalCode = string(d.digits([]byte(town.postal+"-"), 4))
	m.Address = town.name + pick(d, quarters[:]) + strconv.Itoa(1+d.intn(9)) + "-" + strconv.Itoa(1+d.intn(30)) + "-" + strconv.Itoa(1+d.intn(25))
	if d.intn(100) < 35 {
		m.Address += " " + pick(d, buildings[:]) + strconv.Itoa(1+d.intn(12)) + "0" + strconv.Itoa(1+d.intn(8)) + "号室"
	}
	// No Japanese number goes on with 0 after the prefix of mobiles.
	m.Phone = string(d.digits([]byte(pick(d, []string{"090-0", "080-0", "070-0"})), 3))
	m.Phone = string(d.digits([]byte(m.Phone+"-"), 4))
}

func mailOf(d *draw, given, family string) string {
	b := make([]byte, 0, 48)
	for _, part := range [2]string{given, family} {
		for i := range len(part) {
			if c := part[i] | 0x20; c >= 'a' && c <= 'z' {
				b = append(b, c)
			}
		}
		if len(b) > 0 && b[len(b)-1] != '.' {
			b = append(b, '.')
		}
	}
	b = d.digits(b[:len(b)-1], 2+d.intn(4))
	b = append(b, '@')
	return string(append(b, mailDomains[d.skewed(len(mailDomains))]...))
}

// PassportOf is the passport of member i; about 32 in 100 members have told
// one. Of these about 60 in 100 end after September 2014, and 45 in 100 after
// November 2026.
func PassportOf(seed uint64, i int) (Passport, bool) {
	d := newDraw(seed, uint64(i), streamPassport)
	if d.intn(1000) >= 320 {
		return Passport{}, false
	}
	m := MemberAt(seed, i)
	p := Passport{MemberNo: m.No, Country: m.Country}
	if m.NameKanji != "" {
		p.Country = "JP"
	}
	p.No = string(d.digits([]byte{byte('M' + d.intn(9)), byte('A' + d.intn(26))}, 7))
	switch n := d.intn(100); {
	case n < 40:
		p.ExpiresOn = d.between(DateOf(2008, 1, 1), DateOf(2014, 8, 1))
	case n < 55:
		p.ExpiresOn = d.between(DateOf(2014, 10, 1), DateOf(2026, 10, 1))
	default:
		p.ExpiresOn = d.between(DateOf(2026, 12, 1), DateOf(2036, 1, 1))
	}
	p.IssuedOn = p.ExpiresOn - 3652
	return p, true
}

// LoyaltyOf is the loyalty account of member i.
func LoyaltyOf(seed uint64, i int) Loyalty {
	d := newDraw(seed, uint64(i), streamLoyalty)
	l := Loyalty{MemberNo: MemberNo(seed, i), Tier: "basic", Miles: int64(d.skewed(20_000))}
	switch n := d.intn(1000); {
	case n < 12:
		l.Tier, l.Miles = "diamond", l.Miles*40
	case n < 40:
		l.Tier, l.Miles = "sapphire", l.Miles*15
	case n < 110:
		l.Tier, l.Miles = "crystal", l.Miles*5
	}
	return l
}

// CardOf is the payment card of member i, if there is one.
func CardOf(seed uint64, i int) (Card, bool) {
	d := newDraw(seed, uint64(i), streamCard)
	if d.intn(1000) >= 550 {
		return Card{}, false
	}
	b := d.digits([]byte("400000"), 9)
	sum := 0 // ISO/IEC 7812-1, annex B
	for i, c := range b {
		n := int(c - '0')
		if i%2 == 0 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	b = append(b, byte('0'+(10-sum%10)%10))
	return Card{MemberNo: MemberNo(seed, i), No: string(b), Expires: d.between(DateOf(2027, 1, 1), DateOf(2031, 12, 1))}, true
}

// appendCredential appends what stands for the hash of a member's password. No
// password has it.
func appendCredential(b []byte, seed uint64, i int) []byte {
	d := newDraw(seed, uint64(i), streamCredential)
	var raw [24]byte
	for n := range raw {
		raw[n] = byte(d.next() >> 32)
	}
	b = append(b, "$demo$"...)
	return hex.AppendEncode(b, raw[:])
}
