package demo

// The lists below are ordinary names, places and words, put together at
// random: whoever results does not exist.

type name struct{ kanji, kana, latin string }

// Commonest first, and drawn so.
var surnames = [...]name{
	{"佐藤", "サトウ", "Sato"}, {"鈴木", "スズキ", "Suzuki"}, {"高橋", "タカハシ", "Takahashi"}, {"田中", "タナカ", "Tanaka"},
	{"伊藤", "イトウ", "Ito"}, {"渡辺", "ワタナベ", "Watanabe"}, {"山本", "ヤマモト", "Yamamoto"}, {"中村", "ナカムラ", "Nakamura"},
	{"小林", "コバヤシ", "Kobayashi"}, {"加藤", "カトウ", "Kato"}, {"吉田", "ヨシダ", "Yoshida"}, {"山田", "ヤマダ", "Yamada"},
	{"佐々木", "ササキ", "Sasaki"}, {"山口", "ヤマグチ", "Yamaguchi"}, {"松本", "マツモト", "Matsumoto"}, {"井上", "イノウエ", "Inoue"},
	{"木村", "キムラ", "Kimura"}, {"林", "ハヤシ", "Hayashi"}, {"斎藤", "サイトウ", "Saito"}, {"清水", "シミズ", "Shimizu"},
	{"山崎", "ヤマザキ", "Yamazaki"}, {"阿部", "アベ", "Abe"}, {"森", "モリ", "Mori"}, {"池田", "イケダ", "Ikeda"},
	{"橋本", "ハシモト", "Hashimoto"}, {"石川", "イシカワ", "Ishikawa"}, {"山下", "ヤマシタ", "Yamashita"}, {"小川", "オガワ", "Ogawa"},
	{"石井", "イシイ", "Ishii"}, {"長谷川", "ハセガワ", "Hasegawa"}, {"後藤", "ゴトウ", "Goto"}, {"岡田", "オカダ", "Okada"},
	{"近藤", "コンドウ", "Kondo"}, {"前田", "マエダ", "Maeda"}, {"藤田", "フジタ", "Fujita"}, {"遠藤", "エンドウ", "Endo"},
	{"青木", "アオキ", "Aoki"}, {"坂本", "サカモト", "Sakamoto"}, {"村上", "ムラカミ", "Murakami"}, {"太田", "オオタ", "Ota"},
	{"金子", "カネコ", "Kaneko"}, {"藤井", "フジイ", "Fujii"}, {"福田", "フクダ", "Fukuda"}, {"西村", "ニシムラ", "Nishimura"},
	{"三浦", "ミウラ", "Miura"}, {"竹内", "タケウチ", "Takeuchi"}, {"中川", "ナカガワ", "Nakagawa"}, {"岡本", "オカモト", "Okamoto"},
	{"松田", "マツダ", "Matsuda"}, {"原田", "ハラダ", "Harada"}, {"中野", "ナカノ", "Nakano"}, {"小野", "オノ", "Ono"},
	{"田村", "タムラ", "Tamura"}, {"藤原", "フジワラ", "Fujiwara"}, {"中山", "ナカヤマ", "Nakayama"}, {"石田", "イシダ", "Ishida"},
	{"小島", "コジマ", "Kojima"}, {"和田", "ワダ", "Wada"}, {"森田", "モリタ", "Morita"}, {"内田", "ウチダ", "Uchida"},
	{"柴田", "シバタ", "Shibata"}, {"酒井", "サカイ", "Sakai"}, {"原", "ハラ", "Hara"}, {"高木", "タカギ", "Takagi"},
	{"横山", "ヨコヤマ", "Yokoyama"}, {"安藤", "アンドウ", "Ando"}, {"宮崎", "ミヤザキ", "Miyazaki"}, {"上田", "ウエダ", "Ueda"},
	{"島田", "シマダ", "Shimada"}, {"工藤", "クドウ", "Kudo"}, {"大野", "オオノ", "Ono"}, {"宮本", "ミヤモト", "Miyamoto"},
	{"杉山", "スギヤマ", "Sugiyama"}, {"今井", "イマイ", "Imai"}, {"丸山", "マルヤマ", "Maruyama"}, {"増田", "マスダ", "Masuda"},
	{"高田", "タカダ", "Takada"}, {"村田", "ムラタ", "Murata"}, {"平野", "ヒラノ", "Hirano"}, {"大塚", "オオツカ", "Otsuka"},
	{"菅原", "スガワラ", "Sugawara"}, {"武田", "タケダ", "Takeda"}, {"新井", "アライ", "Arai"}, {"小山", "コヤマ", "Koyama"},
	{"野口", "ノグチ", "Noguchi"}, {"桜井", "サクライ", "Sakurai"}, {"千葉", "チバ", "Chiba"}, {"岩崎", "イワサキ", "Iwasaki"},
	{"佐野", "サノ", "Sano"}, {"谷口", "タニグチ", "Taniguchi"}, {"上野", "ウエノ", "Ueno"}, {"松井", "マツイ", "Matsui"},
	{"河野", "コウノ", "Kono"}, {"市川", "イチカワ", "Ichikawa"}, {"渡部", "ワタベ", "Watabe"}, {"野村", "ノムラ", "Nomura"},
	{"菊地", "キクチ", "Kikuchi"}, {"木下", "キノシタ", "Kinoshita"}, {"水野", "ミズノ", "Mizuno"}, {"比嘉", "ヒガ", "Higa"},
}

