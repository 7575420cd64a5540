package survey

import (
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/unicode/norm"
)

// What one value looks like. Each function takes any text, as long as a sample
// is, and never fails.

// recogniser is a sort of value that can be told by looking at it.
type recogniser struct {
	kind    Kind
	classes []class
	match   func(string) bool
	// Below the share from of all values it says nothing; at full it is as sure
	// as sure.
	from, full, sure float64
}

// recognisers in no order: a column is asked all that its type allows.
func recognisers() []recogniser {
	return []recogniser{
		{"email", textual, isEmail, .3, .9, .97},
		{"phone", numeric, isPhone, .4, .9, .9},
		{"phone", textual, isBarePhone, .9, 1, .35},
		{"card_no", numeric, isCard, .3, .8, .97},
		{"card_no", textual, isMaskedCard, .3, .8, .9},
		{"iban", textual, isIBAN, .3, .9, .97},
		{"passport_no", textual, isPassport, .5, .9, .75},
		{"national_id", numeric, isMyNumber, .6, .95, .9},
		{"postal_code", textual, isPostalCode, .5, .95, .85},
		{"address", textual, isAddress, .25, .7, .9},
		{"prefecture", textual, isPrefecture, .7, .95, .8},
		{"person_name", textual, isKanjiName, .2, .45, .9},
		{"person_name_kana", textual, isKanaName, .15, .4, .9},
		{"person_name_latin", textual, isLatinName, .2, .5, .85},
		{"password", textual, isPasswordHash, .3, .8, .95},
		{"token", textual, isToken, .5, .95, .8},
		{"token", textual, isDigest, .5, .95, .55},
		{"url", textual, isURL, .5, .9, .4},
		{"ip", []class{classText, classAddress}, isIP, .5, .95, .7},
		{"workplace", textual, isCompany, .25, .6, .7},
		{"department", textual, isDepartment, .5, .9, .7},
		{"tier", textual, isTier, .6, .95, .55},
		{"card_expiry", textual, isCardExpiry, .8, 1, .6},
	}
}

var emailPattern = regexp.MustCompile(`^[A-Za-z0-9._%+'-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*\.[A-Za-z]{2,}$`)

// isEmail follows RFC 5321 as far as addresses that people have.
func isEmail(s string) bool {
	return len(s) <= 600 && strings.ContainsAny(s, "@＠") && emailPattern.MatchString(norm.NFKC.String(s))
}

// isPhone: a number with its trunk or country prefix that is possible in its
// country. Numbers set aside for fiction are possible, and not valid. Bare
// digits have to be valid, because too much else is a row of digits.
func isPhone(s string) bool {
	s = norm.NFKC.String(s)
	if len(s) < 8 || len(s) > 24 || strings.ContainsAny(s, "@/:") {
		return false
	}
	lead := strings.TrimLeft(s, "( ")
	separated := strings.ContainsAny(s, "-() ") || strings.HasPrefix(lead, "+")
	if lead == "" || lead[0] != '0' && lead[0] != '+' {
		return false
	}
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case !strings.ContainsRune("+-() .", rune(c)):
			return false
		}
	}
	if digits < 9 || digits > 15 {
		return false
	}
	n, err := phonenumbers.Parse(s, "JP")
	if err != nil {
		return false
	}
	return phonenumbers.IsValidNumber(n) || separated && phonenumbers.IsPossibleNumber(n)
}

// isBarePhone: ten or eleven digits behind a zero, as a host system keeps
// Japanese numbers. Much else looks so, but it does not speak against the name.
func isBarePhone(s string) bool {
	d := digitsOf(s)
	return (len(d) == 10 || len(d) == 11) && d[0] == '0' && len(d) == len(s)
}

// digitsOf gives the digits of a number that may be grouped by blanks or
// hyphens; nothing if it holds anything else.
func digitsOf(s string) string {
	s = norm.NFKC.String(s)
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b.WriteByte(c)
		case c != ' ' && c != '-':
			return ""
		}
	}
	return b.String()
}

