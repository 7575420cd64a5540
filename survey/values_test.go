package survey

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// What each recogniser takes, and what looks like it and is not. The numbers
// are of ranges that are set aside for examples, or made up.
func TestRecognisers(t *testing.T) {
	for name, c := range map[string]struct {
		is       func(string) bool
		yes, not []string
	}{
		"e-mail": {isEmail, []string{"sato@example.com", "a.b+c@mail.example.co.jp", "ｓａｔｏ＠ｅｘａｍｐｌｅ．ｊｐ"},
			[]string{"sato@", "@example.com", "sato at example.com", "sato@localhost", "a@b@example.com", "see sato@example.com"}},
		"telephone": {isPhone, []string{"03-0000-0000", "090-0123-4567", "+81 3 0000 0000", "(03) 0000-0000", "０９０－０１２３－４５６７", "+1-212-555-0123"},
			[]string{"20140919", "2014-09-19", "100-0001", "12345", "+", "0", "4000000000000002", "03-00", "2001:db8::1"}},
		"card": {isCard, []string{"4000000000000002", "4000 0000 0000 0002", "5555555555554444", "3530111333300000", "378282246310005"},
			[]string{"4000000000000003", "1234567890123456", "0000000000000000", "4000-0000", "9000000000000001", "40000000000000020000000002"}},
		"starred card": {isMaskedCard, []string{"****-****-****-0002", "XXXX XXXX XXXX 0002", "4000********0002", "4000-****-****-0002"},
			[]string{"0002", "****", "XX", "a****0002"}},
		"IBAN":              {isIBAN, []string{"GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"}, []string{"GB82WEST12345698765433", "DE8937", "123456789012345678"}},
		"passport":          {isPassport, []string{"TZ1234567", "E12345678", "P<JPNYAMADA<<HANAKO<<<<<<<<<<<<<<<<<<<<<<<<<"}, []string{"123456789", "ABC123456", "SKU-123456", "tz1234567"}},
		"individual number": {isMyNumber, []string{"123456789018", "1234 5678 9018"}, []string{"123456789012", "12345678901", "1234567890188"}},
		"postal code":       {isPostalCode, []string{"100-0001", "〒100-0001", "１００－０００１"}, []string{"1000001", "100-001", "1100-0001"}},
		"password": {isPasswordHash, []string{"$2b$12$" + strings.Repeat("a", 53), "$argon2id$v=19$m=65536,t=2,p=1$c2FsdA$aGFzaA", "{SSHA}0123456789abcdef", "md5" + strings.Repeat("0a", 16), "SCRAM-SHA-256$4096:c2FsdA==$aaaa:bbbb"},
			[]string{"$100", "$5.00 $6.00 and more", "{note}", "md5sum of the file", ""}},
		"token": {isToken, []string{"sk_live_0123456789abcdef", "ghp_abcdefghijklmnop", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "Zm9vYmFyYmF6cXV4MDEyMzQ1Njc4OQ"},
			[]string{"hello world this is text", "0000000000000000000000000000000000000000", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "short"}},
		"digest":     {isDigest, []string{strings.Repeat("0123456789abcdef", 4)}, []string{strings.Repeat("0", 64), "0123456789abcdef"}},
		"address":    {isAddress, []string{"東京都千代田区見本町1-2-3", "見本市中央区1丁目", "12 Maple Street", "Hauptstrasse 5, Berlin"}, []string{"東京都", "大阪", "Maple", "第1回"}},
		"prefecture": {isPrefecture, []string{"東京都", "東京", "北海道", "青森"}, []string{"東京タワー", "中国"}},
		"kanji name": {isKanjiName, []string{"佐藤", "佐藤 花子", "佐藤花子", "林太郎", "佐々木　翔太", "渡辺様"}, []string{"松山市", "森林組合部", "東都カード", "本社", "佐藤工業株式会社", "Sato", ""}},
		"kana name":  {isKanaName, []string{"サトウ ハナコ", "サトウ", "サトウハナコ", "ｻﾄｳ ﾊﾅｺ", "さとう はなこ"}, []string{"アイフォーン", "カード", "佐藤", ""}},
		"latin name": {isLatinName, []string{"Hanako Sato", "SATO HANAKO", "Mary Smith", "O'Brien, Mary"}, []string{"Maple Street 5", "Tokyo", "sato@example.com", ""}},
		"IP":         {isIP, []string{"203.0.113.7", "2001:db8::1", "10.0.0.0/8"}, []string{"1.2.3", "12:30", "203.0.113.256"}},
		"URL":        {isURL, []string{"https://example.com/a"}, []string{"example.com", "https://", "ftp://example.com"}},
		"company":    {isCompany, []string{"株式会社見本", "見本商事", "Example Inc."}, []string{"見本", "Incident"}},
		"department": {isDepartment, []string{"営業部", "第一営業課", "Sales"}, []string{"部品", "Salesman"}},
	} {
		for _, v := range c.yes {
			if !c.is(v) {
				t.Errorf("%s: %q is one", name, v)
			}
		}
		for _, v := range c.not {
			if c.is(v) {
				t.Errorf("%s: %q is none", name, v)
			}
		}
	}
}