var menNames = [...]name{
	{"誠", "マコト", "Makoto"}, {"浩", "ヒロシ", "Hiroshi"}, {"健一", "ケンイチ", "Kenichi"}, {"大輔", "ダイスケ", "Daisuke"},
	{"翔太", "ショウタ", "Shota"}, {"直樹", "ナオキ", "Naoki"}, {"哲也", "テツヤ", "Tetsuya"}, {"隆", "タカシ", "Takashi"},
	{"学", "マナブ", "Manabu"}, {"剛", "ツヨシ", "Tsuyoshi"}, {"和也", "カズヤ", "Kazuya"}, {"達也", "タツヤ", "Tatsuya"},
	{"拓也", "タクヤ", "Takuya"}, {"健太", "ケンタ", "Kenta"}, {"亮", "リョウ", "Ryo"}, {"蓮", "レン", "Ren"},
	{"大翔", "ヒロト", "Hiroto"}, {"悠斗", "ユウト", "Yuto"}, {"陽介", "ヨウスケ", "Yosuke"}, {"修", "オサム", "Osamu"},
	{"茂", "シゲル", "Shigeru"}, {"勝", "マサル", "Masaru"}, {"清", "キヨシ", "Kiyoshi"}, {"実", "ミノル", "Minoru"},
	{"正", "タダシ", "Tadashi"}, {"進", "ススム", "Susumu"}, {"博之", "ヒロユキ", "Hiroyuki"}, {"正人", "マサト", "Masato"},
	{"雄一", "ユウイチ", "Yuichi"}, {"慎太郎", "シンタロウ", "Shintaro"}, {"孝之", "タカユキ", "Takayuki"}, {"光男", "ミツオ", "Mitsuo"},
	{"和夫", "カズオ", "Kazuo"}, {"幸雄", "ユキオ", "Yukio"}, {"英樹", "ヒデキ", "Hideki"}, {"秀明", "ヒデアキ", "Hideaki"},
	{"裕介", "ユウスケ", "Yusuke"}, {"洋平", "ヨウヘイ", "Yohei"}, {"圭", "ケイ", "Kei"}, {"智", "サトシ", "Satoshi"},
	{"伸一", "シンイチ", "Shinichi"}, {"康弘", "ヤスヒロ", "Yasuhiro"}, {"竜也", "リュウヤ", "Ryuya"}, {"航", "ワタル", "Wataru"},
	{"颯太", "ソウタ", "Sota"}, {"海斗", "カイト", "Kaito"}, {"雅之", "マサユキ", "Masayuki"}, {"敏夫", "トシオ", "Toshio"},
}