// isCard: the check digit of ISO/IEC 7812-1 is right, and a card network has
// numbers that begin and are long like it.
func isCard(s string) bool {
	if len(s) > 64 {
		return false
	}
	d := digitsOf(s)
	if len(d) < 13 || len(d) > 19 || !luhn(d) {
		return false
	}
	two, _ := strconv.Atoi(d[:2])
	four, _ := strconv.Atoi(d[:4])
	switch {
	case d[0] == '4':
		return len(d) == 13 || len(d) == 16 || len(d) == 19
	case two >= 51 && two <= 55, four >= 2221 && four <= 2720:
		return len(d) == 16
	case two == 34, two == 37:
		return len(d) == 15
	case four >= 3528 && four <= 3589:
		return len(d) >= 16
	case two == 30, two == 36, two == 38, two == 39:
		return len(d) >= 14
	case four == 6011, two == 64, two == 65, two == 62, two == 81:
		return len(d) >= 16
	}
	return false
}

func luhn(digits string) bool {
	sum := 0
	for i := range len(digits) {
		n := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if n *= 2; n > 9 {
				n -= 9
			}
		}
		sum += n
	}
	return sum%10 == 0
}

var maskedCard = regexp.MustCompile(`^(?:\d{4}[- ]?|[*xX•]{4}[- ]?)?(?:[*xX•]{2,4}[- ]?){2,3}\d{2,4}$`)

// isMaskedCard: all but a few digits are starred out.
func isMaskedCard(s string) bool { return len(s) <= 40 && maskedCard.MatchString(s) }

// isIBAN: ISO 13616, with the check of ISO 7064 (mod 97-10).
func isIBAN(s string) bool {
	s = strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	if len(s) < 15 || len(s) > 34 {
		return false
	}
	rest := 0
	for i := range len(s) {
		c := s[(i+4)%len(s)]
		letter := c >= 'A' && c <= 'Z'
		if at := (i + 4) % len(s); at < 2 && !letter || at >= 2 && at < 4 && letter {
			return false
		}
		switch {
		case letter:
			rest = (rest*100 + int(c-'A') + 10) % 97
		case c >= '0' && c <= '9':
			rest = (rest*10 + int(c-'0')) % 97
		default:
			return false
		}
	}
	return rest == 1
}

// A letter and eight digits (China, the United States), two letters and seven
// (Japan, most of Europe), or the machine readable line of ICAO 9303.
var passport = regexp.MustCompile(`^(?:[A-Z]{2}\d{7}|[A-Z]\d{8}|[A-Z]{1,2}\d{6}[A-Z]?|P[A-Z<][A-Z]{3}[A-Z<]{10,39})$`)

func isPassport(s string) bool { return len(s) >= 8 && len(s) <= 44 && passport.MatchString(s) }

// isMyNumber: the twelve digits of Japan's individual number, with the check
// digit of the ministry's order (2014, No. 85, article 5).
func isMyNumber(s string) bool {
	if len(s) > 40 {
		return false
	}
	d := digitsOf(s)
	if len(d) != 12 {
		return false
	}
	sum := 0
	for n := 1; n <= 11; n++ {
		q := n + 1
		if n >= 7 {
			q = n - 5
		}
		sum += int(d[11-n]-'0') * q
	}
	check := 0
	if r := sum % 11; r > 1 {
		check = 11 - r
	}
	return int(d[11]-'0') == check
}

var postal = regexp.MustCompile(`^〒?\s?\d{3}-\d{4}$`)

func isPostalCode(s string) bool { return len(s) <= 30 && postal.MatchString(norm.NFKC.String(s)) }

func isURL(s string) bool {
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && u.Host != ""
}

func isIP(s string) bool {
	if strings.Count(s, ".") != 3 && !strings.Contains(s, ":") {
		return false
	}
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(s)
	return err == nil
}

// isPasswordHash: the formats of crypt(5), LDAP (RFC 2307) and PostgreSQL.
func isPasswordHash(s string) bool {
	switch {
	case len(s) < 13 || len(s) > 512 || strings.ContainsAny(s, " \n"):
		return false
	case s[0] == '$':
		return strings.Count(s, "$") >= 2 && cryptPattern.MatchString(s)
	case s[0] == '{':
		return ldapHash.MatchString(s)
	}
	return strings.HasPrefix(s, "SCRAM-SHA-256$") || strings.HasPrefix(s, "md5") && len(s) == 35 && isHex(s[3:]) ||
		strings.HasPrefix(s, "pbkdf2_") || strings.HasPrefix(s, "pbkdf2:") || strings.HasPrefix(s, "scrypt:")
}

