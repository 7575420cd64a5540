package demo_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/demo"
)

// What a seed has once told stays: filled stores and expected figures rest on it.
func TestMembersNeverChange(t *testing.T) {
	want := []string{
		0:  "120000015|林 明美|ハヤシ アケミ|Akemi Hayashi|F|1975-08-27|220-5915|神奈川県横浜市西区八幡5-4-23|JP|akemi.hayashi58@example.co.jp|090-0968-3857|||RAIL|2002-09-07",
		9:  "120000428|||Michael Moore|M|1950-08-01|44278|771 Lake View Drive, New York, NY|US|michael.moore047@post.example|+1-212-555-0164|紀ノ川生命保険||RAIL|2005-11-11",
		11: "120000477|山崎 大翔|ヤマザキ ヒロト|Hiroto Yamazaki|M|1972-05-29|21513|679 Jiefang Road, Beijing|CN|hiroto.yamazaki49@example.org|+86-100-0000-4034|||SHOP|2000-10-13",
	}
	for i, row := range want {
		m := demo.MemberAt(seed, i)
		if got := strings.Join(m.Values(), "|"); row != "" && got != row {
			t.Errorf("member %d is\n%s, was\n%s", i, got, row)
		}
	}
}

func TestMembersArePlausible(t *testing.T) {
	t.Parallel()
	const members = 50_000
	var abroad, mail, partner, passports, valid2014, valid2026, cards int
	var before int64
	phones, mails := map[string]int{}, map[string]int{}
	for i := range members {
		m := demo.MemberAt(seed, i)
		if m.No <= before || m.No < 100_000_000 || m.No > 999_999_999 {
			t.Fatalf("member number %d after %d", m.No, before)
		}
		before = m.No
		for column, v := range m.Values() {
			if strings.ContainsAny(v, "\t\n\\") {
				t.Fatalf("%s holds a character that COPY would take for its own: %q", demo.MemberColumns[column], v)
			}
		}
		if m.Country != "JP" {
			abroad++
			if strings.ContainsFunc(m.Address, func(r rune) bool { return r > 0x7f }) {
				t.Errorf("an address in %s reads %s", m.Country, m.Address)
			}
		}
		if m.Email != "" {
			mail++
			mails[m.Email]++
			_, domain, _ := strings.Cut(m.Email, "@")
			if !strings.HasSuffix(domain, ".example") && !slices.Contains([]string{"example.com", "example.net", "example.org", "example.jp", "example.co.jp"}, domain) {
				t.Errorf("%s could be somebody's", m.Email)
			}
		}
		phones[m.Phone]++
		if m.Partner != "" {
			partner++
		}
		if p, ok := demo.PassportOf(seed, i); ok {
			passports++
			if p.MemberNo != m.No || p.IssuedOn >= p.ExpiresOn {
				t.Errorf("passport %+v of member %d", p, m.No)
			}
			if p.ExpiresOn >= demo.DateOf(2014, time.September, 22) {
				valid2014++
			}
			if p.ExpiresOn >= demo.DateOf(2026, time.November, 21) {
				valid2026++
			}
		}
		if k, ok := demo.CardOf(seed, i); ok {
			cards++
			if k.MemberNo != m.No || len(k.No) != 16 || !strings.HasPrefix(k.No, "400000") {
				t.Errorf("card %+v of member %d", k, m.No)
			}
		}
	}
	for _, share := range []struct {
		of                string
		n, all, low, high int // in 100
	}{
		{"members abroad", abroad, members, 10, 14},
		{"members with e-mail", mail, members, 90, 96},
		{"members with a partner", partner, members, 65, 75},
		{"members with a passport", passports, members, 31, 33},
		{"passports valid in September 2014", valid2014, passports, 57, 63},
		{"passports valid in November 2026", valid2026, passports, 42, 48},
		{"members with a card", cards, members, 53, 57},
		{"distinct e-mail addresses", len(mails), mail, 98, 100},
		{"distinct telephone numbers", len(phones), members, 90, 100},
	} {
		if pc := 100 * share.n / share.all; pc < share.low || pc > share.high {
			t.Errorf("%s: %d of %d, want %d to %d in 100", share.of, share.n, share.all, share.low, share.high)
		}
	}
}
