package act

import (
	"regexp"
	"strings"
)

// In is what is wrong in a language, "en" or "ja". What a parser or the schema says
// of a place keeps its own words.
func (m Mistake) In(lang string) string {
	if lang == "ja" {
		m.What, m.Do = Japanese(m.What), Japanese(m.Do)
	}
	return m.String()
}

// Japanese is a sentence about a policy, a table of tests or a request in Japanese;
// what it has no words for stays.
func Japanese(text string) string {
	for _, one := range inJapanese {
		if place := one.en.FindStringSubmatchIndex(text); place != nil {
			return string(one.en.ExpandString(nil, one.ja, text, place))
		}
	}
	return text
}

// inJapanese has the sentences, each with its places: * is any text.
var inJapanese = func() (list []struct {
	en *regexp.Regexp
	ja string
}) {
	for _, pair := range [][2]string{
		// What is wrong.
		{"this policy does not fit the schema: *", "スキーマに合わない: $1"},
		{"the whole context", "context だけが書かれている"},
		{"* has no attribute *", "$1 に属性 $2 はない"},
		{"unknown attribute context.*", "context に属性 $1 はない"},
		{"unknown kind of name *", "名前の種類 $1 はない"},
		{"unknown annotation *", "注釈 $1 はない"},
		{"unknown word *=", "$1= という語はない"},
		{"unknown * *", "$1 に $2 はない"},
		{"the id * stands at * too", "id $1 は $2 にもある"},
		{"* policies; the limit is *", "規則が $1 ある（上限 $2）"},
		{"* bytes; the limit is *", "$1 バイトある（上限 $2）"},
		{"a byte that is not UTF-8", "UTF-8 でないバイトがある"},
		{"brackets and ifs nested deeper than *", "括弧と if の入れ子が $1 より深い"},
		{"not Cedar, near *", "Cedar の文ではない: $1 の付近"},
		{"the id *", "id $1 は使えない"},
		{"a policy without an @id", "規則に @id がない"},
		{"a remedy (@mask, @rows, @ask, @customers) on a permit", "permit に緩和（@mask、@rows、@ask、@customers）が付いている"},
		{"@customers and @window come together", "@customers と @window は組で書く"},
		{"a forbid without its reason in both languages", "forbid に両言語の理由がない"},
		{"a refusal without a hint in both languages", "拒否に両言語の対処がない"},
		{"a reason or hint of several lines, or of more than 500 bytes", "理由か対処が複数行、または 500 バイトを超える"},
		{"a mask on *, where nothing is shown", "何も表示しない $1 にマスクが付いている"},
		{"a permit in what may only narrow", "狭めるだけの規則に permit がある"},
		{"no arrow in this line", "この行に矢印がない"},
		{"a request without its verb", "要求に動詞がない"},
		{"* is neither a verb (*) nor a category (*)", "$1 は動詞（$2）でも情報の区分（$3）でもない"},
		{"*=*: use *", "$1=$2 は使えない: $3 のいずれか"},
		{"address=* is no IP address", "address=$1 は IP アドレスではない"},
		{"rows=* is no whole number", "rows=$1 は整数ではない"},
		{"at=* is no time: write *", "at=$1 は時刻ではない: $2 のように書く"},
		// What to do.
		{"see docs/policy.md for the types of the words", "語の型は docs/policy.md"},
		{"name what is meant, such as context.purpose", "context.purpose のように、何を指すかを書く"},
		{`write principal in Role::"…", in Post::"…" or in Company::"…"; everything else is in the context`, `principal in Role::"…"、Post::"…"、Company::"…" のいずれかで書く。ほかはすべて context にある`},
		{"use one of *; did you mean *?", "次のいずれか: $1（$2 のことか）"},
		{"use one of *", "次のいずれか: $1"},
		{"use small letters, digits, - and _, at most 64", "英小文字、数字、- と _ で 64 字まで"},
		{"use partial, token or blank", "partial、token、blank のいずれか"},
		{"there are none", "一つもない"},
		{"give each policy an id of its own", "規則ごとに異なる id を付ける"},
		{"merge some, or remove those that nobody needs", "まとめるか、不要なものを消す"},
		{"split the file", "ファイルを分ける"},
		{"save the file as UTF-8", "UTF-8 で保存する"},
		{"write it in several policies", "複数の規則に分けて書く"},
		{"a policy is @annotations, *", "規則は @注釈、permit か forbid、(principal, action, resource)、when { … } か unless { … }、セミコロンの順に書く"},
		{"name it, as the ledger and the tests will", "台帳とテストで使う名前を付ける"},
		{"write a forbid with it: *", "forbid に付ける（「マスクしない限り禁止」）。permit は許される範囲を述べるだけ"},
		{"write both, such as *", "両方を書く（例: $1）"},
		{"add @reason_en and @reason_ja: the client reads them", "@reason_en と @reason_ja を書く。クライアントに表示される"},
		{"add @hint_en and @hint_ja: what the client can do now", "@hint_en と @hint_ja に、次に何ができるかを書く"},
		{"shorten it: it stands in an error message", "短くする。エラー文に入る"},
		{"write a whole number from 1 on, in quotes", "1 以上の整数を引用符で囲んで書く"},
		{"write minutes, hours or days, such as 15m, 8h or 1d, up to 30d", "15m、8h、1d のように分、時間、日で書く（30d まで）"},
		{"write a forbid", "forbid で書く"},
		{"write word=value, such as role=call_centre or place=office", "role=call_centre、place=office のように 語=値 で書く"},
		{"write a request, ->, and what should come of it", "要求、->、期待する結果の順に書く"},
		{"a request is a verb, categories, and word=value", "要求は動詞、情報の区分、語=値 からなる"},
		{"begin with read, insert, update, delete, export or other", "read、insert、update、delete、export、other のいずれかで始める"},
		{"a request begins with its verb: read, insert, update, delete, export or other", "要求は動詞で始める: read、insert、update、delete、export、other のいずれか"},
		{`write *`, "$1 と書く"},
	} {
		pattern := strings.ReplaceAll(regexp.QuoteMeta(pair[0]), `\*`, "(.*?)")
		list = append(list, struct {
			en *regexp.Regexp
			ja string
		}{regexp.MustCompile("(?s)^" + pattern + "$"), strings.ReplaceAll(pair[1], "$1", "${1}")})
	}
	for i := range list {
		list[i].ja = strings.NewReplacer("$2", "${2}", "$3", "${3}").Replace(list[i].ja)
	}
	return list
}()
