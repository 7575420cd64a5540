-- psql's backslash commands over protected tables: what it asks the server by
-- itself, and what it does with the answers.
\pset pager off
\d
\d crm.*
\d+ crm.member
\d+ crm.passport
\d+ crm.everybody
\dS+ pg_stats
\da
\dA+
\dAc btree
\dAf btree
\dAo btree
\dAp btree
\db
\dc
\dC
\dd crm.*
\dD+
\ddp
\dE
\des
\det
\deu
\dew
\df crm.*
\df+ pg_catalog.lower
\dF
\dFd
\dFp
\dFt
\dg
\di crm.*
\dl
\dL
\dm
\dn+ crm
\do =
\dO pg_catalog.C
\dp crm.*
\dP
\drds
\dRp
\dRs
\ds
\dt crm.*
\dT pg_catalog.int*
\du
\dv crm.*
\dx
\dX crm.*
\dy
\l postgres
\z crm.member
\sv crm.everybody
\sf pg_catalog.lower
\encoding
\x on
select member_no, name, email from crm.member where member_no = 1001;
\x auto
select name from crm.member where member_no = 1002 \gx
select name, joined from crm.member where member_no = 1003 \gdesc
select name as who from crm.member where member_no = 1003 \gset got_
\echo :got_who
select format('select %L || name from crm.member where member_no = %s', name, member_no) from crm.member where member_no between 1004 and 1006 order by member_no \gexec
select member_no % 3 as a, member_no % 2 as b, name from crm.member where member_no between 1007 and 1012 order by member_no \crosstabview
\set FETCH_COUNT 4
select member_no, email from crm.member where member_no between 1013 and 1022 order by member_no;
\unset FETCH_COUNT
\set SINGLELINE off
\pset format csv
select * from crm.member where member_no = 1023;
\pset format html
select name from crm.member where member_no = 1024;
\pset format aligned
\pset null '(nothing)'
select m.name, p.passport_no from crm.member m left join crm.passport p using (member_no) where m.member_no = 1025;
\copy (select member_no, name from crm.member where member_no in (1026, 1027) order by 1) to 'two.csv' csv header
\! cat two.csv
\copy (select name from crm.member where member_no = 1028) to stdout
copy (select email from crm.member where member_no = 1029) to stdout;
begin;
update crm.member set city = 'Nara' where member_no = 1030 returning name, city;
rollback;
prepare one(bigint) as select name from crm.member where member_no = $1;
execute one(1031);
select name from crm.member where member_no = 1031 \g (format=unaligned tuples_only=on)
\o out.txt
select name from crm.member where member_no = 1031;
\o
\! cat out.txt
\if :{?got_who}
select count(*) from crm.airport;
\endif
select nothing from crm.airport;
\errverbose
\timing off
\unset got_who
\q
