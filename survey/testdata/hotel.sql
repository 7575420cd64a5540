-- A hotel's members as an old host system has them: upper case, abbreviated,
-- fixed widths, no foreign keys, dates as digits. Its people do not exist.
create function pg_temp.pick(list text[], n int) returns text language sql immutable as
	$$ select list[1 + (abs(hashint4(n * 7919 + array_length(list, 1))::bigint) % array_length(list, 1))::int] $$;
create function pg_temp.digits(n int, salt int, many int) returns text language sql immutable as
	$$ select string_agg((abs(hashint4(n * 31 + salt * 1009 + i)::bigint) % 10)::text, '' order by i) from generate_series(1, many) i $$;
create function pg_temp.luhn(body text) returns text language sql immutable as
	$$ select body || ((10 - (select sum(case when (length(body) - i) % 2 = 0 then (d * 2) / 10 + (d * 2) % 10 else d end)
		from (select i, substr(body, i, 1)::int as d from generate_series(1, length(body)) i) x) % 10) % 10)::text $$;
create table "KAIIN_MST" (
	"KAIIN_CD" char(8) primary key, "SEI_KJ" varchar(20), "MEI_KJ" varchar(20), "SEI_KN" varchar(20), "MEI_KN" varchar(20),
	"YBN" char(7), "KEN_CD" char(2), "JUSHO1" varchar(80), "JUSHO2" varchar(80), "TEL_NO" char(12), "KEITAI_NO" char(12), "ML_ADR" varchar(80),
	"SEINEN_YMD" char(8), "SEX_KBN" char(1), "KNM_SAKI" varchar(40), "PPT_NO" char(9), "DM_KBN" char(1), "RANK_CD" char(1), "PT_ZAN" int, "TRK_YMD" char(8));
insert into "KAIIN_MST" select 'H' || lpad((n * 7919 % 9999991)::text, 7, '0'),
	pg_temp.pick('{佐藤,八重樫,高橋,田中,権藤,山本,仁科,中村,真壁,吉田,猪狩,鈴木}', n), pg_temp.pick('{晴香,一成,美紀,俊,紗英,健太郎,直樹,優子}', n * 3),
	pg_temp.pick('{サトウ,ヤエガシ,タカハシ,タナカ,ゴンドウ,ヤマモト,ニシナ,ナカムラ,マカベ,ヨシダ,イガリ,スズキ}', n), pg_temp.pick('{ハルカ,カズナリ,ミキ,シュン,サエ,ケンタロウ,ナオキ,ユウコ}', n * 3),
	pg_temp.digits(n, 1, 7), lpad((1 + n % 47)::text, 2, '0'), pg_temp.pick('{見本市中央区,例示市西区,試験郡試験町}', n) || (1 + n % 30) || '-' || (1 + n % 9),
	case when n % 3 = 0 then 'コーポ見本' || (100 + n % 400) end, '03-' || pg_temp.digits(n, 2, 4) || '-' || pg_temp.digits(n, 3, 4), '0900' || pg_temp.digits(n, 4, 7),
	'm' || n || '@example.co.jp', to_char(date '1940-01-01' + (n * 37 % 24000), 'YYYYMMDD'), (1 + n % 2)::text, pg_temp.pick('{見本商事,例示電機,試験大学,自営業}', n),
	case when n % 4 = 0 then chr(77 + n % 9) || chr(65 + n % 26) || pg_temp.digits(n, 5, 7) end, (n % 2)::text, pg_temp.pick('{G,S,B}', n), n * 13 % 9000, to_char(date '2015-01-01' + n % 3600, 'YYYYMMDD')
from generate_series(1, 1500) n;
create table "CRD" ("KAIIN_CD" char(8), "EDA" int, "CRD_BNG" varchar(19), "YK_KGN" char(4), "MEIGI" varchar(40), primary key ("KAIIN_CD", "EDA"));
insert into "CRD" select 'H' || lpad((n * 7919 % 9999991)::text, 7, '0'), 1, pg_temp.luhn('4' || pg_temp.digits(n, 6, 14)), lpad((1 + n % 12)::text, 2, '0') || '28', pg_temp.pick('{SATO HARUKA,TAKAHASHI NAOKI,YAMAMOTO YUKO,NISHINA SHUN}', n) from generate_series(1, 900) n;
create table "NINSHO" ("KAIIN_CD" char(8) primary key, "HSH" char(64), "HNK_YMD" char(8), "SPL_Q" varchar(40), "SPL_A" varchar(40));
insert into "NINSHO" select 'H' || lpad((n * 7919 % 9999991)::text, 7, '0'), encode(sha256(('p' || n)::bytea), 'hex'), to_char(date '2022-01-01' + n % 900, 'YYYYMMDD'), '好きな食べ物は', pg_temp.pick('{うどん,そば,すし}', n) from generate_series(1, 1500) n;
create table "YOYAKU" ("YYK_NO" bigint primary key, "KAIIN_CD" char(8), "CHKIN_YMD" char(8), "HAKUSU" int, "RM_TYP" char(3), "BIKO" text);
insert into "YOYAKU" select 500000 + n, 'H' || lpad((n * 7919 % 9999991)::text, 7, '0'), to_char(date '2026-01-01' + n % 300, 'YYYYMMDD'), 1 + n % 4, pg_temp.pick('{TWN,DBL,SGL}', n),
	case when n % 5 = 0 then '同行者 090-0' || pg_temp.digits(n, 8, 3) || '-' || pg_temp.digits(n, 9, 4) || ' へ連絡' else '禁煙希望' || n end from generate_series(1, 1400) n;
create table "SHAIN" ("SHAIN_NO" int primary key, "SHIMEI" varchar(40), "BUSHO" varchar(20), "MAIL" varchar(80), "KYUYO" int);
insert into "SHAIN" select 1000 + n, pg_temp.pick('{佐藤　花子,高橋　一成,真壁　俊,田中　美紀,中村　健}', n), pg_temp.pick('{宿泊部,営業部,総務課}', n), 'e' || n || '@example.jp', 200000 + n * 1000 from generate_series(1, 60) n;
create table "PLAN_MST" ("PLAN_CD" char(9) primary key, "PLAN_NM" varchar(40), "KINGAKU" int, "HAISHI_YMD" char(8));
insert into "PLAN_MST" select 'PL' || lpad(n::text, 7, '0'), '朝食付プラン' || n, n * 100, to_char(date '2027-01-01' + n, 'YYYYMMDD') from generate_series(1, 80) n;
create table "HEYA" ("RM_NO" int primary key, "KAI" int, "RM_TYP" char(3), "NAISEN" char(4));
insert into "HEYA" select 100 + n, n / 10, pg_temp.pick('{TWN,DBL,SGL}', n), pg_temp.digits(n, 3, 4) from generate_series(1, 120) n;
analyze;
