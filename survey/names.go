package survey

import (
	_ "embed"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// What names of people, places and companies look like. No list is complete:
// a column is judged by the share of its values that a list knows.

// Frequent family names of Japan, each as characters, katakana and Latin
// letters, a line each; then, below a line "given", frequent given names; then,
// below "west", family and given names of Europe, America and Asia in Latin
// letters.
//
//go:embed words/names.txt
var nameList string

// nameWords are sets of lower-case words, taken from the list at the first use
// of a look.
type nameWords struct {
	family, given map[string]bool // in characters
	kanaFamily    map[string]bool
	kanaGiven     map[string]bool
	latin         map[string]bool
	longest       int // of the family names, in runes
}

// known is made once, as a constant would be.
var known = readNames(nameList)

func readNames(list string) *nameWords {
	n := &nameWords{family: map[string]bool{}, given: map[string]bool{}, kanaFamily: map[string]bool{}, kanaGiven: map[string]bool{}, latin: map[string]bool{}}
	part := "family"
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		switch {
		case len(f) == 0 || f[0] == "#":
		case len(f) == 1:
			part = f[0]
		case part == "west":
			for _, w := range f {
				n.latin[w] = true
			}
		case part == "given":
			n.given[f[0]], n.kanaGiven[f[1]], n.latin[f[2]] = true, true, true
		default:
			n.family[f[0]], n.kanaFamily[f[1]], n.latin[f[2]] = true, true, true
			n.longest = max(n.longest, utf8.RuneCountInString(f[0]))
		}
	}
	return n
}

func han(r rune) bool { return unicode.Is(unicode.Han, r) || r == '々' || r == 'ヶ' }

// isKanjiName: a family name alone, or followed by one to four characters, with
// or without a blank; or a given name alone.
func isKanjiName(s string) bool {
	if len(s) > 60 {
		return false
	}
	s = strings.TrimSuffix(norm.NFKC.String(s), "様")
	family, given, parted := strings.Cut(s, " ")
	if parted {
		return known.family[family] && utf8.RuneCountInString(given) <= 5 && !strings.Contains(given, " ") && personal(given)
	}
	if known.family[s] || known.given[s] {
		return true
	}
	runes := []rune(s)
	if len(runes) < 3 || len(runes) > 7 || !personal(s) {
		return false
	}
	for n := min(known.longest, len(runes)-1); n >= 1; n-- {
		if known.family[string(runes[:n])] && len(runes)-n <= 4 {
			last := runes[len(runes)-1]
			// Not companies, departments and places that begin as people do.
			return !strings.ContainsRune("部課室局店社市区町村県駅港館院校行", last)
		}
	}
	return false
}

// personal: characters with hiragana, or katakana alone, as given names are
// written.
func personal(s string) bool {
	kata, other := false, false
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Katakana, r) || r == 'ー':
			kata = true
		case han(r) || unicode.Is(unicode.Hiragana, r):
			other = true
		default:
			return false
		}
	}
	return kata != other
}

// isKanaName: the reading of a name, in katakana of any width or hiragana.
func isKanaName(s string) bool {
	if len(s) > 90 {
		return false
	}
	runes := []rune(katakana(norm.NFKC.String(s)))
	for _, r := range runes {
		if !unicode.Is(unicode.Katakana, r) && r != 'ー' && r != ' ' && r != '・' {
			return false
		}
	}
	text := string(runes)
	family, given, parted := strings.Cut(text, " ")
	if parted {
		return known.kanaFamily[family] || known.kanaGiven[given]
	}
	if known.kanaFamily[text] || known.kanaGiven[text] {
		return true
	}
	for n := 2; n < len(runes)-1; n++ {
		if known.kanaFamily[string(runes[:n])] && len(runes)-n <= 6 && known.kanaGiven[string(runes[n:])] {
			return true
		}
	}
	return false
}

// katakana writes hiragana as katakana.
func katakana(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'ぁ' && r <= 'ゖ' {
			return r + 'ァ' - 'ぁ'
		}
		return r
	}, s)
}

// isKatakana: nothing but katakana, of any width.
func isKatakana(s string) bool {
	some := false
	for _, r := range norm.NFKC.String(s) {
		if !unicode.Is(unicode.Katakana, r) && r != 'ー' && r != ' ' && r != '・' {
			return false
		}
		some = true
	}
	return some
}

