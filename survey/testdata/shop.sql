-- A shop whose names mislead: columns without meaning, columns in Japanese,
-- columns that are called what they do not hold. Its people do not exist.
create function pg_temp.pick(list text[], n int) returns text language sql immutable as
	$$ select list[1 + (abs(hashint4(n * 7919 + array_length(list, 1))::bigint) % array_length(list, 1))::int] $$;
create function pg_temp.digits(n int, salt int, many int) returns text language sql immutable as
	$$ select string_agg((abs(hashint4(n * 31 + salt * 1009 + i)::bigint) % 10)::text, '' order by i) from generate_series(1, many) i $$;
create function pg_temp.luhn(body text) returns text language sql immutable as
	$$ select body || ((10 - (select sum(case when (length(body) - i) % 2 = 0 then (d * 2) / 10 + (d * 2) % 10 else d end)
		from (select i, substr(body, i, 1)::int as d from generate_series(1, length(body)) i) x) % 10) % 10)::text $$;

-- The people: 顧客 (customer).
create table 顧客 (
	管理番号 bigint primary key,
	data1 text not null,             -- name
	data2 text,                      -- reading
	data3 text,                      -- passport
	項目4 text,                      -- e-mail
	電話番号 text,
	生年月日 text,                   -- in the Japanese calendar
	性別 text,
	住所 text,
	col9 text,                       -- postal code
	mail_count int,                  -- called mail, and none
	phone_model text,                -- called phone, and none
	password_changed_on date,
	ランク text,
	favourite_colour text,
	created_at timestamptz not null default now());
insert into 顧客
select 880000000000 + n * 7717, fam.k || case when n % 2 = 0 then ' ' else '' end || giv.k, fam.y || ' ' || giv.y,
	case when n % 3 = 0 then chr(77 + n % 9) || chr(65 + n % 26) || pg_temp.digits(n, 1, 7) end,
	'user' || n || '@' || pg_temp.pick('{example.com,example.jp,mail.example}', n),
	'0' || pg_temp.pick('{3,6,52}', n) || '-' || pg_temp.digits(n, 2, 4) || '-' || pg_temp.digits(n, 3, 4),
	pg_temp.pick('{S,S,S,H}', n) || (1 + n % case when pg_temp.pick('{S,S,S,H}', n) = 'H' then 15 else 60 end) || '.' || (1 + n % 12) || '.' || (1 + n % 28),
	pg_temp.pick('{男,女}', n),
	pg_temp.pick('{東京都世田谷区見本,大阪府豊中市見本町,福岡県福岡市中央区見本,宮城県仙台市青葉区見本町}', n) || (1 + n % 5) || '-' || (1 + n % 20) || '-' || (1 + n % 9),
	pg_temp.digits(n, 4, 3) || '-' || pg_temp.digits(n, 5, 4),
	n % 40, pg_temp.pick('{iPhone 12,Pixel 8,Xperia 5,AQUOS R8,Galaxy S24,arrows We}', n) || ' ' || (n % 40), date '2024-01-01' + n % 400,
	pg_temp.pick('{A,B,C}', n), pg_temp.pick('{red,green,blue,black}', n)
from generate_series(1, 1200) n,
	lateral (select * from (values (0,'佐藤','サトウ'),(1,'高橋','タカハシ'),(2,'八木沢','ヤギサワ'),(3,'田中','タナカ'),(4,'鬼頭','キトウ'),(5,'山本','ヤマモト'),
		(6,'仁科','ニシナ'),(7,'中村','ナカムラ'),(8,'真壁','マカベ'),(9,'吉田','ヨシダ'),(10,'猪狩','イガリ'),(11,'鈴木','スズキ'),(12,'難波','ナンバ')) f (i, k, y) where i = n % 13) fam,
	lateral (select * from (values (0,'晴香','ハルカ'),(1,'一成','カズナリ'),(2,'美紀','ミキ'),(3,'俊','シュン'),(4,'紗英','サエ'),(5,'健太郎','ケンタロウ'),(6,'ひかり','ヒカリ')) g (i, k, y) where i = n % 7) giv;

