package sensor

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Roles of a column. A role of 0 or more is a match field of the roster.
const (
	roleNone = -1
	roleKey  = -2
)

// headings are the names that people give to columns about one thing. A match
// field of the roster is about the thing among whose names its own is.
var headings = map[string][]string{
	"key":      {"key", "id", "member_no", "member_number", "member_id", "membership_number", "customer_no", "customer_number", "customer_id", "client_id", "user_id", "account_no", "会員番号", "会員No", "会員ID", "お客様番号", "お客さま番号", "顧客番号", "顧客ID", "顧客コード", "利用者番号"},
	"email":    {"email", "e-mail", "mail", "email_address", "mail_address", "メール", "メールアドレス", "eメール", "電子メール", "電子メールアドレス"},
	"phone":    {"phone", "tel", "telephone", "phone_number", "telephone_number", "mobile", "mobile_phone", "電話", "電話番号", "携帯", "携帯電話", "携帯番号", "携帯電話番号", "連絡先電話番号"},
	"name":     {"name", "full_name", "name_kanji", "name_ja", "customer_name", "member_name", "氏名", "名前", "お名前", "姓名", "会員氏名", "漢字氏名", "氏名漢字"},
	"kana":     {"kana", "name_kana", "full_name_kana", "カナ", "フリガナ", "ふりがな", "氏名カナ", "カナ氏名", "氏名フリガナ"},
	"latin":    {"name_latin", "name_roman", "name_en", "romaji", "ローマ字", "ローマ字氏名", "英字氏名"},
	"birth":    {"birth", "birth_date", "birthday", "birthdate", "date_of_birth", "dob", "生年月日", "誕生日"},
	"address":  {"address", "street_address", "home_address", "住所", "ご住所", "自宅住所"},
	"postcode": {"postcode", "postal_code", "zip", "zip_code", "zipcode", "郵便番号"},
	"passport": {"passport", "passport_no", "passport_number", "旅券番号", "パスポート番号"},
}

// heading is how names of columns are compared.
func heading(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && r != 'ー' {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(s))
}

// thing is what a column or field of this name is about; empty if not known.
func thing(name string) string {
	h := heading(name)
	for t, names := range headings {
		if slices.ContainsFunc(names, func(n string) bool { return heading(n) == h }) {
			return t
		}
	}
	return ""
}

// columnRoles gives each column of a table its role: by the heading if the
// first row is one, else by what the sampled rows hold.
func (m *matcher) columnRoles(sample []record, columns int) (roles []int, header bool) {
	roles = make([]int, columns)
	for i := range roles {
		roles[i] = roleNone
	}
	if len(sample) == 0 {
		return roles, false
	}
	for i, name := range sample[0].fields[:min(columns, len(sample[0].fields))] {
		roles[i] = m.roleOf(name)
		header = header || roles[i] != roleNone
	}
	if header {
		sample = sample[1:]
	}

	type tally struct{ filled, key, at int }
	counts := make([]tally, columns)
	found := make([][]int, columns) // for each match field, how many of the values the roster has
	for i := range found {
		found[i] = make([]int, len(m.fields))
	}
	for _, r := range sample {
		if r.flaw != "" {
			continue
		}
		for i, v := range r.fields {
			v = strings.TrimSpace(v)
			if v == "" || roles[i] != roleNone {
				continue
			}
			counts[i].filled++
			if _, ok := m.people.Find(v); ok {
				counts[i].key++
			}
			if strings.Count(v, "@") == 1 {
				counts[i].at++
			}
			for f := range m.fields {
				if len(m.people.FindBy(f, v)) > 0 {
					found[i][f]++
				}
			}
		}
	}
	taken := func(role int) bool { return slices.Contains(roles, role) }
	// At least half of a column's values must be known ones, and at least one.
	best := func(role int, count func(i int) int) {
		if taken(role) {
			return
		}
		at, most := -1, 0.5
		for i, c := range counts {
			if roles[i] != roleNone || c.filled == 0 {
				continue
			}
			if share := float64(count(i)) / float64(c.filled); share > most || share == 0.5 && at < 0 {
				at, most = i, share
			}
		}
		if at >= 0 {
			roles[at] = role
		}
	}
	best(roleKey, func(i int) int { return counts[i].key })
	for f := range m.fields {
		best(f, func(i int) int { return found[i][f] })
	}
	if m.email >= 0 {
		best(m.email, func(i int) int { return counts[i].at })
	}
	if !header && len(sample) > 1 && m.looksLikeHeader(sample[0].fields, roles) {
		header = true
	}
	return roles, header
}

func (m *matcher) roleOf(name string) int {
	h := heading(name)
	if h == "" {
		return roleNone
	}
	if slices.ContainsFunc(m.opt.KeyNames, func(n string) bool { return heading(n) == h }) {
		return roleKey
	}
	for i, f := range m.fields {
		if heading(f) == h || slices.ContainsFunc(m.opt.Names[f], func(n string) bool { return heading(n) == h }) {
			return i
		}
	}
	t := thing(name)
	if t == "key" {
		return roleKey
	}
	for i, f := range m.fields {
		if t != "" && thing(f) == t {
			return i
		}
	}
	return roleNone
}

// looksLikeHeader tells names of columns in words that we do not know from the
// data below them.
func (m *matcher) looksLikeHeader(first []string, roles []int) bool {
	used := false
	for i, v := range first {
		if strings.ContainsFunc(v, unicode.IsNumber) || strings.Contains(v, "@") || strings.TrimSpace(v) == "" {
			return false
		}
		if i < len(roles) && roles[i] >= 0 && len(m.people.FindBy(roles[i], v)) > 0 {
			return false
		}
		used = used || i < len(roles) && roles[i] != roleNone
	}
	return used
}

// dropStrangeColumns takes away the role of a column whose values hardly ever
// agree with the customers of the rows: written in another form than the
// roster's, or about somebody else, whatever its heading says. Its silence must
// not count against every row.
func (m *matcher) dropStrangeColumns(sample []record) {
	for i, role := range m.roles {
		if role < 0 {
			continue
		}
		known, agree := 0, 0
		for _, r := range sample {
			if r.flaw != "" || i >= len(r.fields) || strings.TrimSpace(r.fields[i]) == "" {
				continue
			}
			for j, v := range r.fields {
				if m.roles[j] != roleKey {
					continue
				}
				if ord, ok := m.people.Find(strings.TrimSpace(v)); ok {
					known++
					if m.people.Agrees(ord, role, r.fields[i]) {
						agree++
					}
				}
			}
		}
		if known >= 20 && agree*20 < known {
			m.roles[i] = roleNone
		}
	}
}