var latinName = regexp.MustCompile(`^[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'.-]*(?:[ ,]+[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ'.-]*){0,3}$`)

// isLatinName: one to four words, of which one is a name that is known.
func isLatinName(s string) bool {
	if len(s) > 60 || !latinName.MatchString(s) {
		return false
	}
	for _, w := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r == ' ' || r == ',' }) {
		if known.latin[w] {
			return true
		}
	}
	return false
}

var prefectures = strings.Fields(`北海道 青森県 岩手県 宮城県 秋田県 山形県 福島県 茨城県 栃木県 群馬県 埼玉県 千葉県 東京都 神奈川県 新潟県 富山県 石川県 福井県
	山梨県 長野県 岐阜県 静岡県 愛知県 三重県 滋賀県 京都府 大阪府 兵庫県 奈良県 和歌山県 鳥取県 島根県 岡山県 広島県 山口県 徳島県 香川県 愛媛県 高知県
	福岡県 佐賀県 長崎県 熊本県 大分県 宮崎県 鹿児島県 沖縄県`)

func isPrefecture(s string) bool {
	for _, p := range prefectures {
		if s == p || s+"県" == p || s+"府" == p || s+"都" == p {
			return true
		}
	}
	return false
}

var (
	japaneseBlock = regexp.MustCompile(`\p{Han}(?:市|区|町|村|郡).*\d|(?:丁目|番地|番町|号室)|\p{Han}\d+(?:-\d+){1,3}`)
	westernStreet = regexp.MustCompile(`(?i)\d.*\b(?:street|st|road|rd|avenue|ave|lane|ln|drive|dr|boulevard|blvd|court|ct|square|way|strasse|straße|weg|rue|avenida|rua|via|calle|ro|daero|jalan)\b|\b(?:street|road|avenue|lane|rue|strasse|straße|rua|calle|via)\b.*\d|strasse \d|straße \d`)
)

// isAddress: a prefecture followed by more, a Japanese block number, or a
// street with a number.
func isAddress(s string) bool {
	s = norm.NFKC.String(s)
	for _, p := range prefectures {
		if strings.HasPrefix(s, p) && len(s) > len(p)+3 {
			return true
		}
	}
	return len(s) >= 8 && (japaneseBlock.MatchString(s) || westernStreet.MatchString(s))
}

var company = regexp.MustCompile(`株式会社|有限会社|合同会社|\(株\)|\(有\)|(?:商事|銀行|製作所|工業|建設|電機|製薬|物産|証券|不動産|大学|病院|保険|出版|運輸|化学|食品|システムズ|精機|販売|広告|学校|法人)$|(?i:\b(?:inc|ltd|llc|corp|co|gmbh|company|corporation|university|bank)\b\.?$)`)

func isCompany(s string) bool { return company.MatchString(norm.NFKC.String(s)) }

var department = regexp.MustCompile(`(?:部|課|室|局|係|本部|支店|営業所|事業部|研究所|センター)$|(?i:\b(?:department|division|dept)\b|^(?:sales|marketing|accounting|human resources|hr|legal|it|finance|engineering|operations)$)`)

func isDepartment(s string) bool {
	return utf8.RuneCountInString(s) <= 30 && department.MatchString(norm.NFKC.String(s))
}

var sexes = map[string]bool{"m": true, "f": true, "x": true, "u": true, "male": true, "female": true, "man": true, "woman": true, "other": true, "unknown": true,
	"男": true, "女": true, "男性": true, "女性": true, "その他": true, "不明": true, "無回答": true}

// isCountry: a code of ISO 3166-1. The list is that of the lands from which
// customers come; a column holds mostly these.
func isCountry(s string) bool { return len(s) == 2 && strings.Contains(countries, " "+s+" ") }

const countries = " JP US CN TW HK MO KR SG GB AU NZ DE FR IT ES PT NL BE CH AT SE NO DK FI IE PL CZ HU RO GR TR RU UA IN ID TH VN MY PH MM KH LA BD LK NP PK MN KZ UZ AE SA QA IL EG ZA NG KE MA BR AR CL PE CO MX CA "
