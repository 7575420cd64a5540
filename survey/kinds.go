package survey

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"sekisho"
)

// Kind is what a column seems to hold, finer than a category.
type Kind string

// Guess is one belief about a column.
type Guess struct {
	Kind       Kind
	Category   sekisho.Categories // 0: of itself it says nothing of anybody, its table decides
	Confidence float64            // 0 to 1
	Reasons    []Reason
}

// Reason says in words of a catalogue why something is believed. Its
// arguments are numbers and names of the schema, never values.
type Reason struct {
	Code string
	Args []any
}

// kind says what there is to know of a Kind before any column is seen.
type kind struct {
	category sekisho.Categories
	classes  []class // of columns that can hold it; all but booleans if empty
	// checkable: values of this kind look like it, so that a column in which
	// few do is not believed its name alone.
	checkable bool
	// words of names and comments. A word of small letters is a token of the
	// name, several are neighbours, "~" allows it anywhere in the name, "=" asks for
	// the whole name, other scripts stand anywhere.
	words []string
	// likely is how much a name alone is worth.
	likely float64
}

var (
	textual = []class{classText}
	dates   = []class{classDate, classText, classTime, classInteger, classNumber}
	numeric = []class{classInteger, classNumber, classText}
	wordy   = []class{classText, classInteger, classNumber, classBinary, classUUID, classDocument}
)