func TestDates(t *testing.T) {
	for text, want := range map[string]string{
		"1980-01-02": "1980-01-02", "1980/1/2": "1980-01-02", "19800102": "1980-01-02", "1980年1月2日": "1980-01-02", "1980-01-02 00:00:00+09": "1980-01-02",
		"昭和55年1月2日": "1980-01-02", "S55.1.2": "1980-01-02", "H1.1.8": "1989-01-08", "令和元年5月1日": "2019-05-01", "１９８０／０１／０２": "1980-01-02",
		"1980-02-30": "", "1980-13-01": "", "0001-01-01": "", "S99": "", "12:30": "", "": "",
	} {
		got := ""
		if d, ok := dateOf(text); ok {
			got = d.Format("2006-01-02")
		}
		if got != want {
			t.Errorf("%q reads as %q, want %q", text, got, want)
		}
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		name string
		of   class
		want Kind
	}{
		{"email", classText, "email"}, {"eMailAddress", classText, "email"}, {"MAIL_ADDR", classText, "email"}, {"メールアドレス", classText, "email"},
		{"tel1", classText, "phone"}, {"携帯番号", classText, "phone"}, {"card_no", classText, "card_no"}, {"creditCardNumber", classText, "card_no"},
		{"passwd", classText, "password"}, {"password_hash", classText, "password"}, {"暗証番号", classText, "password"}, {"shimei_kana", classText, "person_name_kana"},
		{"氏名（カナ）", classText, "person_name_kana"}, {"passport_expires_on", classDate, "expiry"}, {"旅券番号", classText, "passport_no"}, {"dateOfBirth", classDate, "birth_date"},
		{"created_at", classTime, ""}, {"email_verified", classBool, ""}, {"password_changed_at", classTime, ""}, {"company", classText, "workplace"},
		{"expand", classText, ""}, {"boarding_pass", classText, ""}, {"page", classInteger, ""}, {"message_count", classInteger, ""},
	} {
		found := ofName(c.name, c.of)
		if c.want == "" {
			for k, worth := range found {
				if worth >= believe {
					t.Errorf("%s is taken for %s", c.name, k)
				}
			}
		} else if found[c.want] < believe {
			t.Errorf("%s is not taken for %s: %v", c.name, c.want, found)
		}
	}
}

func TestReferences(t *testing.T) {
	for column, table := range map[string]string{"member_id": "members", "memberNo": "member", "顧客番号": "顧客", "member": "members", "MEMBER_CD": "member"} {
		if !refersTo(column, table) {
			t.Errorf("%s refers to %s", column, table)
		}
	}
	for column, table := range map[string]string{"member_count": "members", "members_since": "member", "id": "member", "x": "s", "顧客数": "顧客"} {
		if refersTo(column, table) {
			t.Errorf("%s does not refer to %s", column, table)
		}
	}
}

func TestRootCertificate(t *testing.T) {
	t.Setenv("PGSSLROOTCERT", "/etc/ca.pem")
	for dsn, want := range map[string]string{
		"postgres://u@h/db?sslmode=verify-full&sslrootcert=/etc/a.pem": "/etc/a.pem",
		"host=h sslrootcert=/etc/b.pem dbname=x":                       "/etc/b.pem",
		"host=h sslrootcert = '/etc/my ca.pem'":                        "/etc/my ca.pem",
		"host=h":                                                       "/etc/ca.pem",
		"postgres://u@h/db?sslrootcert=system":                         "",
	} {
		if got := rootCertificate(dsn); got != want {
			t.Errorf("%s: %q, want %q", dsn, got, want)
		}
	}
}

// Every language says the same things with the same arguments.
func TestWords(t *testing.T) {
	en, err := Speak("en")
	if err != nil {
		t.Fatal(err)
	}
	ja, err := Speak("ja_JP.UTF-8")
	if err != nil || ja.Lang != "ja" {
		t.Fatal(ja.Lang, err)
	}
	verbs := func(s string) (list string) {
		s = strings.ReplaceAll(s, "%%", "")
		for i := range len(s) - 1 {
			if s[i] == '%' && s[i+1] != ' ' {
				list += s[i : i+2]
			}
		}
		return list
	}
	for key, text := range en.texts {
		other, ok := ja.texts[key]
		// A bare % in a text without arguments is itself.
		if !ok || verbs(text) != verbs(other) {
			t.Errorf("%s: %q and %q", key, text, other)
		}
	}
	for key := range ja.texts {
		if !en.has(key) {
			t.Errorf("%s is in Japanese only", key)
		}
	}
	for k := range kinds {
		if !en.has("kind." + string(k)) {
			t.Errorf("%s has no name", k)
		}
	}
}

// Whatever stands in a database, recognising ends, and what is written of it is
// one line.
func FuzzRecognise(f *testing.F) {
	for _, s := range []string{"sato@example.com", "+81 3 0000 0000", "4000000000000002", "佐藤 花子", "ｻﾄｳ ﾊﾅｺ", "昭和55年1月2日", "DE89370400440532013000", "\x00\xff", "連絡先は a@example.com です", `{"tel":"090-0123-4567"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range recognisers() {
			r.match(s)
		}
		dateOf(s)
		ofName(s, classText)
		if strings.ContainsAny(oneLine(s), "\n\r\u0085\u2028") {
			t.Errorf("%q is not one line", s)
		}
		if plain := plainName(s); plain == "" || !utf8.ValidString(plain) {
			t.Errorf("%q makes the name %q", s, plain)
		}
		c := &Column{Name: s, class: classText, samples: []string{s, s + "1", "x" + s, s, s, s, s, s, s, s, s}, comment: s}
		for _, g := range c.judge() {
			if g.Confidence < 0 || g.Confidence > 1 {
				t.Errorf("%q: confidence %g of %s", s, g.Confidence, g.Kind)
			}
		}
	})
}
