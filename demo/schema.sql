-- The store before its members: what holds nothing about anybody, and the
-- owner of it all, who cannot sign in.
begin;
drop schema public;
create schema crm authorization crm_owner;
set local role crm_owner;

create table crm.partner (code text primary key, name text not null);
insert into crm.partner values
	('CARD1', '東都カード'),
	('CARD2', 'みなとクレジット'),
	('HOTEL', '相生ホテルズ'),
	('BANK', '千歳銀行'),
	('RAIL', '関八州鉄道'),
	('TOUR', '若竹トラベル'),
	('SHOP', '天洋百貨店'),
	('TEL', 'ひかり通信'),
	('RENT', '白波レンタカー'),
	('FUEL', '瑞光石油'),
	('INS', '明鏡生命'),
	('INTL', 'Orchard Alliance');

create table crm.app_setting (name text primary key, value text not null);
insert into crm.app_setting values
	('call_centre.greeting', 'お電話ありがとうございます'), ('search.limit', '50'), ('batch.window', '01:00-05:00'), ('theme', 'plain');

create table crm.airport (code char(3) primary key, name text not null, country char(2) not null);
insert into crm.airport values
	('HND', '東京 羽田', 'JP'),
	('NRT', '東京 成田', 'JP'),
	('KIX', '大阪 関西', 'JP'),
	('ITM', '大阪 伊丹', 'JP'),
	('CTS', '札幌 新千歳', 'JP'),
	('FUK', '福岡', 'JP'),
	('OKA', '那覇', 'JP'),
	('NGO', '名古屋 中部', 'JP'),
	('KOJ', '鹿児島', 'JP'),
	('HIJ', '広島', 'JP'),
	('SDJ', '仙台', 'JP'),
	('KMQ', '小松', 'JP'),
	('MYJ', '松山', 'JP'),
	('KMJ', '熊本', 'JP'),
	('NGS', '長崎', 'JP'),
	('OIT', '大分', 'JP'),
	('AOJ', '青森', 'JP'),
	('AKJ', '旭川', 'JP'),
	('ISG', '石垣', 'JP'),
	('MMY', '宮古', 'JP'),
	('HNL', 'Honolulu', 'US'),
	('LAX', 'Los Angeles', 'US'),
	('SFO', 'San Francisco', 'US'),
	('JFK', 'New York', 'US'),
	('ORD', 'Chicago', 'US'),
	('BOS', 'Boston', 'US'),
	('LHR', 'London', 'GB'),
	('CDG', 'Paris', 'FR'),
	('FRA', 'Frankfurt', 'DE'),
	('HEL', 'Helsinki', 'FI'),
	('SYD', 'Sydney', 'AU'),
	('SIN', 'Singapore', 'SG'),
	('BKK', 'Bangkok', 'TH'),
	('HKG', 'Hong Kong', 'HK'),
	('TPE', 'Taipei', 'TW'),
	('ICN', 'Seoul', 'KR'),
	('PVG', 'Shanghai', 'CN'),
	('PEK', 'Beijing', 'CN'),
	('DLC', 'Dalian', 'CN'),
	('DEL', 'Delhi', 'IN');

create table crm.fare (
	origin char(3) references crm.airport, destination char(3) references crm.airport, class char(1), yen int not null,
	primary key (origin, destination, class));
insert into crm.fare
	select a.code, b.code, c.class, (8000 + abs(hashtext(a.code || b.code)::bigint) % 6000 + case when b.country = 'JP' then 0 else 60000 end) * c.factor
	from crm.airport a, crm.airport b, (values ('Y', 1), ('J', 2), ('F', 5)) c (class, factor)
	where a.country = 'JP' and a.code <> b.code and (a.code in ('HND', 'NRT', 'KIX') or b.code = 'HND');

create table crm.flight (
	flight_no text, departs_on date, origin char(3) not null references crm.airport, destination char(3) not null references crm.airport,
	departs_at time not null, seats int not null, primary key (flight_no, departs_on));
insert into crm.flight
	select 'SK' || lpad(r.n::text, 4, '0'), date '2014-08-01' + d, r.origin, r.destination,
		time '06:00' + (r.n * 17 % 960) * interval '1 minute', 144 + r.n % 4 * 32
	from (select row_number() over (order by origin, destination) as n, origin, destination from crm.fare where class = 'Y') r,
		generate_series(0, 60) d;
commit;