var womenNames = [...]name{
	{"陽子", "ヨウコ", "Yoko"}, {"恵子", "ケイコ", "Keiko"}, {"裕子", "ユウコ", "Yuko"}, {"美咲", "ミサキ", "Misaki"},
	{"愛", "アイ", "Ai"}, {"由美子", "ユミコ", "Yumiko"}, {"明美", "アケミ", "Akemi"}, {"直美", "ナオミ", "Naomi"},
	{"真由美", "マユミ", "Mayumi"}, {"智子", "トモコ", "Tomoko"}, {"久美子", "クミコ", "Kumiko"}, {"麻衣", "マイ", "Mai"},
	{"彩", "アヤ", "Aya"}, {"さくら", "サクラ", "Sakura"}, {"結衣", "ユイ", "Yui"}, {"葵", "アオイ", "Aoi"},
	{"陽菜", "ヒナ", "Hina"}, {"凛", "リン", "Rin"}, {"遥", "ハルカ", "Haruka"}, {"恵", "メグミ", "Megumi"},
	{"幸子", "サチコ", "Sachiko"}, {"和子", "カズコ", "Kazuko"}, {"節子", "セツコ", "Setsuko"}, {"文子", "フミコ", "Fumiko"},
	{"京子", "キョウコ", "Kyoko"}, {"順子", "ジュンコ", "Junko"}, {"典子", "ノリコ", "Noriko"}, {"千尋", "チヒロ", "Chihiro"},
	{"香織", "カオリ", "Kaori"}, {"友美", "トモミ", "Tomomi"}, {"理恵", "リエ", "Rie"}, {"奈々", "ナナ", "Nana"},
	{"美穂", "ミホ", "Miho"}, {"絵美", "エミ", "Emi"}, {"沙織", "サオリ", "Saori"}, {"舞", "マイ", "Mai"},
	{"七海", "ナナミ", "Nanami"}, {"菜々子", "ナナコ", "Nanako"}, {"桃子", "モモコ", "Momoko"}, {"純子", "ジュンコ", "Junko"},
	{"静香", "シズカ", "Shizuka"}, {"弘子", "ヒロコ", "Hiroko"}, {"圭子", "ケイコ", "Keiko"}, {"雅美", "マサミ", "Masami"},
	{"真理", "マリ", "Mari"}, {"由紀", "ユキ", "Yuki"}, {"亜希子", "アキコ", "Akiko"}, {"萌", "モエ", "Moe"},
}

// A town with the first three digits of its postal codes.
var towns = [...]struct{ postal, name string }{
	{"100", "東京都千代田区"}, {"104", "東京都中央区"}, {"105", "東京都港区"}, {"113", "東京都文京区"}, {"135", "東京都江東区"},
	{"140", "東京都品川区"}, {"144", "東京都大田区"}, {"150", "東京都渋谷区"}, {"154", "東京都世田谷区"}, {"160", "東京都新宿区"},
	{"164", "東京都中野区"}, {"167", "東京都杉並区"}, {"170", "東京都豊島区"}, {"176", "東京都練馬区"}, {"180", "東京都武蔵野市"},
	{"192", "東京都八王子市"}, {"210", "神奈川県川崎市川崎区"}, {"220", "神奈川県横浜市西区"}, {"231", "神奈川県横浜市中区"},
	{"251", "神奈川県藤沢市"}, {"260", "千葉県千葉市中央区"}, {"273", "千葉県船橋市"}, {"277", "千葉県柏市"}, {"286", "千葉県成田市"},
	{"330", "埼玉県さいたま市大宮区"}, {"350", "埼玉県川越市"}, {"310", "茨城県水戸市"}, {"320", "栃木県宇都宮市"}, {"371", "群馬県前橋市"},
	{"380", "長野県長野市"}, {"400", "山梨県甲府市"}, {"420", "静岡県静岡市葵区"}, {"430", "静岡県浜松市中央区"}, {"450", "愛知県名古屋市中村区"},
	{"460", "愛知県名古屋市中区"}, {"500", "岐阜県岐阜市"}, {"514", "三重県津市"}, {"520", "滋賀県大津市"}, {"530", "大阪府大阪市北区"},
	{"542", "大阪府大阪市中央区"}, {"560", "大阪府豊中市"}, {"600", "京都府京都市下京区"}, {"630", "奈良県奈良市"}, {"640", "和歌山県和歌山市"},
	{"650", "兵庫県神戸市中央区"}, {"662", "兵庫県西宮市"}, {"680", "鳥取県鳥取市"}, {"690", "島根県松江市"}, {"700", "岡山県岡山市北区"},
	{"730", "広島県広島市中区"}, {"750", "山口県下関市"}, {"760", "香川県高松市"}, {"770", "徳島県徳島市"}, {"780", "高知県高知市"},
	{"790", "愛媛県松山市"}, {"810", "福岡県福岡市中央区"}, {"802", "福岡県北九州市小倉北区"}, {"840", "佐賀県佐賀市"}, {"850", "長崎県長崎市"},
	{"860", "熊本県熊本市中央区"}, {"870", "大分県大分市"}, {"880", "宮崎県宮崎市"}, {"890", "鹿児島県鹿児島市"}, {"900", "沖縄県那覇市"},
	{"060", "北海道札幌市中央区"}, {"040", "北海道函館市"}, {"070", "北海道旭川市"}, {"030", "青森県青森市"}, {"020", "岩手県盛岡市"},
	{"010", "秋田県秋田市"}, {"990", "山形県山形市"}, {"980", "宮城県仙台市青葉区"}, {"960", "福島県福島市"}, {"950", "新潟県新潟市中央区"},
	{"920", "石川県金沢市"}, {"930", "富山県富山市"}, {"910", "福井県福井市"},
}

