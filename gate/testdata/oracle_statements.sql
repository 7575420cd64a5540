-- Statements worth trying each time, one a line.
select p.code from air.partner p left join air.member m on m.partner = p.code where m.member_no is null
select p.code from air.partner p left join air.member m on m.partner = p.code where m.member_no is null and p.code = 'HTL'
select f.flight from air.flight f left join air.booking b on b.flight = f.flight where b.id is null
select f.flight from air.flight f left join air.booking b on b.flight = f.flight where b.id is null and f.flight = 'NH1'
select f.flight, b.id from air.flight f left join air.booking b on b.flight = f.flight and b.member_no = 104 where b.id is null
select p.code from air.partner p left join air.card c on c.name = p.name order by c.member_no nulls first, p.code limit 2
select m.name from air.member m left join air.passport p on p.member_no = m.member_no where p.passport_no is null
select m.name from air.member m left join air.member r on r.referred_by = m.member_no where r.member_no is null
select m.name, r.name from air.member m left join air.member r on m.referred_by = r.member_no order by m.member_no limit 3
select m.name from air.member m full join air.member r on m.referred_by = r.member_no where m.member_no is null
select m.name, r.name from air.member m right join air.member r on m.referred_by = r.member_no order by m.joined nulls first, r.member_no limit 3
select coalesce(m.name, 'nobody') from air.flight f left join air.booking b using (flight) left join air.member m using (member_no)
select p.code, coalesce(m.tier, 0) from air.partner p left join air.member m on m.partner = p.code and m.tier > 5
select a.what from air.audit a left join air.member m on m.tier = a.amount where m.city is null order by a.id
select a.id from air.audit a left join air.member m on m.tier = a.id where m.member_no is null order by a.id limit 2
select name from air.member order by member_no offset 20
select name from air.member order by member_no limit 3 offset 2
select name from air.member order by city nulls last, member_no fetch first 3 rows with ties
select name from air.member where member_no = 104 limit 0
select 10 / (tier - 1) from air.member where member_no = 105
select 1 / (case when email like 'm4@%' then 0 else 1 end) from air.member where member_no = 104
select 1 from air.member where 1 / (tier - 1) > 0 and member_no = 105
select name::int from air.member where member_no = 107
select name from air.member where member_no = 999
select name from air.member where member_no in (101, 102) for update
select count(*) from air.flight
select f.origin from air.flight f, air.member m where m.member_no = 104
select m.tableoid::regclass::text, m.year from air.mile m
select m from air.member m where m.tier = 3
select row(m.name, p.passport_no) from air.member m join air.passport p using (member_no)
table air.passport
select from air.member
select m.name from air.member m left join air.member r on r.referred_by = m.member_no where r.member_no is null and m.member_no = 122
select f.flight from air.flight f left join air.mile m on m.year = length(f.flight) where m.member_no is null
select p.name from air.partner p left join air.card c on c.tier = length(p.code) where c.member_no is null