// kinds is the vocabulary: English, Japanese, and Japanese in Latin letters as
// it stands in schemas.
var kinds = map[Kind]kind{
	"email": {category: sekisho.Contact, classes: textual, checkable: true, likely: .9,
		words: []string{"~email", "~e_mail", "mail", "mail address", "mailaddr", "mail addr", "メール", "Eメール", "電子メール", "mailad"}},
	"phone": {category: sekisho.Contact, classes: numeric, checkable: true, likely: .85,
		words: []string{"~phone", "tel", "telno", "mobile", "fax", "=cell", "denwa", "keitai", "電話", "携帯", "ファクス", "ファックス"}},
	"address": {category: sekisho.Contact, classes: textual, likely: .75,
		words: []string{"address", "addr", "street", "city", "town", "jusho", "juusho", "jyusho", "banchi", "住所", "番地", "市区町村", "町名", "建物名", "居所", "所在地"}},
	"prefecture": {category: sekisho.Contact, classes: numeric, likely: .6,
		words: []string{"prefecture", "pref", "todofuken", "ken cd", "ken code", "都道府県", "県名"}},
	"postal_code": {category: sekisho.Contact, classes: numeric, checkable: true, likely: .85,
		words: []string{"zip", "zipcode", "postal", "postcode", "yubin", "yuubin", "yubinno", "郵便"}},
	"country": {category: sekisho.Contact, classes: textual, likely: .6,
		words: []string{"country", "residence", "nationality", "kuni", "kokuseki", "国籍", "国名", "居住国", "国コード"}},
	"ip": {category: sekisho.Contact, classes: []class{classText, classAddress}, checkable: true, likely: .6,
		words: []string{"ip", "ipaddr", "ip address", "remote addr", "client ip", "接続元"}},
	"url": {category: sekisho.Contact, classes: textual, checkable: true, likely: .3,
		words: []string{"url", "homepage", "website", "=sns", "twitter", "ホームページ"}},
	"device": {category: sekisho.Contact, classes: wordy, likely: .6,
		words: []string{"device id", "imei", "idfa", "cookie id", "端末識別"}},

	"person_name": {category: sekisho.Identity, classes: textual, likely: .8,
		words: []string{"full name", "fullname", "first name", "firstname", "last name", "lastname", "family name", "given name", "surname", "=sei", "=mei", "shimei", "simei", "seimei",
			"namae", "name kanji", "kanji name", "kanji", "sei kj", "mei kj", "sei kanji", "mei kanji", "shimei kj", "氏名", "姓", "名前", "お名前", "漢字", "宛名", "顧客名", "会員名", "契約者名", "受取人"}},
	"person_name_kana": {category: sekisho.Identity, classes: textual, likely: .85,
		words: []string{"kana", "sei kn", "mei kn", "shimei kn", "furigana", "yomi", "name kana", "カナ", "かな", "フリガナ", "ふりがな", "読み"}},
	"person_name_latin": {category: sekisho.Identity, classes: textual, likely: .8,
		words: []string{"name latin", "latin name", "romaji", "roman name", "name roman", "name en", "ローマ字", "英字氏名", "英字名"}},
	"name": {category: sekisho.Identity, classes: textual, likely: .3, // of anything
		words: []string{"name", "nm", "名"}},
	"birth_date": {category: sekisho.Identity, classes: dates, checkable: true, likely: .9,
		words: []string{"~birth", "dob", "bday", "seinengappi", "tanjobi", "tanjoubi", "生年月日", "誕生日", "生年"}},
	"sex": {category: sekisho.Identity, classes: wordy, likely: .8,
		words: []string{"sex", "gender", "seibetsu", "seibetu", "性別"}},
	"age": {category: sekisho.Identity, classes: numeric, likely: .6,
		words: []string{"=age", "nenrei", "年齢"}},
	"national_id": {category: sekisho.Identity, classes: numeric, likely: .9,
		words: []string{"my number", "mynumber", "kojin bango", "ssn", "national id", "social security", "マイナンバー", "個人番号", "driver license", "licence no", "license no", "運転免許", "免許証", "健康保険", "被保険者番号"}},
	"person_no": {category: sekisho.Identity, classes: wordy, likely: .7,
		words: []string{"member no", "member id", "member number", "customer no", "customer id", "customer number", "user id", "user no", "client id", "patient id", "person id", "employee no", "employee id", "staff id", "kaiin no",
			"kaiin id", "kokyaku id", "kokyaku no", "shain no", "会員番号", "会員id", "会員ＩＤ", "顧客番号", "顧客id", "お客様番号", "社員番号", "患者番号", "利用者番号"}},

	"passport_no": {category: sekisho.TravelDoc, classes: wordy, likely: .97,
		words: []string{"~passport", "ryoken", "旅券", "パスポート", "mrz", "travel document"}},
	"visa": {category: sekisho.TravelDoc, classes: wordy, likely: .6,
		words: []string{"visa no", "visa number", "visa type", "residence card", "zairyu", "査証", "ビザ", "在留"}},
	"card_no": {category: sekisho.Payment, classes: wordy, likely: .95,
		words: []string{"card no", "cardno", "card number", "cardnumber", "~creditcard", "credit card", "=pan", "cc no", "cc number", "card num", "cardnum", "カード番号", "クレジットカード", "クレカ"}},
	"cvv": {category: sekisho.Payment, classes: wordy, likely: .97,
		words: []string{"cvv", "cvc", "cvv2", "security code", "セキュリティコード"}},
	"card_expiry": {category: sekisho.Payment, likely: .9,
		words: []string{"card expiry", "card expires", "card exp", "cc exp", "カード有効期限"}},
	"iban": {category: sekisho.Payment, classes: textual, checkable: true, likely: .9,
		words: []string{"iban"}},
	"bank_account": {category: sekisho.Payment, classes: wordy, likely: .9,
		words: []string{"bank account", "account no", "account number", "koza", "kouza", "bank code", "branch code", "swift", "bic", "口座", "銀行", "支店コード", "金融機関"}},
	"password": {category: sekisho.Credential, classes: wordy, likely: .97,
		words: []string{"~password", "~passwd", "pwd", "passphrase", "pass hash", "pw hash", "=pass", "=pw", "salt", "=pin", "pin code", "パスワード", "暗証"}},
	"token": {category: sekisho.Credential, classes: wordy, likely: .9,
		words: []string{"token", "secret", "api key", "apikey", "access key", "private key", "session id", "session key", "otp", "totp", "refresh token", "トークン", "秘密鍵", "認証キー"}},
	"secret_answer": {category: sekisho.Credential, classes: textual, likely: .95,
		words: []string{"secret answer", "security answer", "recovery answer", "secret question", "秘密の質問", "秘密の答え", "合言葉"}},

	"points": {category: sekisho.Loyalty, classes: numeric, likely: .8,
		words: []string{"miles", "=mile", "mileage", "=point", "points", "point balance", "=reward", "rewards", "マイル", "ポイント"}},
	"tier": {category: sekisho.Loyalty, classes: numeric, likely: .75,
		words: []string{"tier", "member rank", "=rank", "status level", "membership level", "kaiin rank", "rank cd", "rank kbn", "会員ランク", "会員ステータス", "ランク"}},
	"loyalty_no": {category: sekisho.Loyalty, classes: wordy, likely: .85,
		words: []string{"loyalty", "frequent flyer", "ffp", "mileage no", "rewards no", "お得意様番号"}},
	"joined": {category: sekisho.Loyalty, classes: dates, likely: .75,
		words: []string{"joined", "joined on", "joined at", "join date", "enrolled", "member since", "nyukai", "入会"}},

	"workplace": {category: sekisho.Employment, classes: textual, likely: .8,
		words: []string{"workplace", "employer", "company", "company name", "kinmusaki", "kaisha", "勤務先", "会社名", "会社", "所属"}},
	"department": {category: sekisho.Employment, classes: numeric, likely: .75,
		words: []string{"department", "dept", "division", "busho", "bumon", "部署", "部門"}},
	"job": {category: sekisho.Employment, classes: wordy, likely: .75,
		words: []string{"job title", "occupation", "kyuyo", "nenshu", "=job", "profession", "salary", "shokugyo", "yakushoku", "職業", "役職", "給与", "年収"}},
	"itinerary": {category: sekisho.Itinerary, likely: .7,
		words: []string{"flight no", "flight number", "=flight", "pnr", "booking no", "booking id", "booking code", "reservation no", "reservation id", "itinerary", "seat no", "ticket no", "check in", "checkin", "yoyaku", "搭乗", "予約", "便名", "座席", "宿泊", "航空券"}},
	"relation": {category: sekisho.Relation, classes: wordy, likely: .75,
		words: []string{"=partner", "partner code", "spouse", "family", "children", "guardian", "emergency contact", "referrer", "introduced by", "提携", "家族", "配偶者", "続柄", "緊急連絡先", "紹介者"}},
	"health": {category: sekisho.SpecialCare, likely: .85,
		words: []string{"diagnosis", "disease", "disability", "allergy", "allergies", "blood type", "medical", "medication", "religion", "criminal", "ethnicity", "病歴", "病名", "診断", "障害", "障がい", "アレルギー", "血液型", "既往", "服薬", "宗教", "信条", "犯罪", "妊娠", "配慮事項"}},

	// Of themselves these say nothing of anybody; beside a document they are its.
	"expiry": {classes: dates, likely: .8,
		words: []string{"~expire", "~expiry", "expiration", "valid until", "valid to", "valid thru", "kigen", "yukokigen", "有効期限", "期限", "満了"}},
	"issued": {classes: dates, likely: .8,
		words: []string{"issued", "issued on", "issued at", "issue date", "hakkobi", "発行日", "発行"}},
	"free_text": {classes: []class{classText, classDocument}, likely: .2,
		words: []string{"note", "notes", "memo", "remark", "remarks", "comment", "comments", "message", "=body", "biko", "備考", "メモ", "特記", "問合せ", "問い合わせ", "内容", "コメント"}},
}

