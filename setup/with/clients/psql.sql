-- All of psql's backslash commands that ask a server, and what it does for itself
-- around them. Files are made in the directory that it runs in.
\set ON_ERROR_STOP 0
drop schema if exists client_psql cascade;
create schema client_psql;
set search_path = client_psql, public;
create table town (id int primary key, name text not null check (name <> ''), at date default '2014-09-22');
create index on town (name);
create view towns as select * from town;
create function twice(n int) returns int language sql immutable as 'select n * 2';
create type mood as enum ('calm', 'busy');
create domain positive as int check (value > 0);
create sequence numbers;
insert into town select i, 'town ' || i from generate_series(1, 120) i;
comment on table town is 'where people live';
\a \t
\d
\d town
\d+ town
\d towns
\da
\dA
\dAc
\dAf
\dAo
\dAp
\db
\dc client_psql.*
\dC
\dconfig work_mem
\dd
\dD
\ddp
\dE
\det
\des
\deu
\dew
\df client_psql.*
\df+ client_psql.*
\dF
\dFd
\dFp
\dFt
\dg
\di
\dl
\dL
\dm
\dn
\dn+
\do *.+
\dO pg_catalog.C
\dp
\drds
\dRp
\dRs
\ds
\dS pg_class
\dt
\dt *.*
\dT
\dT+ client_psql.*
\du
\dv
\dx
\dX
\dy
\l pqgo
\z
\sf twice
\sv towns
\a \t
\x
select * from town where id = 1;
\x
\gdesc
select * from town where id < 3 \gdesc
select * from town where id < 3 \gx
select name from town where id = 2 \gset got_
\echo :got_name
select 'select ' || id from town where id < 4 order by id \gexec
select id, at, id % 2 from town where id < 5 \crosstabview
\set FETCH_COUNT 7
select count(*), sum(id) from (select id from town) t;
select id from town order by id;
\unset FETCH_COUNT
\copy town to 'town.copy'
create table other (like town);
\copy other from 'town.copy'
\copy (select * from other where id < 4 order by id) to stdout csv header
copy other (id, name) from stdin;
1001	one
\.
copy (select name from other where id > 119 order by id) to stdout;
\lo_import town.copy
\lo_export :LASTOID town.lo
\lo_unlink :LASTOID
select 1/0;
selec;
insert into town values (1, 'x');
\errverbose
\set VERBOSITY verbose
select * from gone;
\set VERBOSITY default
begin;
savepoint a;
select 1/0;
rollback to a;
commit;
\encoding
\encoding LATIN1
select 'town';
\encoding UTF8
prepare q(int) as select name from town where id = $1;
execute q(7);
listen heard;
notify heard, 'a word';
\timing off
select \;
select 1 \; select 2;
\if :{?got_name}
select 'it is set';
\endif
\reset
select current_user;