var quarters = [...]string{
	"本町", "栄町", "中央", "緑町", "旭町", "幸町", "桜台", "若葉町", "青葉台", "松原", "富士見", "泉町", "元町", "新町", "東町", "西町",
	"南町", "北町", "港町", "川端", "寺町", "高砂", "八幡", "神明", "日の出", "美里", "朝日", "大手", "上町", "下町", "和泉", "駅前",
}

var buildings = [...]string{
	"コーポ青空", "メゾン若葉", "ハイツさくら", "グリーンハイツ", "サンライズ", "パークハイム", "第一住宅", "シティコート", "リバーサイド", "ヒルズ見本",
}

var companyFirst = [...]string{
	"東都", "北星", "瑞光", "大和野", "青嶺", "三友", "明鏡", "白波", "新潮", "常盤木", "若竹", "天洋", "紀ノ川", "みなと", "ひかり", "あさぎ",
	"千歳", "相生", "浪花", "関八州",
}

var companySecond = [...]string{
	"商事", "電機", "製作所", "物産", "建設", "化学工業", "製薬", "精機", "銀行", "証券", "生命保険", "出版", "食品", "運輸", "システムズ", "大学",
	"病院", "不動産", "自動車販売", "広告",
}

var departments = [...]string{
	"営業部", "総務部", "人事部", "経理部", "企画部", "開発部", "製造部", "品質保証部", "情報システム部", "広報部", "法務部", "資材部", "海外事業部",
	"研究所", "支店営業課", "国際部",
}

// A land outside Japan: who lives there, at which kind of address, and how
// its telephone numbers begin. The numbers are in ranges that are reserved
// for fiction or that no exchange gives out.
type land struct {
	code     string
	weight   int // of 1000 members abroad
	dial     string
	streets  []string
	cities   []string
	first    []string // given names: women at even places
	families []string
}

var (
	englishStreets  = []string{"Maple Street", "Oak Avenue", "Station Road", "High Street", "Park Lane", "Church Street", "Mill Road", "Lake View Drive"}
	englishFirst    = []string{"Mary", "James", "Linda", "John", "Susan", "Robert", "Karen", "Michael", "Emily", "David", "Olivia", "Thomas"}
	englishFamilies = []string{"Smith", "Johnson", "Brown", "Taylor", "Miller", "Wilson", "Moore", "Clark", "Walker", "Young", "Hall", "Green"}
	chineseFirst    = []string{"Mei", "Wei", "Xin", "Jun", "Li", "Hao", "Yan", "Ming", "Ying", "Jian", "Hui", "Bo"}
	chineseFamilies = []string{"Wang", "Li", "Zhang", "Liu", "Chen", "Yang", "Huang", "Zhao", "Wu", "Zhou", "Lin", "Xu"}
)

