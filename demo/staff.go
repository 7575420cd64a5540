package demo

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"strings"
)

// StaffDomain is where the group's people have their mail: a domain of nobody
// (RFC 2606).
const StaffDomain = "hinomaru.example"

// CallCentreUnit is the department of the first company, 0001, that reads members'
// records all day.
const CallCentreUnit = "予約センター"

// The group's companies, with their departments and how many of a hundred people
// work there.
var group = [...]struct {
	code, name  string
	share       int
	departments []string
}{
	{"0001", "日の丸航空", 46, []string{CallCentreUnit, "空港部", "運航本部", "客室本部", "会員事業部", "情報システム部", "個人情報保護室"}},
	{"0002", "日の丸旅行", 22, []string{"団体営業部", "店舗営業部", "商品部", "管理部"}},
	{"0003", "日の丸整備", 18, []string{"機体整備部", "装備品部", "管理部"}},
	{"0004", "日の丸グランドサービス", 14, []string{"旅客課", "貨物課", "管理部"}},
}

// A colleague is somebody of the group whom the rest of the demo knows by name.
type colleague struct {
	user, name, kana, department, post string
	executive                          bool
}

var colleagues = [...]colleague{
	{"yamada", "山田 花子", "ヤマダ ハナコ", "運航本部", "社長", true},
	{"sato", "佐藤 陽子", "サトウ ヨウコ", "個人情報保護室", "部長", false},
	{"admin", "田村 澪", "タムラ ミオ", "情報システム部", "課長", false},
	{"suzuki", "鈴木 愛", "スズキ アイ", CallCentreUnit, "", false},
	{"tanaka", "田中 剛", "タナカ ツヨシ", CallCentreUnit, "", false},
}

// Staff is the group's table of staff, as a system of human resources writes it:
// CSV with Japanese headings, one row a posting, so many people. The same seed
// gives the same people. Nobody of them exists.
func Staff(seed uint64, people int) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	// Write fails only where the buffer does, and that does not.
	w.Write([]string{"ログインID", "氏名", "カナ", "メール", "言語", "雇用区分", "役員", "入社日", "退職日", "会社コード", "会社名", "部署", "役職", "本務兼務"})
	taken := map[string]int{}
	row := func(c colleague, employed, joined, left string, company int, as string) {
		executive := ""
		if c.executive {
			executive = "はい"
		}
		at := group[company]
		w.Write([]string{c.user, c.name, c.kana, c.user + "@" + StaffDomain, "ja", employed, executive, joined, left, at.code, at.name, c.department, c.post, as})
	}
	for _, c := range colleagues {
		taken[c.user]++
		employed := "正社員"
		if c.executive {
			employed = "役員"
		}
		row(c, employed, "2010-04-01", "", 0, "本務")
	}
	for i := len(colleagues); i < people; i++ {
		d := newDraw(seed, uint64(i), 77)
		family, given := surnames[d.skewed(len(surnames))], menNames[d.skewed(len(menNames))]
		if d.intn(2) == 0 {
			given = womenNames[d.skewed(len(womenNames))]
		}
		c := colleague{user: strings.ToLower(family.latin), name: family.kanji + " " + given.kanji, kana: family.kana + " " + given.kana}
		if taken[c.user]++; taken[c.user] > 1 {
			c.user = fmt.Sprintf("%s%d", c.user, taken[c.user])
		}
		company, n := 0, d.intn(100)
		for n >= group[company].share {
			n -= group[company].share
			company++
		}
		c.department = group[company].departments[d.intn(len(group[company].departments))]
		employed := "正社員"
		switch n := d.intn(100); {
		case n < 8:
			employed = "派遣"
		case n < 13:
			employed = "出向"
		case n < 20:
			c.post = "課長"
		case n < 24:
			c.post = "部長"
		case n < 26:
			employed, c.post, c.executive = "役員", "取締役", true
		}
		joined, left := d.between(DateOf(1988, 4, 1), DateOf(2026, 4, 1)).String(), ""
		if d.intn(30) == 0 {
			left = d.between(DateOf(2026, 5, 1), DateOf(2026, 9, 1)).String()
		}
		row(c, employed, joined, left, company, "本務")
		if d.intn(40) == 0 && left == "" { // also somewhere else
			other := (company + 1) % len(group)
			c.department = group[other].departments[d.intn(len(group[other].departments))]
			row(c, employed, joined, left, other, "兼務")
		}
	}
	w.Flush()
	return b.Bytes()
}
