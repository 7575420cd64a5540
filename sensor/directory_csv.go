package sensor

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"sekisho"
	"sekisho/directory"
)

// A DirectoryFile says how a table of staff is read.
type DirectoryFile struct {
	// Columns names the column of a field, where its heading is none that is
	// known: "user" → "ログインID".
	Columns map[string]string
	// Encoding if it is known, else it is judged: utf-8, shift_jis, …
	Encoding string
	// Zone in which dates are meant.
	Zone *time.Location
	// Most is how many rows are read at most.
	Most int
}

// staffHeadings are the names that people give to columns of a table of staff.
var staffHeadings = map[string][]string{
	"user":            {"user", "user_name", "login", "account", "upn", "userPrincipalName", "sAMAccountName", "uid", "ユーザー名", "ユーザID", "ログインID", "アカウント", "社員番号", "従業員番号", "employee_number", "employee_id"},
	"name":            {"name", "full_name", "display_name", "氏名", "名前", "姓名", "氏名漢字"},
	"kana":            {"kana", "name_kana", "フリガナ", "カナ", "ふりがな", "氏名カナ", "カナ氏名"},
	"mail":            {"mail", "email", "e-mail", "mail_address", "メール", "メールアドレス"},
	"language":        {"language", "lang", "言語", "使用言語"},
	"employed":        {"employed", "employment", "employee_type", "kind", "雇用区分", "雇用形態", "社員区分", "従業員区分"},
	"executive":       {"executive", "officer", "役員", "役員区分"},
	"leave":           {"leave", "on_leave", "休職", "休職中", "休業"},
	"joined":          {"joined", "hired", "hire_date", "join_date", "入社日", "入社年月日", "採用日"},
	"left":            {"left", "leaving_date", "termination_date", "end_date", "退職日", "退職年月日", "退社日"},
	"company":         {"company", "company_code", "会社", "会社コード", "法人コード"},
	"company_name":    {"company_name", "会社名", "法人名"},
	"department":      {"department", "department_code", "dept", "部署", "部署コード", "所属", "所属コード", "部門コード"},
	"department_name": {"department_name", "dept_name", "部署名", "所属名", "部門名"},
	"post":            {"post", "title", "job_title", "position", "役職", "職位", "役職コード"},
	"as":              {"as", "posting", "本務兼務", "本務・兼務", "兼務区分", "所属区分"},
	"from":            {"from", "posting_from", "発令日", "着任日", "異動日", "所属開始日"},
	"until":           {"until", "posting_until", "解任日", "所属終了日", "兼務終了日"},
}

// DirectoryFields are the fields that a table of staff can have.
func DirectoryFields() []string { return slices.Sorted(maps.Keys(staffHeadings)) }

// ReadDirectory reads a table of staff: one row for each posting, so that who
// has two posts has two rows. What cannot be read is refused by its line, and
// the rest is taken.
func ReadDirectory(r io.Reader, how DirectoryFile) (*directory.Snapshot, error) {
	if how.Most == 0 {
		how.Most = 1_000_000
	}
	if how.Zone == nil {
		how.Zone = time.UTC
	}
	sum := sha256.New()
	in, err := newTextReader(io.TeeReader(r, sum), how.Encoding)
	if err != nil {
		return nil, err
	}
	table := newTableReader(in)
	head, err := table.next()
	if err == io.EOF {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, err
	}
	t := &staffTable{how: how, s: &directory.Snapshot{Form: "csv"}, people: map[string]*staffRow{}, units: map[string]int{}}
	if t.columns, err = how.columns(head.fields); err != nil {
		return nil, err
	}
	for {
		row, err := table.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if row.number > uint64(how.Most) {
			return nil, fmt.Errorf("the file has more than %d rows", how.Most)
		}
		where := "row " + strconv.FormatUint(row.number, 10)
		if row.flaw != "" {
			t.refuse(where, row.flaw)
		} else if err := t.take(row.fields, where); err != nil {
			t.refuse(where, err.Error())
		}
	}
	if _, err := io.Copy(io.Discard, io.TeeReader(r, sum)); err != nil {
		return nil, err
	}
	sum.Sum(t.s.SHA256[:0])
	return t.done(), nil
}

func (t *staffTable) done() *directory.Snapshot {
	for _, user := range t.order {
		t.s.People = append(t.s.People, t.people[user].Record)
	}
	return t.s
}