var lands = [...]land{
	{"US", 310, "+1-212-555-01", englishStreets, []string{"New York, NY", "Los Angeles, CA", "Chicago, IL", "Honolulu, HI", "San Francisco, CA", "Boston, MA"}, englishFirst, englishFamilies},
	{"CN", 150, "+86-100-0000-", []string{"Nanjing Road", "Renmin Road", "Zhongshan Road", "Jiefang Road"}, []string{"Shanghai", "Beijing", "Guangzhou", "Dalian"}, chineseFirst, chineseFamilies},
	{"TW", 90, "+886-900-000-", []string{"Zhongxiao East Road", "Minsheng Road", "Fuxing South Road"}, []string{"Taipei", "Kaohsiung", "Taichung"}, chineseFirst, chineseFamilies},
	{"HK", 80, "+852-0000-", []string{"Nathan Road", "Queen's Road Central", "King's Road"}, []string{"Kowloon", "Central", "Tsuen Wan"}, chineseFirst, chineseFamilies},
	{"KR", 80, "+82-10-0000-", []string{"Teheran-ro", "Sejong-daero", "Haeundae-ro"}, []string{"Seoul", "Busan", "Incheon"}, []string{"Ji-woo", "Min-jun", "Seo-yeon", "Do-yun", "Ha-eun", "Joon-ho"}, []string{"Kim", "Lee", "Park", "Choi", "Jung", "Kang", "Yoon"}},
	{"SG", 60, "+65-0000-", []string{"Orchard Road", "Bukit Timah Road", "Serangoon Road"}, []string{"Singapore"}, chineseFirst, []string{"Tan", "Lim", "Lee", "Ng", "Wong", "Goh", "Kumar"}},
	{"GB", 60, "+44-7700-900", englishStreets, []string{"London", "Manchester", "Leeds", "Edinburgh"}, englishFirst, englishFamilies},
	{"AU", 45, "+61-491-570-", englishStreets, []string{"Sydney NSW", "Melbourne VIC", "Cairns QLD", "Perth WA"}, englishFirst, englishFamilies},
	{"DE", 40, "+49-30-23125-", []string{"Hauptstrasse", "Bahnhofstrasse", "Gartenweg", "Lindenallee"}, []string{"Duesseldorf", "Frankfurt am Main", "Berlin", "Muenchen"}, []string{"Anna", "Lukas", "Julia", "Felix", "Katrin", "Stefan"}, []string{"Mueller", "Schmidt", "Schneider", "Fischer", "Weber", "Becker"}},
	{"FR", 35, "+33-1-99-00-", []string{"Rue de la Gare", "Avenue Victor Hugo", "Rue des Lilas"}, []string{"Paris", "Lyon", "Nice"}, []string{"Camille", "Hugo", "Chloe", "Louis", "Manon", "Julien"}, []string{"Martin", "Bernard", "Dubois", "Laurent", "Moreau", "Garnier"}},
	{"TH", 30, "+66-00-000-", []string{"Sukhumvit Road", "Silom Road", "Rama IV Road"}, []string{"Bangkok", "Chiang Mai", "Sriracha"}, []string{"Malee", "Somchai", "Kanya", "Anan"}, []string{"Srisai", "Thongdee", "Chaiyo", "Wongsa", "Boonmee"}},
	{"BR", 20, "+55-11-0000-", []string{"Rua das Flores", "Avenida Brasil", "Rua da Liberdade"}, []string{"Sao Paulo", "Curitiba", "Londrina"}, []string{"Ana", "Joao", "Beatriz", "Pedro", "Larissa", "Lucas"}, []string{"Silva", "Santos", "Oliveira", "Souza", "Pereira", "Tanaka"}},
}

// Reserved by RFC 2606, RFC 6761 and (example.jp, example.co.jp) by the
// Japanese registry: no mail to them arrives anywhere.
var mailDomains = [...]string{"example.com", "example.jp", "example.co.jp", "example.net", "example.org", "mail.example", "post.example", "keitai.example"}

// Partners through whom a member came, with their shares of 1000.
var partners = [...]struct {
	code, name string
	weight     int
}{
	{"CARD1", "東都カード", 170}, {"CARD2", "みなとクレジット", 90}, {"HOTEL", "相生ホテルズ", 80}, {"BANK", "千歳銀行", 70},
	{"RAIL", "関八州鉄道", 65}, {"TOUR", "若竹トラベル", 60}, {"SHOP", "天洋百貨店", 50}, {"TEL", "ひかり通信", 40},
	{"RENT", "白波レンタカー", 30}, {"FUEL", "瑞光石油", 20}, {"INS", "明鏡生命", 15}, {"INTL", "Orchard Alliance", 10},
}
