-- What the oracle's statements read: an airline's customers, two dozen of them,
-- with values missing, values that several share, and Japanese text.
create schema air;
create table air.partner (code text primary key, name text, country text);
insert into air.partner values ('HTL','ホテル東','JP'),('CAR','Rent a car','JP'),('SHP','Duty free','SG'),('NON','nobody''s','FR');
create table air.flight (flight text primary key, origin text, destination text);
insert into air.flight values ('NH1','HND','ITM'),('NH2','ITM','HND'),('NH3','NRT','CDG'),('NH4','HND','CTS'),('NH9','CTS','HND');
create table air.audit (id int primary key, what text, amount int);
insert into air.audit select i, case when i%3=0 then 'sold' else 'refunded' end, i%4 from generate_series(1,6) i;

create table air.member (member_no bigint primary key, name text, email text, city text, tier int, partner text references air.partner, referred_by bigint, joined date, note jsonb);
insert into air.member select 100+i,
  (array['佐藤','鈴木','高橋','田中','Smith','佐藤'])[1+i%6] || case when i%4=0 then '' else ' '||i end,
  case when i%5=0 then null else 'm'||i||'@example.jp' end,
  (array['東京','大阪','札幌',null,'那覇'])[1+i%5], i%4,
  (array['HTL','CAR',null,'HTL','SHP'])[1+(i*3)%5],
  case when i%3=0 then 100+(i*7)%24+1 end,
  date '2010-04-01' + (i*37)%400,
  case when i%2=0 then jsonb_build_object('meal', case when i%4=0 then '和食' else 'any' end, 'seat', i%3) end
from generate_series(1,24) i;

create table air.passport (member_no bigint primary key references air.member, passport_no text, expires_on date, country text);
insert into air.passport select 100+i, 'TK'||1000+i, date '2024-01-01'+i*50, (array['JP','JP','FR',null])[1+i%4] from generate_series(1,24) i where i%3<>1;

create table air.booking (id bigint primary key, member_no bigint references air.member, flight text, seat text, fare numeric, booked date);
insert into air.booking select i, case when i%13=0 then null else 101+(i*i)%23 end, 'NH'||1+i%4, (i%30)||(array['A','B','C'])[1+i%3], (i*i)%7*1000+500, date '2026-01-01'+i%20 from generate_series(1,40) i;

create table air.mile (member_no bigint not null, year int not null, miles int, reason text, primary key (member_no, year)) partition by range (year);
create table air.mile_old partition of air.mile for values from (2000) to (2014);
create table air.mile_new partition of air.mile for values from (2014) to (2100);
insert into air.mile select 100+i, y, (i*y)%50*100, case when i%4=0 then null else '搭乗' end from generate_series(1,24) i, generate_series(2012,2015) y where (i+y)%3=0;

create view air.card as select member_no, name, tier from air.member where tier > 0;
create view air.contact as select name, email, city from air.member;
create view air.turnover as select m.city, count(*) as bookings, sum(b.fare) as fare from air.member m join air.booking b on b.member_no = m.member_no group by m.city;
create materialized view air.city_size as select city, count(*) as members, max(joined) as latest from air.member group by city;
create materialized view air.tally as select m.member_no, m.city, count(*) as flights, max(b.fare) as dearest from air.member m join air.booking b on b.member_no = m.member_no group by m.member_no, m.city;

create function air.of_town(town text) returns setof air.member language sql stable as $$ select * from air.member m where m.city = town $$;
create function air.trips(who bigint) returns table (id bigint, trip text, price numeric) language sql stable as $$ select b.id, b.flight || '', b.fare from air.booking b where b.member_no = who $$;
create function air.sizes(from_tier int) returns table (town text, members bigint) language sql stable as $$ select city, count(*) from air.member where tier >= from_tier group by city $$;
create function air.called(who bigint) returns text language sql stable as $$ select name from air.member where member_no = who $$;
create function air.flown(who bigint) returns bigint language sql stable as $$ select count(*) from air.trips(who) $$;
grant usage on schema air to staff, reader;
grant select, insert, update, delete on all tables in schema air to staff, reader;

-- The oracle's own tools, which no statement calls. They run as the owner, and
-- no trigger or foreign key has a say in what they do.
create schema oracle;
create function oracle.refresh() returns void language plpgsql security definer set session_replication_role = replica as $$
begin
  refresh materialized view air.city_size;
  refresh materialized view air.tally;
end $$;
create function oracle.forget(no bigint, refresh boolean) returns void language plpgsql security definer set session_replication_role = replica as $$
begin
  delete from air.booking where member_no = no;
  delete from air.mile where member_no = no;
  delete from air.passport where member_no = no;
  delete from air.member where member_no = no;
  if refresh then perform oracle.refresh(); end if;
end $$;
-- Rows in another order on the disk: whose answer changes was never certain.
create function oracle.shuffle() returns void language plpgsql security definer set session_replication_role = replica as $$
begin
  update air.member set tier = tier where member_no % 2 = 0;
  update air.booking set fare = fare where id % 3 = 0;
  update air.mile set miles = miles where member_no % 2 = 1;
  update air.passport set country = country where member_no % 2 = 1;
  update air.partner set name = name where code < 'D';
  update air.flight set origin = origin where flight < 'NH3';
  update air.audit set amount = amount where id < 4;
end $$;
create function oracle.change(statement text) returns void language plpgsql security definer set session_replication_role = replica as $$
begin
  execute statement;
end $$;
create function oracle.rename(no bigint, fresh bigint) returns void language plpgsql security definer set session_replication_role = replica as $$
begin
  update air.booking set member_no = fresh where member_no = no;
  update air.mile set member_no = fresh where member_no = no;
  update air.passport set member_no = fresh where member_no = no;
  update air.member set member_no = fresh where member_no = no;
end $$;
grant usage on schema oracle to staff;
analyze;