// ofName gives the kinds of which a name or a comment speaks, and how much that
// alone is worth.
func ofName(name string, class class) map[Kind]float64 {
	name = norm.NFKC.String(name)
	tokens := tokensOf(name)
	joined, glued := " "+strings.Join(tokens, " ")+" ", strings.ToLower(name)
	found := map[Kind]float64{}
	for k, of := range kinds {
		if !of.fits(class) {
			continue
		}
		for _, w := range of.words {
			anywhere := w[0] == '~' || w[0] >= 0x80 || len(w) > 1 && w[1] >= 0x80
			whole := w[0] == '='
			w = strings.ToLower(norm.NFKC.String(strings.TrimLeft(w, "~=")))
			hit := strings.Contains(joined, " "+w+" ")
			switch {
			case whole:
				hit = joined == " "+w+" "
			case anywhere:
				hit = strings.Contains(glued, w) || strings.Contains(glued, strings.ReplaceAll(w, "_", ""))
				if w == "名" { // a part of too many words: only where it ends the name
					hit = strings.HasSuffix(glued, w)
				}
			}
			if !hit {
				continue
			}
			// The more of the name a word explains, the more it is worth.
			part := float64(len(w)) / float64(max(len(glued), 1))
			found[k] = max(found[k], of.likely*(.9+.1*min(part, 1)))
		}
	}
	if len(found) > 1 {
		delete(found, "name") // said more exactly
	}
	return found
}

func (k kind) fits(c class) bool {
	if len(k.classes) == 0 {
		return c != classBool
	}
	for _, of := range k.classes {
		if of == c {
			return true
		}
	}
	return false
}

// tokensOf takes a name apart at everything that is not a letter, before
// capitals and around digits: eMailAddress2 is e, mail, address.
func tokensOf(name string) (tokens []string) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			tokens = append(tokens, strings.ToLower(string(word)))
			word = word[:0]
		}
	}
	var before rune
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			end()
		case unicode.IsUpper(r) && unicode.IsLower(before):
			end()
			word = append(word, r)
		default:
			word = append(word, r)
		}
		before = r
	}
	end()
	return tokens
}
