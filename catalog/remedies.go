package catalog

import "strings"

// remedies are the hints of refusals in Japanese. The gate's own errors are in
// English, as the server's are; a report for people is in their language.
var remedies = map[string]string{
	"not_understood":      "表と結合から列を選ぶ一つの SELECT として書く。",
	"names":               "より単純な形に書き直す。ゲートが特定できる形はマニュアル（docs/gate.md）にある。",
	"key_type":            "お客さまのキーに使えるのは整数、text、varchar、char、uuid。",
	"not_a_select":        "表と結合から列を選ぶ一つの SELECT として書く。",
	"function_in_from":    "FROM には表だけを書く。",
	"tablesample":         "TABLESAMPLE を外す。",
	"offset":              "OFFSET は数値か、bigint のパラメータで指定する。",
	"locking":             "保護された表だけをロックする（FOR UPDATE OF …）。OFFSET、WITH TIES、SKIP LOCKED とは併用しない。",
	"into":                "CREATE TEMPORARY TABLE … AS SELECT を単独の文として書き、列にお客さまのキーを含める。残る写しが要るときは、行のない表を CREATE TABLE で作り、お客さまのキーとともにカタログの tables に登録してから、INSERT … SELECT で移す（writes: true の役割）。",
	"ambiguous_name":      "表を スキーマ.表 の形で書く。",
	"view":                "元の表から直接選ぶか、ビューをキーの列とともにカタログに登録する。",
	"unknown_column":      "表にある列の名前を書く。関数は呼び出しの形で書く。",
	"function":            "データベース独自の関数なら、内容を確認して functions.reviewed に登録する。",
	"large_object":        "個人に関わるものがなければ、カタログの unprotected に pg_catalog.pg_largeobject を加える。保護されたデータと同じ文では通らない。",
	"unknown_function":    "関数の名前を確かめる。",
	"view_calls_function": "その関数の内容を確認し、functions.reviewed に登録する。",
	"view_locked":         "ビューまたはその元になる表のロックが外れてから、もう一度試す。",
	"foreign_table":       "外部表をカタログの tables または unprotected に登録する。",
	"policy":              "行ポリシーの関数を確認し、functions.reviewed に登録する。ポリシーが保護された表を読む表は通らない。",
	"operator":            "演算子の関数を確認して functions.reviewed に登録するか、OPERATOR(pg_catalog.=) のように書く。",
	"type":                "独自のコードを持たない型を使う。",
	"write_sets_off":      "表のトリガー、既定値、検査制約、索引の関数を確認し、functions.reviewed に登録する。",
	"write":               "書き込みのできる役割（設定で writes: true）のログインを使う。",
	"write_reads":         "保護された表を直接結合する（UPDATE … FROM、DELETE … USING）。または先に行を選び、値かパラメータとして保護された表に書き込む。",
	"write_key":           "キーの変更は UPDATE だけで行う。書き込みをする WITH、ON CONFLICT、clock_timestamp() や random() などの関数は併用しない。または新しいキーで挿入し、古い行を削除する。",
	"write_view":          "表そのものに書き込む。",
	"merge":               "INSERT … ON CONFLICT を使う。または UPDATE … FROM と INSERT … SELECT … WHERE NOT EXISTS を、WITH による一つの文か一つのトランザクションで行う。",
	"copy_key":            "COPY の列にお客さまのキーを含める。",
	"copy_trigger":        "INSERT を使う。ゲートは保存されたとおりのキーを読む。",
	"cursor":              "SELECT に対して宣言する。長い結果はゲートが自ら分けて送る。",
	"prepare":             "SELECT を準備するか、ドライバのプリペアドステートメントを使う。",
	"execute":             "ドライバのプリペアドステートメントを使う。",
	"fetch":               "通常の SELECT を使う。長い結果はゲートが自ら分けて送る。",
	"explain":             "SELECT、INSERT、UPDATE、DELETE、MERGE そのものを EXPLAIN する。EXECUTE は、このセッションが一度だけ準備した名前に限る。",
	"create_table_as":     "CREATE TEMPORARY TABLE … AS SELECT を単独の文として書き、列にお客さまのキーを含める。残る写しが要るときは、行のない表を CREATE TABLE で作り、お客さまのキーとともにカタログの tables に登録してから、INSERT … SELECT で移す（writes: true の役割）。",
	"create_view":         "データベース管理者に依頼する。",
	"define":              "データベース管理者に依頼する。",
	"refresh":             "マテリアライズドビューを、お客さまのキーの列とともにカタログの tables に登録する。個人に関わるものがなければ unprotected に登録する。どの行も一人だけの行で、その人のキーを持つビューなら、登録は要らない。所有者はゲートの外で更新できる。",
	"maintain":            "データベース管理者に依頼する。",
	"code":                "データベース管理者に依頼する。",
	"do":                  "中の文を一つずつ、DO の外で実行する。または関数にして確認を受け、catalog: functions: reviewed に登録して SELECT する。",
	"call":                "中の文を一つずつ実行する。または手続きの確認を受け、functions.reviewed に、読み書きする表があるなら表とともに functions.reaching に登録する。",
	"setting":             "SET に定数を書く。",
	"statistics":          "データベース管理者に依頼する。",
	"copy_format":         "形式は text、csv、binary のいずれかにする。",
	"copy_kind":           "COPY (SELECT …) TO STDOUT を使う。",
	"lock":                "表そのものをロックする。",

	"role_change":                 "本人のログインで接続する。",
	"unsafe_strings":              "エスケープは E'…' の形で書く。",
	"unsafe_encoding":             "UTF8 または EUC_JP を使う。",
	"unsafe_setting":              "データベース管理者に依頼する。",
	"copy_program":                "COPY … TO STDOUT を使う。",
	"copy_file":                   "COPY … TO STDOUT、または psql の \\copy を使う。",
	"token_function":              "トークンどうしを比べる。",
	"other_sessions":              "自分の文はクライアントから取り消す（psql では Ctrl-C）。他人の文はデータベース管理者に依頼する。",
	"server_files_or_replication": "データベース管理者に依頼する。",
}

// RemedyJa is a refusal's hint in Japanese, for the hint that the judgement gives
// in English; "" where there is none.
func RemedyJa(reason, hint string) string {
	text := remedies[reason]
	if text == "" {
		return ""
	}
	if reason == "function" {
		switch _, list, own := strings.Cut(hint, "reviewed: ["); {
		case own:
			list, _, _ = strings.Cut(list, "]")
			text = "誰のデータを読むかが引数から分かることを確認し、設定の catalog: functions: reviewed に登録する：[" + list + "]"
		case strings.Contains(hint, "functions.reaching"):
			return "functions.reaching に登録された関数。設定で any_row: true の役割（書き込むものは writes: true も）のログインなら呼び出せる。"
		case strings.Contains(hint, "PostgreSQL's own"):
			text = "PostgreSQL 自身の関数で、引数に現れないものを読むか、それ以上のことをする。外すか、保護されたデータのない文で実行する。"
		}
	}
	if strings.Contains(hint, "Not by a cursor") {
		return text + " カーソルでは実行できない。設定で any_row: true の役割のログインから、SELECT だけを送る（全員に及びうるものとして記録される）。"
	}
	if strings.Contains(hint, "any_row: true") {
		text += " それができなければ、設定で any_row: true の役割のログインで実行できる（全員に及びうるものとして記録される）。"
	}
	return text
}