var (
	cryptPattern = regexp.MustCompile(`^\$[a-z0-9-]{1,16}\$[A-Za-z0-9./+=,$_*-]{8,}$`)
	ldapHash     = regexp.MustCompile(`^\{(?:S?SHA\d*|S?MD5|CRYPT|PBKDF2[A-Z0-9-]*|ARGON2)\}`)
)

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return s != ""
}

var tokenPrefix = regexp.MustCompile(`^(?:sk_(?:live|test)_|pk_live_|gh[pousr]_|xox[abprs]-|AKIA|ASIA|AIza|glpat-|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.|-----BEGIN)`)

// isToken: a known form of API key or token, or a long text of letters and
// digits without order.
func isToken(s string) bool {
	if len(s) < 16 || strings.ContainsAny(s, " \n") && !strings.HasPrefix(s, "-----BEGIN") {
		return false
	}
	if tokenPrefix.MatchString(s) {
		return true
	}
	if len(s) < 24 || isHex(s) {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_' || c == '+' || c == '/' || c == '=') {
			return false
		}
	}
	return mixed(s, 12) && strings.ContainsAny(s, "0123456789") && strings.ToLower(s) != s && strings.ToUpper(s) != s
}

// isDigest: hex of the length of a hash. Passwords without a format of their
// own look so, tokens kept well, and checksums of anything.
func isDigest(s string) bool {
	switch len(s) {
	case 32, 40, 48, 56, 64, 96, 128:
		return isHex(s) && mixed(s, 8)
	}
	return false
}

// mixed: at least n different characters.
func mixed(s string, n int) bool {
	var seen [256]bool
	for i := range len(s) {
		if !seen[s[i]] {
			seen[s[i]] = true
			n--
		}
	}
	return n <= 0
}

var tiers = map[string]bool{"bronze": true, "silver": true, "gold": true, "platinum": true, "diamond": true, "ruby": true, "sapphire": true, "crystal": true,
	"basic": true, "regular": true, "premier": true, "premium": true, "elite": true, "standard": true, "normal": true,
	"ブロンズ": true, "シルバー": true, "ゴールド": true, "プラチナ": true, "ダイヤモンド": true, "サファイア": true, "クリスタル": true, "レギュラー": true, "一般": true}

func isTier(s string) bool { return tiers[strings.ToLower(s)] }

var cardExpiry = regexp.MustCompile(`^(?:0[1-9]|1[0-2])[/-](?:\d\d|20\d\d)$`)

func isCardExpiry(s string) bool { return cardExpiry.MatchString(s) }

var (
	plainDate = regexp.MustCompile(`^(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?:[ T].*)?$`)
	eraDate   = regexp.MustCompile(`^(明治|大正|昭和|平成|令和|[MTSHR])\.?\s?(元|\d{1,2})[-/.年](\d{1,2})[-/.月](\d{1,2})日?$`)
	eras      = map[string]int{"明治": 1867, "M": 1867, "大正": 1911, "T": 1911, "昭和": 1925, "S": 1925, "平成": 1988, "H": 1988, "令和": 2018, "R": 2018}
)

// dateOf reads a date as databases hold it, in Japanese eras too.
func dateOf(s string) (time.Time, bool) {
	if len(s) > 64 {
		return time.Time{}, false
	}
	s = norm.NFKC.String(s)
	var year int
	m := plainDate.FindStringSubmatch(s)
	if m != nil {
		year, _ = strconv.Atoi(m[1])
	} else if m = eraDate.FindStringSubmatch(s); m != nil {
		n, _ := strconv.Atoi(m[2])
		if m[2] == "元" {
			n = 1
		}
		year = eras[m[1]] + n
		m = m[1:]
	} else {
		return time.Time{}, false
	}
	month, _ := strconv.Atoi(m[2])
	day, _ := strconv.Atoi(m[3])
	t := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	return t, year >= 1800 && year <= 2200 && int(t.Month()) == month && t.Day() == day
}
