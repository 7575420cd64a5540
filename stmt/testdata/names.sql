-- an aggregate
select count(*) from air.member where tier = 2;
-- one row hides the others
select max(joined) from air.member where tier = 2;
-- HAVING
select city, count(*) from air.member group by city having count(*) > 4;
-- a join that is grouped
select m.city, sum(b.fare) from air.member m join air.booking b using (member_no) where b.flight = 'NH2' group by m.city;
-- DISTINCT
select distinct city from air.member where tier = 2;
-- DISTINCT ON
select distinct on (city) city, name from air.member order by city, member_no;
-- UNION
select name from air.member where tier = 1 union select passport_no from air.passport where country = 'FR';
-- EXCEPT
select member_no from air.member except select member_no from air.passport where country = 'JP';
-- INTERSECT ALL
select city from air.member where tier = 3 intersect all select city from air.member where tier = 1;
-- EXISTS
select code from air.partner p where exists (select 1 from air.member m where m.partner = p.code and m.tier = 3);
-- NOT EXISTS
select code from air.partner p where not exists (select 1 from air.member m where m.partner = p.code and m.tier = 3) and p.country = 'JP';
-- NOT EXISTS of another customer
select name from air.member m where not exists (select 1 from air.member r where r.referred_by = m.member_no) and tier = 2;
-- NOT IN, with NULL
select code from air.partner where code not in (select partner from air.member where tier = 3);
-- a count beside each row
select f.flight, (select count(*) from air.booking b where b.flight = f.flight) from air.flight f where origin = 'HND';
-- the first of each
select f.flight, (select b.seat from air.booking b where b.flight = f.flight order by b.id limit 1) from air.flight f;
-- ALL
select id from air.audit where amount >= all (select tier from air.member where city = '東京');
-- a sub-select in ORDER BY
select p.name from air.partner p order by (select max(m.joined) from air.member m where m.partner = p.code), code;
-- a sub-select in HAVING
select city from air.member where tier > 1 group by city having count(*) > (select min(year) - 2011 from air.mile where miles > 500) order by 1;
-- a sub-select beside an aggregate of nothing
select count(*), (select max(seat) from air.booking where flight = 'NH2') from air.member where tier = 7;
-- a sub-select in a join's condition
select p.code, m.name from air.partner p left join air.member m on m.partner = p.code and exists (select 1 from air.passport d where d.member_no = m.member_no and d.country = 'FR');
-- a filter on the key of a group
select t.n from (select city, count(*) as n from air.member group by city) t where t.city = '東京';
-- a filter on the count of a group
select t.city from (select city, count(*) as n from air.member group by city) t where t.n = 4;
-- a WITH query used twice
with q as (select * from air.member where tier = 2) select a.name from q a join q b on a.referred_by = b.member_no;
-- an outer join as an anti-join
select m.name from air.member m left join air.member r on r.referred_by = m.member_no where r.member_no is null and m.tier = 2;
-- probing a list
select v.e from (values ('m4@example.jp'), ('no@example.jp'), ('m7@example.jp')) v(e) left join air.member m on m.email = v.e where m.member_no is null;
-- a key that may be missing, on the side that may be
select f.flight, b.seat from air.flight f left join air.booking b on b.flight = f.flight and b.fare > 6000;
-- OFFSET
select name from air.member where tier > 0 order by joined, member_no limit 3 offset 4;
-- WITH TIES
select name from air.member order by tier fetch first 3 rows with ties;
-- LIMIT over groups
select city, count(*) from air.member group by city order by 2 desc, 1 limit 1;
-- a window
select name, rank() over (order by joined) from air.member where tier = 2;
-- a window and LIMIT
select name, count(*) over (partition by city) from air.member where tier = 2 order by member_no limit 2;
-- the first of each partition
select * from (select city, name, row_number() over (partition by city order by member_no) as n from air.member) t where n = 1;
-- recursive, UNION ALL
with recursive r(no, name, n) as (select member_no, name, 0 from air.member where member_no = 103 union all select m.member_no, m.name, r.n + 1 from air.member m join r on m.referred_by = r.no where r.n < 4) select name from r where n >= 1;
-- recursive, over a query of unprotected tables
with recursive r(no, n) as (select member_no, 0 from air.member where member_no = 103 union all select m.member_no, r.n + 1 from (select a.id from air.audit a union select 1) x join r on x.id > r.n join air.member m on m.referred_by = r.no) select count(*) from r;
-- recursive, UNION
with recursive r(no) as (select member_no from air.member where member_no = 103 union select m.referred_by from air.member m join r on m.member_no = r.no) select count(*) from r;
-- a view without a key
select name from air.contact where city = '東京';
-- a view that groups, by its group
select fare from air.turnover where city = '東京';
-- a view that groups, by its sum
select city from air.turnover where fare > 20000;
-- two conditions that one person can change together
select code from air.partner p where not exists (select 1 from air.member m where m.partner = p.code and tier = 3) and not exists (select 1 from air.member m where m.partner = p.code and city = '東京');
-- an empty aggregate beside a table
select m.name, x.n from air.member m, (select count(*) as n from air.booking where fare < 0) x where m.tier = 1;
-- an empty aggregate beside a table, counted
select count(*) from air.member m, (select count(*) as n from air.booking where fare < 0) x where m.tier = 1;
-- a filter above LIMIT
select count(*) from (select * from air.member order by tier desc, member_no limit 4) t where t.city = '東京';
-- a filter above DISTINCT ON
select count(*) from (select distinct on (partner) partner, tier from air.member order by partner, member_no) t where t.tier = 2;
-- a filter above a window
select count(*) from (select tier, lag(tier) over (order by member_no) as l from air.member) t where t.tier = 1 and t.l = 0;
-- a sub-select that reads what another may change
select count(*) from air.partner p left join (select partner, count(*) as n from air.member where tier > 1 group by partner) x on x.partner = p.code where not exists (select 1 from air.passport d where d.member_no = 100 + x.n);
-- the latest of each, grouped
select x.city, count(*) from air.member m, lateral (select n.city from air.member n where n.referred_by = m.member_no order by n.joined desc, n.member_no limit 1) x where m.tier < 3 group by x.city;
-- LATERAL
select p.name, x.* from air.partner p, lateral (select name, city from air.member m where m.partner = p.code and m.tier < 2 order by m.member_no limit 2) x;
-- grouping sets
select city, tier, count(*) from air.member where tier < 2 group by rollup (city, tier);
-- NATURAL JOIN
select name, country from air.member natural join air.card natural join air.passport where tier = 2;
-- a condition that may fail
select count(*) from air.member m where exists (select 1 from air.booking b where b.member_no = m.member_no) and tier > 0 and 10 / tier > 4;
-- a comment at the end
select count(*) from air.member where tier = 3 -- the gold ones
;