// columns finds the column of each field.
func (how *DirectoryFile) columns(head []string) (map[string]int, error) {
	at := map[string]int{}
	for field, name := range how.Columns {
		if staffHeadings[field] == nil {
			return nil, fmt.Errorf("there is no field %q: the fields are %s", field, strings.Join(DirectoryFields(), ", "))
		}
		i := slices.IndexFunc(head, func(h string) bool { return heading(h) == heading(name) })
		if i < 0 {
			return nil, fmt.Errorf("the file has no column %q: its columns are %s", name, strings.Join(head, ", "))
		}
		at[field] = i
	}
	for i, h := range head {
		if slices.Contains(slices.Collect(maps.Values(at)), i) {
			continue
		}
		for field, names := range staffHeadings {
			if _, taken := at[field]; !taken && slices.ContainsFunc(names, func(n string) bool { return heading(n) == heading(h) }) {
				at[field] = i
			}
		}
	}
	if _, ok := at["user"]; !ok {
		return nil, fmt.Errorf("no column holds the user names: name it by --map user=COLUMN; the columns are %s", strings.Join(head, ", "))
	}
	return at, nil
}

// A staffTable is a table of staff being read.
type staffTable struct {
	how     DirectoryFile
	columns map[string]int
	s       *directory.Snapshot
	people  map[string]*staffRow
	order   []string
	units   map[string]int // key → where in s.Units
}

type staffRow struct{ directory.Record }

func (t *staffTable) refuse(where, why string) {
	t.s.Refused = append(t.s.Refused, directory.Refusal{Where: where, Why: why})
}

// take takes in one row, whole or not at all.
func (t *staffTable) take(fields []string, where string) error {
	return t.takeValues(func(field string) string {
		if i, ok := t.columns[field]; ok && i < len(fields) {
			return fields[i]
		}
		return ""
	}, where)
}

// takeValues takes in one person, or one posting of one, by the values of
// fields.
func (t *staffTable) takeValues(raw func(field string) string, where string) error {
	value := func(field string) string { return strings.TrimSpace(norm.NFC.String(raw(field))) }
	r := directory.Record{User: value("user"), Where: where}
	if err := goodUser(r.User); err != nil {
		return err
	}
	r.Name, r.Kana, r.Mail, r.Language = value("name"), value("kana"), value("mail"), strings.ToLower(value("language"))
	for _, s := range []string{r.Name, r.Kana, r.Mail, r.Language} {
		if len(s) > 512 || strings.ContainsFunc(s, unicode.IsControl) {
			return errors.New("a name or address is longer than 512 bytes, or has control characters")
		}
	}
	if r.Mail != "" && (strings.Count(r.Mail, "@") != 1 || strings.ContainsAny(r.Mail, " ,;<>")) {
		return errors.New("the mail address is none")
	}
	var err error
	if r.Kind, err = employed(value("employed")); err != nil {
		return err
	}
	for _, b := range []struct {
		field string
		to    *bool
	}{{"executive", &r.Executive}, {"leave", &r.Leave}} {
		if *b.to, err = truth(value(b.field)); err != nil {
			return fmt.Errorf("%s: %w", b.field, err)
		}
	}
	var p directory.Place
	for _, d := range []struct {
		field string
		to    *sekisho.Time
	}{{"joined", &r.Joined}, {"left", &r.Left}, {"from", &p.From}, {"until", &p.Until}} {
		if *d.to, err = staffDate(value(d.field), t.how.Zone); err != nil {
			return fmt.Errorf("%s: %w", d.field, err)
		}
	}
	if r.Left != 0 && r.Left < r.Joined || p.Until != 0 && p.Until < p.From {
		return errors.New("it ends before it begins")
	}
	if p.As, err = postedAs(value("as")); err != nil {
		return err
	}
	company, department := value("company"), value("department")
	if company == "" && value("company_name") != "" {
		company = value("company_name")
	}
	if department == "" {
		department = value("department_name")
	}
	units, err := place(&p, company, department, value("post"))
	if err != nil {
		return err
	}
	if err := t.merge(&r, p); err != nil {
		return err
	}
	for i, u := range units {
		u.Title = map[int]string{0: value("company_name"), 1: value("department_name")}[i]
		t.unit(u)
	}
	return nil
}

// merge adds a row to the person of its user name: all rows of one must agree.
func (t *staffTable) merge(r *directory.Record, p directory.Place) error {
	had := t.people[r.User]
	if had == nil {
		had = &staffRow{*r}
		t.people[r.User] = had
		t.order = append(t.order, r.User)
	} else if one := *r; one.Attributes != had.Attributes || one.Kind != had.Kind || one.Joined != had.Joined || one.Left != had.Left || one.Executive != had.Executive || one.Leave != had.Leave {
		return fmt.Errorf("it says something else of the person than %s", had.Where)
	}
	if p.Unit == "" && p.Post == "" {
		return nil
	}
	if p.As == "" {
		p.As = "concurrent"
		if !slices.ContainsFunc(had.Places, func(one directory.Place) bool { return one.As == "main" }) {
			p.As = "main"
		}
	}
	had.Places = append(had.Places, p)
	return nil
}