-- No foreign key is declared, and the column is called otherwise.
create table 決済 (
	seq serial primary key,
	ref bigint not null,             -- the customer
	番号 text,                       -- card
	期限 text,                       -- MM/YY
	口座番号 text,
	amount int,
	product_code text);              -- looks a little like a passport, and is none
insert into 決済 (ref, 番号, 期限, 口座番号, amount, product_code)
select 880000000000 + n * 7717, pg_temp.luhn(case when n % 2 = 0 then '4' || pg_temp.digits(n, 6, 14) else '51' || pg_temp.digits(n, 6, 13) end),
	lpad((1 + n % 12)::text, 2, '0') || '/' || (27 + n % 5), pg_temp.digits(n, 7, 7), n * 130, 'SKU-' || pg_temp.digits(n, 8, 6)
from generate_series(1, 1000) n;

-- A login table with declared key and names that say little.
create table t_auth (
	id bigint primary key references 顧客,
	v1 text,                         -- bcrypt
	v2 text,                         -- API key
	last_ip inet,
	answer text);
comment on column t_auth.answer is '秘密の質問の答え';
insert into t_auth
select 880000000000 + n * 7717, '$2b$12$' || substr(replace(encode(sha256(('h' || n)::bytea), 'base64'), '+', '.') || replace(encode(sha256(('g' || n)::bytea), 'base64'), '+', '.'), 1, 43) || '..........',
	'sk_live_' || encode(sha256(('k' || n)::bytea), 'hex'), ('203.0.113.' || n % 250)::inet, pg_temp.pick('{ぽち,たま,見本小学校,さくら}', n)
from generate_series(1, 800) n;

-- Text in which people are.
create table 問合せ (
	no int primary key, 顧客番号 bigint references 顧客, body_text text, 状態 text);
insert into 問合せ
select n, 880000000000 + n * 7717, case when n % 6 = 0 then '連絡先は user' || n || '@example.com です。折り返しお願いします。' else '商品が届きません。いつ頃になりますか。' end, pg_temp.pick('{open,closed}', n)
from generate_series(1, 600) n;

-- Partitions follow their parent.
create table 注文 (
	order_no bigint, ordered_on date, customer bigint not null, 配送先 text, items int, primary key (order_no, ordered_on)) partition by range (ordered_on);
create table 注文_2025 partition of 注文 for values from ('2025-01-01') to ('2026-01-01');
create table 注文_2026 partition of 注文 for values from ('2026-01-01') to ('2027-01-01');
alter table 注文 add foreign key (customer) references 顧客;
insert into 注文 select n, date '2025-01-01' + n % 700, 880000000000 + (1 + n % 1200) * 7717,
	pg_temp.pick('{京都府京都市下京区見本町,北海道札幌市中央区見本,沖縄県那覇市見本}', n) || (1 + n % 5) || '-' || (1 + n % 20), n % 5 from generate_series(1, 2000) n;

-- Nobody's, however they are called.
create table member_type (code text primary key, name text, email_allowed boolean);
insert into member_type values ('A', '一般', true), ('B', '法人', true), ('C', '特別', false);
create table 店舗 (店舗コード text primary key, 店名 text, opened_on date, seats int);
insert into 店舗 select 'S' || n, '見本' || pg_temp.pick('{本,東,西,駅前}', n) || '店' || n, date '2001-01-01' + n * 37, n * 3 from generate_series(1, 60) n;
create table passport_control_gate (gate_no int primary key, airport char(3));
insert into passport_control_gate values (1, 'HND'), (2, 'NRT');
create table log_2026 (at timestamptz, level text, took_ms int, request_hash text);
insert into log_2026 select now() - n * interval '1 minute', pg_temp.pick('{info,warn}', n), n % 900, md5(n::text) from generate_series(1, 500) n;
analyze;
