-- A travel agency's store: bookings of people who do not exist. $ROWS rows, of
-- which $PASSPORTS told a passport, $VALID of them one that was valid on
-- 2016-03-21, and $PARTNER came through the partner. $SEED moves everything.
drop schema public;
create schema travel authorization crm_owner;
set role crm_owner;
create function travel.pick(n bigint, salt bigint, among bigint) returns bigint language sql immutable parallel safe
	return (hashint8extended(n, salt) & 9223372036854775807) % among;

create table travel.partner (code text primary key, name text not null);
insert into travel.partner values ('DPORTAL', '若草トラベルポータル');

create table travel.booking as
with names as (select
	'{アイハラ,バンノ,チバ,デグチ,エビナ,フカヤ,ゴウダ,ヒロセ,イクタ,ジンボ,カヤマ,クボタ,マキノ,ミスミ,ムカイ,ナガセ,ニシオ,オガタ,オカベ,オオヌキ,ロッカク,サガラ,サクマ,シバ,ソウマ,スギタ,タバタ,タナベ,トキタ,トヤマ,ツダ,ウチダ}'::text[] as kana,
	'{AIHARA,BANNO,CHIBA,DEGUCHI,EBINA,FUKAYA,GODA,HIROSE,IKUTA,JINBO,KAYAMA,KUBOTA,MAKINO,MISUMI,MUKAI,NAGASE,NISHIO,OGATA,OKABE,ONUKI,ROKKAKU,SAGARA,SAKUMA,SHIBA,SOMA,SUGITA,TABATA,TANABE,TOKITA,TOYAMA,TSUDA,UCHIDA}'::text[] as latin,
	'{アキ,ハルカ,ナオ,ミサキ,ユウ,レイ,カズ,トモ,ケイ,ヒロ,マコト,シノブ,ジュン,ツカサ,アオイ,ミオ}'::text[] as given,
	'{AKI,HARUKA,NAO,MISAKI,YU,REI,KAZU,TOMO,KEI,HIRO,MAKOTO,SHINOBU,JUN,TSUKASA,AOI,MIO}'::text[] as first,
	'{札幌市中央区,仙台市青葉区,さいたま市浦和区,千葉市美浜区,東京都新宿区,東京都世田谷区,横浜市港北区,名古屋市中区,京都市左京区,大阪市北区,神戸市灘区,広島市中区,高松市番町,福岡市博多区,那覇市首里}'::text[] as town),
partners as (select i from generate_series(1, $ROWS) i order by hashint8extended(i, $SEED + 3), i limit $PARTNER)
select 1000000000::bigint + i * 7 + travel.pick(i, $SEED + 1, 7) as booking_no,
	kana[1 + f] || ' ' || given[1 + g] as name_kana, latin[1 + f] || ' ' || first[1 + g] as name_latin,
	case when travel.pick(i, $SEED + 6, 2) = 0 then 'F' else 'M' end as sex,
	date '1935-01-01' + travel.pick(i, $SEED + 7, 25500)::int as birth_date,
	lower(first[1 + g]) || '.' || lower(latin[1 + f]) || i || '@mail.example' as email,
	lpad(travel.pick(i, $SEED + 8, 10000000)::text, 7, '0') as postal_code,
	town[1 + t] || (1 + travel.pick(i, $SEED + 10, 30)) || '-' || (1 + travel.pick(i, $SEED + 11, 40)) as address,
	'090-0' || lpad(travel.pick(i, $SEED + 12, 1000)::text, 3, '0') || '-' || lpad(travel.pick(i, $SEED + 13, 10000)::text, 4, '0') as phone,
	case when partners.i is not null then 'DPORTAL' end as partner_code,
	date '2007-09-28' + ((i - 1)::bigint * 3097 / greatest($ROWS - 1, 1))::int as booked_on
from (select n as i, travel.pick(n, $SEED + 4, 32)::int as f, travel.pick(n, $SEED + 5, 16)::int as g, travel.pick(n, $SEED + 9, 15)::int as t
	from generate_series(1, $ROWS) n) rows
	left join partners using (i), names;
alter table travel.booking add primary key (booking_no);
alter table travel.booking alter name_latin set not null, add foreign key (partner_code) references travel.partner;

create table travel.passport as
select 1000000000::bigint + i * 7 + travel.pick(i, $SEED + 1, 7) as booking_no,
	'T' || chr(65 + travel.pick(i, $SEED + 21, 26)::int) || lpad(travel.pick(i, $SEED + 22, 10000000)::text, 7, '0') as passport_no,
	case when at <= $VALID then date '2016-07-01' + travel.pick(i, $SEED + 23, 3300)::int else date '2009-01-01' + travel.pick(i, $SEED + 23, 2500)::int end as expires_on
from (select i, row_number() over () as at from (select i from generate_series(1, $ROWS) i order by hashint8extended(i, $SEED + 2), i limit $PASSPORTS) drawn) numbered;
alter table travel.passport add primary key (booking_no);
alter table travel.passport add foreign key (booking_no) references travel.booking;
alter table travel.passport add column issued_on date generated always as (expires_on - 3652) stored;
analyze travel.booking, travel.passport;
grant usage on schema travel to app_callcentre, app_batch, sekisho_reader;
grant select on travel.booking, travel.passport, travel.partner to app_callcentre, app_batch, sekisho_reader;