func (t *staffTable) unit(u directory.UnitRecord) {
	if u.Key == "" {
		return
	}
	i, ok := t.units[u.Key]
	if !ok {
		t.units[u.Key] = len(t.s.Units)
		t.s.Units = append(t.s.Units, u)
	} else if t.s.Units[i].Title == "" {
		t.s.Units[i].Title = u.Title
	}
}

// place fills in the units of a posting: the company, and the department below
// it.
func place(p *directory.Place, company, department, post string) ([]directory.UnitRecord, error) {
	for _, s := range []string{company, department, post} {
		if len(s) > 300 || strings.ContainsFunc(s, unicode.IsControl) {
			return nil, errors.New("a unit's code is longer than 300 bytes, or has control characters")
		}
	}
	units := make([]directory.UnitRecord, 2)
	company = strings.ReplaceAll(company, "/", "-") // a path is a department's alone
	if company != "" {
		p.Unit = "company/" + company
		units[0].Key = p.Unit
	}
	if department = strings.Trim(department, "/"); department != "" {
		if company == "" {
			return nil, errors.New("a department without a company")
		}
		above := "company/" + company
		if i := strings.LastIndexByte(department, '/'); i > 0 {
			above = "department/" + company + "/" + department[:i]
		}
		p.Unit = "department/" + company + "/" + department
		units[1] = directory.UnitRecord{Key: p.Unit, Parent: above}
	}
	if post != "" {
		p.Post = "post/" + post
		if p.Unit == "" {
			p.Unit = p.Post
		}
	}
	return units, nil
}

func goodUser(user string) error {
	switch {
	case user == "":
		return errors.New("the user name is missing")
	case len(user) > 256:
		return errors.New("the user name is longer than 256 bytes")
	case strings.ContainsFunc(user, func(r rune) bool {
		return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar
	}):
		return errors.New("the user name has characters that nobody can see")
	}
	return nil
}

var employments = map[string]string{
	"": "employee", "employee": "employee", "regular": "employee", "permanent": "employee", "contract": "employee", "parttime": "employee", "member": "employee",
	"社員": "employee", "正社員": "employee", "正規": "employee", "契約": "employee", "契約社員": "employee", "嘱託": "employee", "嘱託社員": "employee", "パート": "employee", "アルバイト": "employee",
	"executive": "executive", "director": "executive", "officer": "executive", "役員": "executive", "取締役": "executive", "監査役": "executive", "執行役員": "executive",
	"agency": "agency", "temporary": "agency", "dispatched": "agency", "派遣": "agency", "派遣社員": "agency", "派遣スタッフ": "agency", "contractor": "agency", "external": "agency", "業務委託": "agency",
	"secondee": "secondee", "seconded": "secondee", "出向": "secondee", "出向社員": "secondee", "出向受入": "secondee", "受入出向": "secondee",
}

func employed(s string) (string, error) {
	if kind, ok := employments[heading(s)]; ok {
		return kind, nil
	}
	return "", fmt.Errorf("%q is no way to be employed that is known: employee, executive, agency or secondee", s)
}

func truth(s string) (bool, error) {
	switch heading(s) {
	case "", "0", "no", "n", "false", "無", "いいえ", "なし", "非該当":
		return s == "○" || s == "◯", nil
	case "1", "yes", "y", "true", "有", "はい", "あり", "該当", "役員", "休職", "休職中", "休業中":
		return true, nil
	}
	return false, fmt.Errorf("%q is neither yes nor no", s)
}

func postedAs(s string) (string, error) {
	switch heading(s) {
	case "":
		return "", nil
	case "main", "primary", "本務", "主務", "本":
		return "main", nil
	case "concurrent", "additional", "兼務", "兼任", "兼":
		return "concurrent", nil
	case "secondment", "出向", "出向先":
		return "secondment", nil
	}
	return "", fmt.Errorf("%q is no kind of posting: main, concurrent or secondment", s)
}

// staffDate reads a day. Days before 1970 are the first that an entry can
// hold.
func staffDate(s string, zone *time.Location) (sekisho.Time, error) {
	if s == "" {
		return 0, nil
	}
	s = norm.NFKC.String(s)
	for _, layout := range []string{"2006-01-02", "2006/1/2", "20060102", "2006-1-2", "2006.1.2", "2006年1月2日", "2006-01-02 15:04:05", "2006/1/2 15:04:05", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			if t.Year() > 3000 { // "for ever", as 9999-12-31
				return 0, nil
			}
			return max(sekisho.At(t), 1), nil
		}
	}
	return 0, fmt.Errorf("%q is no date such as 2026-04-01", s)
}
